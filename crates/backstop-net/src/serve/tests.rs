use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use backstop_core::notice::What;

use super::*;
use crate::config;

/// Records that hang up whenever they are told to, and remember what was put on them.
#[derive(Default)]
pub(super) struct Book {
    pub notices: Vec<Notice>,
    pub said: Vec<Delivery>,
    /// How often taking a delivery fails from now on.
    pub refuses: u32,
    pub opened: u32,
    /// What it is told it takes; else it refuses for good.
    pub takes: bool,
}

pub(super) struct Page<'b>(pub &'b Mutex<Book>);

impl Records for Page<'_> {
    fn notices(&mut self, from: Option<&Mark>) -> Result<Notices, String> {
        let book = self.0.lock().expect("a book");
        let from = from.map_or(book.notices.len() as u64, |mark| mark.entry);
        let all: Vec<Notice> = book.notices.iter().filter(|n| n.entry >= from).cloned().collect();
        let next = Mark { entry: book.notices.len() as u64, log: "l".to_owned() };
        // With nothing left to tell the test is over.
        if all.is_empty() && book.said.len() == book.notices.len() {
            Err("done".to_owned())
        } else {
            Ok(Notices { next, notices: all, trouble: None })
        }
    }

    fn delivered(&mut self, delivery: &Delivery) -> Result<bool, String> {
        let mut book = self.0.lock().expect("a book");
        if book.refuses > 0 {
            book.refuses -= 1;
            return Err("the disk is full".to_owned());
        }
        book.said.push(delivery.clone());
        Ok(book.takes)
    }
}

/// A clock that only waiting moves.
#[derive(Default)]
struct Still(Duration, Vec<u64>);

impl Pace for Still {
    fn now(&self) -> Duration {
        self.0
    }
    fn wait(&mut self, pause: Duration) {
        self.0 += pause;
        self.1.push(pause.as_secs());
    }
}

pub(super) fn notice(entry: u64) -> Notice {
    let what = What::Ended { how: "denied".to_owned() };
    Notice { entry, id: format!("n-{entry}"), what, ..Notice::test("db-1", clock::now()) }
}

/// Tells three notices by a program that counts in a file; gives what was counted, what was said, and the pauses.
fn tells(script: &str, refuses: u32, takes: bool) -> (Vec<String>, Book, Vec<u64>) {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("out");
    let script = script.replace("OUT", &out.display().to_string());
    let text = format!("[[channel]]\nname = 'p'\ncommand = {{ argv = ['/bin/sh', '-c', '''{script}'''] }}");
    let config = config::Config::parse(&text).expect("settings");
    let channel = Channel::new(config.channels[0].clone()).expect("a channel");
    let cursors = Cursors::open(&dir.path().join("state")).expect("cursors");
    let book = Mutex::new(Book { notices: (0..3).map(notice).collect(), refuses, takes, ..Book::default() });
    let begin = Some(Mark { entry: 0, log: "l".to_owned() });
    let mut teller = Teller {
        config: &config,
        channel: &channel,
        cursors: &cursors,
        say: &|_| (),
        next: begin.clone(),
        kept: begin,
        unsaid: None,
        told: false,
        trouble: None,
        watch: &|| None,
        away: None,
        warned: false,
    };
    let (mut pace, mut pause) = (Still::default(), PAUSES.0);
    for _ in 0..40 {
        let mut open = || {
            book.lock().expect("a book").opened += 1;
            Ok(Page(&book))
        };
        teller.go_on(&mut open, &mut pace, &mut pause);
        if book.lock().expect("a book").said.len() == 3 && teller.unsaid.is_none() {
            break;
        }
    }
    assert_eq!(
        cursors.read::<Told>("p").expect("read").map(|told| told.next.entry),
        Some(3),
        "it is kept how far it was told"
    );
    let told = std::fs::read_to_string(&out).unwrap_or_default().lines().map(str::to_owned).collect();
    (told, book.into_inner().expect("a book"), pace.1)
}

#[test]
fn what_could_not_be_put_on_record_is_put_there_later_and_not_told_again() {
    let (told, book, pauses) = tells("echo $BACKSTOP_NOTICE >> OUT", 4, true);
    assert_eq!(told, ["n-0", "n-1", "n-2"], "each once");
    assert_eq!(book.said.iter().map(|d| d.entry).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(pauses[..4], [1, 2, 4, 8], "longer each time, though reading succeeds");
}

#[test]
fn what_takes_long_is_put_on_record_by_another_connection() {
    // The second is refused for a day.
    let (told, book, _) = tells("echo $BACKSTOP_NOTICE >> OUT; [ $BACKSTOP_NOTICE != n-1 ]", 0, true);
    assert_eq!((told[0].as_str(), told[1].as_str(), told[told.len() - 1].as_str()), ("n-0", "n-1", "n-2"));
    assert_eq!(told.iter().filter(|t| *t == "n-2").count(), 1);
    let said: Vec<(u64, bool)> = book.said.iter().map(|d| (d.entry, d.failed.is_some())).collect();
    assert_eq!(said, [(0, false), (1, true), (2, false)]);
    assert!(book.said[1].attempts > 100 && book.opened >= 2, "{} attempts", book.said[1].attempts);
}

#[test]
fn what_the_records_refuse_for_good_silences_nobody() {
    let (told, book, pauses) = tells("echo $BACKSTOP_NOTICE >> OUT", 0, false);
    // The one pause is the end of the book.
    assert_eq!((told.len(), book.said.len(), pauses), (3, 3, vec![1]));
}

#[test]
fn that_the_guard_is_away_for_long_is_told_once_and_so_is_its_return() {
    let dir = tempfile::tempdir().expect("a directory");
    let out = dir.path().join("out");
    let text = format!(
        "[[channel]]\nname = 'p'\ncommand = {{ argv = ['/bin/sh', '-c', 'echo ${{BACKSTOP_NOTICE%-*}} >> {}'] }}",
        out.display()
    );
    let config = config::Config::parse(&text).expect("settings");
    let channel = Channel::new(config.channels[0].clone()).expect("a channel");
    let cursors = Cursors::open(&dir.path().join("state")).expect("cursors");
    let silent = AtomicBool::new(true);
    let watch = || silent.load(Ordering::Relaxed).then_some(Timestamp::new(7, 0));
    let heard = || std::fs::read_to_string(&out).unwrap_or_default().lines().map(str::to_owned).collect::<Vec<_>>();
    let mut pace = Still::default();
    let begin = |away| Teller {
        config: &config,
        channel: &channel,
        cursors: &cursors,
        say: &|_| (),
        next: Some(Mark { entry: 1, log: "l".to_owned() }),
        kept: None,
        unsaid: None,
        told: false,
        trouble: None,
        watch: &watch,
        away,
        warned: false,
    };
    let mut teller = begin(None);
    teller.look(&mut pace);
    teller.look(&mut pace);
    assert_eq!(heard(), ["n-away"], "once");
    // Started anew meanwhile: that it is over is told by whoever is there then.
    let kept: Told = cursors.read("p").expect("read").expect("kept");
    assert_eq!(kept.away, Some(Timestamp::new(7, 0)));
    silent.store(false, Ordering::Relaxed);
    let mut teller = begin(kept.away);
    teller.look(&mut pace);
    teller.look(&mut pace);
    assert_eq!(heard(), ["n-away", "n-back"]);
    assert_eq!(cursors.read::<Told>("p").expect("read").expect("kept").away, None);
}
