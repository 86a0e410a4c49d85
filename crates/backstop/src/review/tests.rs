use backstop_core::approval::ballot::{Excluded, Question, Tally};
use backstop_core::approval::life::Phase;
use backstop_core::approval::matter::Matter;
use backstop_core::approval::people::People;
use backstop_core::approval::quorum::{Quorum, Terms};
use backstop_core::id::RunId;
use backstop_core::time::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;

const NOW: Timestamp = Timestamp::new(1_800_000_000, 0);

fn asked(n: u8, display: &str, summary: &str) -> Pending {
    let any = Digest([n; 32]);
    let run = RunId::from_number(u32::from(n));
    let matter = Matter::Run { asked: any, effects: any, facts: any, law: None, plan: any, run };
    let people = People::new("db-1").expect("a name");
    let question =
        Question::new(&people, (matter, Quorum::TWO, Terms::default()), Excluded::default(), summary.to_owned(), NOW);
    Pending {
        asked_at: NOW,
        display: display.to_owned(),
        phase: Phase::Pending,
        question: question.shown(display),
        tally: Tally::Open { have: [].into(), people: 2, groups: [].into() },
        votes: Vec::new(),
    }
}

fn waiting(requests: Vec<Pending>) -> Waiting {
    Waiting { requests, ..Waiting::default() }
}

fn long() -> String {
    (1..=40).map(|n| format!("line {n} of what is signed\n")).collect()
}

fn screen(review: &mut Review, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
    terminal.draw(|frame| draw(review, NOW, frame)).expect("drawn");
    let text = terminal.backend().to_string();
    let rows = text.lines().map(|row| row.trim_matches('"').trim_end().to_owned() + "\n");
    rows.collect()
}

#[test]
fn the_screen() {
    let mut review = Review::new(true);
    review.waits(waiting(vec![
        asked(1, &long(), "would delete 5,075 files"),
        asked(2, "short\n", "would change a file"),
    ]));
    insta::assert_snapshot!(screen(&mut review, 90, 14), @r#"
 2 requests wait for approval ────────────────────────────────────────────────────────────
r-000001  0 of 2, expires in 30 min  would delete 5,075 files
r-000002  0 of 2, expires in 30 min  would change a file

  what is signed   effect   differences  ────────────────────────────────── 7 of 40 lines
line 1 of what is signed
line 2 of what is signed
line 3 of what is signed
line 4 of what is signed
line 5 of what is signed
line 6 of what is signed
line 7 of what is signed

 ↑↓ choose  Tab what is shown  PgUp PgDn read  a approve  d deny  r look again  q leave
"#);
    review.key(Key::Tab);
    let (request, pane) = review.wanted().map(|(asked, pane)| (asked.question.request, pane)).expect("to be filled");
    assert_eq!(pane, Pane::Effect);
    review.fill(request, pane, "\x1b[31m- base/\x1b[0m  \x1b[2Jhostile\n".to_owned());
    assert!(review.wanted().is_none());
    insta::assert_snapshot!(screen(&mut review, 60, 9), @r#"
 2 requests wait for approval ──────────────────────────────
r-000001  0 of 2, expires in 30 min  would delete 5,075 file
r-000002  0 of 2, expires in 30 min  would change a file
  what is signed   effect   differences  ───────────────────
- base/  �[2Jhostile



 ↑↓ choose  Tab what is shown  PgUp PgDn read  a approve  d
"#);
    review.waits(waiting(Vec::new()));
    insta::assert_snapshot!(screen(&mut review, 60, 7), @r#"
 0 requests wait for approval ──────────────────────────────


  what is signed   effect   differences  ───────────────────


f22ace62 does not wait any more
"#);
}

#[test]
fn who_approves_has_had_the_whole_text_on_the_screen() {
    let mut review = Review::new(true);
    let (first, second) = (asked(1, &long(), "a"), asked(2, "short\n", "b"));
    let digests = [&first, &second].map(|p| p.question.request);
    review.waits(waiting(vec![first, second]));
    screen(&mut review, 80, 20);
    assert_eq!(review.key(Key::Letter('d')), Act::Sign(digests[0], Choice::Deny), "a no needs no reading");
    assert_eq!(review.key(Key::Letter('a')), Act::Nothing);
    assert!(screen(&mut review, 80, 20).contains("to its end first"));
    // Whoever jumps to the end has not had what lies between on the screen.
    review.key(Key::End);
    screen(&mut review, 80, 20);
    assert_eq!(review.key(Key::Letter('a')), Act::Nothing);
    screen(&mut review, 80, 20);
    // Another pane's end is not the text's.
    review.key(Key::Tab);
    review.fill(digests[0], Pane::Effect, "x\n".to_owned());
    screen(&mut review, 80, 20);
    assert_eq!(review.key(Key::Letter('a')), Act::Nothing);
    // Nor is it read where nobody can.
    for _ in 0..20 {
        screen(&mut review, 30, 20);
        review.key(Key::PageDown);
    }
    screen(&mut review, 80, 20);
    assert_eq!(review.key(Key::Letter('a')), Act::Nothing);
    for _ in 0..4 {
        screen(&mut review, 80, 20);
        review.key(Key::PageDown);
    }
    screen(&mut review, 80, 20);
    assert_eq!(review.key(Key::Letter('a')), Act::Sign(digests[0], Choice::ApproveOnce));
    review.key(Key::Down);
    assert_eq!(review.key(Key::Letter('a')), Act::Nothing, "not before it was drawn");
    screen(&mut review, 80, 20);
    assert_eq!(review.key(Key::Letter('a')), Act::Sign(digests[1], Choice::ApproveOnce));
}

#[test]
fn the_choice_stays_with_its_request_whatever_comes_and_goes() {
    let mut review = Review::new(true);
    let all = [1, 2, 3].map(|n| asked(n, "x\n", "s"));
    let digest = |n: usize| all[n].question.request;
    review.waits(waiting(all.to_vec()));
    review.key(Key::Down);
    assert_eq!(review.chosen().map(|p| p.question.request), Some(digest(1)));
    // One before it has gone, and one has come: what is chosen must not become another under the finger.
    review.waits(waiting(vec![all[1].clone(), all[2].clone(), asked(4, "x\n", "s")]));
    assert_eq!(review.chosen().map(|p| p.question.request), Some(digest(1)));
    review.waits(waiting(vec![all[2].clone()]));
    assert_eq!(review.chosen().map(|p| p.question.request), None, "nothing, until the person chooses");
    assert!(screen(&mut review, 60, 10).contains("does not wait any more"));
    for letter in ['a', 'd'] {
        assert_eq!(review.key(Key::Letter(letter)), Act::Nothing);
    }
    for key in [Key::Down, Key::Down, Key::Up] {
        review.key(key);
        assert_eq!(review.chosen().map(|p| p.question.request), Some(digest(2)));
    }
}

#[test]
fn why_others_cant_be_read_is_said() {
    let mut review = Review::new(true);
    let unreadable = vec![backstop_engine::Failure::internal("asked.json is damaged")];
    review.waits(Waiting { requests: vec![asked(1, "x\n", "s")], unreadable, ..Waiting::default() });
    let shown = screen(&mut review, 80, 20);
    assert!(shown.contains("1 can't be read") && shown.contains("asked.json is damaged"), "{shown}");
}

#[test]
fn without_a_key_nothing_is_signed() {
    let mut review = Review::new(false);
    review.waits(waiting(vec![asked(1, "x\n", "s")]));
    screen(&mut review, 80, 20);
    for letter in ['a', 'd'] {
        assert_eq!(review.key(Key::Letter(letter)), Act::Nothing);
        assert!(screen(&mut review, 80, 20).contains("--key FILE"));
    }
    assert_eq!((review.key(Key::Letter('r')), review.key(Key::Letter('q'))), (Act::Refresh, Act::Quit));
}
