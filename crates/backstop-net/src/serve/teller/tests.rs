use std::sync::Mutex;

use backstop_core::audit::Severity;
use backstop_core::notice::{Kind, Notice, What};

use super::*;
use crate::config;
use crate::silence::{FILE, Silence, Silences};

/// Records that hang up whenever they are told to, and remember what was put on them.
#[derive(Default)]
pub struct Book {
    pub notices: Vec<Notice>,
    pub said: Vec<Delivery>,
    /// How often taking a delivery fails from now on.
    pub refuses: u32,
    pub opened: u32,
    /// What it is told it takes; else it refuses for good.
    pub takes: bool,
    /// What is wrong with the rules for alerts.
    pub alerts: Option<String>,
}

/// A machine on which that lasts, and nothing else is known not to.
#[derive(Default)]
struct Stand(Mutex<Now>);

impl Lasts for Stand {
    fn now(&self) -> Now {
        self.0.lock().expect("a machine").clone()
    }
}

pub struct Page<'b>(pub &'b Mutex<Book>);

impl Records for Page<'_> {
    fn notices(&mut self, from: Option<&Mark>, _: Duration) -> Result<Notices, String> {
        let book = self.0.lock().expect("a book");
        let from = from.map_or(book.notices.len() as u64, |mark| mark.entry);
        let all: Vec<Notice> = book.notices.iter().filter(|n| n.entry >= from).cloned().collect();
        let next = Mark { entry: book.notices.len() as u64, log: "l".to_owned() };
        // With nothing left to tell the test is over.
        if all.is_empty() && book.said.len() == book.notices.len() {
            Err("done".to_owned())
        } else {
            Ok(Notices { alerts: book.alerts.clone(), next, notices: all, trouble: None })
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

pub fn notice(entry: u64) -> Notice {
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
    let (stand, figures, silences) = (Stand::default(), Figures::default(), dir.path().join(FILE));
    let mut teller =
        Teller::new((&config, &channel, &cursors), &silences, (&stand, &figures), begin.map(Told::from), &|_| ());
    let (mut pace, mut pause) = (Still::default(), PAUSES.0);
    for _ in 0..40 {
        let mut open = || {
            book.lock().expect("a book").opened += 1;
            Ok(Page(&book))
        };
        teller.go_on(&mut open, &mut pace, &mut pause);
        if book.lock().expect("a book").said.len() == 3 && teller.unsaid.is_empty() {
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

/// A channel that writes what is told into a file, a line each, and all that it takes to be told by it.
struct Room {
    dir: tempfile::TempDir,
    config: Config,
    channel: Channel,
    cursors: Cursors,
    stand: Stand,
    figures: Figures,
    pace: Still,
}

impl Room {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let text = format!(
            "[[channel]]\nname = 'p'\ncommand = {{ argv = ['/bin/sh', '-c', 'cat >> {0}; echo >> {0}'] }}",
            dir.path().join("out").display()
        );
        let config = config::Config::parse(&text).expect("settings");
        let channel = Channel::new(config.channels[0].clone()).expect("a channel");
        let cursors = Cursors::open(&dir.path().join("state")).expect("cursors");
        Self {
            dir,
            config,
            channel,
            cursors,
            stand: Stand::default(),
            figures: Figures::default(),
            pace: Still::default(),
        }
    }

    fn silences(&self) -> std::path::PathBuf {
        self.dir.path().join(FILE)
    }

    fn kept(&self) -> Told {
        self.cursors.read("p").expect("read").expect("kept")
    }

    /// What was told, each with its kind, its words, and how many more it stands for.
    fn heard(&self) -> Vec<(String, String, u64)> {
        let text = std::fs::read_to_string(self.dir.path().join("out")).unwrap_or_default();
        let of = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
            let more = value["data"]["more"]["count"].as_u64().unwrap_or_default();
            (text(&value["type"]), text(&value["data"]["notice"]["summary"]), more)
        };
        text.lines().map(of).collect()
    }

    /// What was told of what kinds.
    fn kinds(&self) -> Vec<String> {
        self.heard().into_iter().map(|(kind, ..)| kind).collect()
    }
}

fn mark(entry: u64) -> Mark {
    Mark { entry, log: "l".to_owned() }
}

#[test]
fn that_the_guard_is_away_for_long_is_told_once_and_so_is_its_return() {
    let mut room = Room::new();
    let (since, silences) = (Timestamp::new(7, 0), room.silences());
    let lasts = |now: Now| *room.stand.0.lock().expect("a machine") = now;
    lasts(Now { lasts: named([away(since)]), ..Now::default() });
    let door = (&room.config, &room.channel, &room.cursors);
    let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), Some(Told::from(mark(1))), &|_| ());
    teller.look(&mut room.pace);
    teller.look(&mut room.pace);
    assert_eq!(room.kinds(), ["guard.away"], "once");
    // Started anew meanwhile: that it is over is told by whoever is there then, and not before anybody knows.
    let kept = room.kept();
    assert_eq!(kept.lasting.values().map(|l| (l.since, l.warned)).collect::<Vec<_>>(), [(since, true)]);
    lasts(Now { guard_unknown: true, ..Now::default() });
    let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), Some(kept), &|_| ());
    teller.look(&mut room.pace);
    assert_eq!(room.kinds(), ["guard.away"]);
    lasts(Now::default());
    teller.look(&mut room.pace);
    teller.look(&mut room.pace);
    assert_eq!(room.kinds(), ["guard.away", "guard.back"]);
    assert_eq!(room.heard()[1].1, "the guard answers again; it did not since 1970-01-01T00:00:07Z");
    assert!(room.kept().lasting.is_empty());
    // As it was kept by an earlier version.
    let old = serde_json::json!({ "away": "1970-01-01T00:00:07Z", "next": mark(1), "version": 1 });
    let old: Told = serde_json::from_value(old).expect("read");
    Teller::new(door, &silences, (&room.stand, &room.figures), Some(old), &|_| ()).look(&mut room.pace);
    assert_eq!(room.kinds()[2..], ["guard.back"]);
}

#[test]
fn what_is_the_same_is_told_once_and_counted_whatever_is_started_anew() {
    let mut room = Room::new();
    let now = clock::now();
    let alert = |entry: u64, ago: i64| Notice {
        at: Timestamp::new(now.secs - ago, 0),
        what: What::Alert { again: 60, rule: "deletes-trees".to_owned(), same: "s".to_owned() },
        ..notice(entry)
    };
    // An hour before the last, and a while.
    let all: Vec<Notice> = [4_000, 3_900, 3_800, 10].iter().zip(0..).map(|(ago, entry)| alert(entry, *ago)).collect();
    let book = Mutex::new(Book { notices: all[..2].to_vec(), takes: true, ..Book::default() });
    let silences = room.silences();
    let door = (&room.config, &room.channel, &room.cursors);
    let mut told = Some(Told::from(mark(0)));
    for upto in [2, 4] {
        book.lock().expect("a book").notices = all[..upto].to_vec();
        let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), told.take(), &|_| ());
        assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
        told = Some(room.kept());
    }
    let more: Vec<u64> = room.heard().into_iter().map(|(_, _, more)| more).collect();
    assert_eq!(more, [0, 1, 0], "the first; of two more the last, when the hour is over; what comes then");
    let said: Vec<(u64, u64)> = book.lock().expect("a book").said.iter().map(|d| (d.entry, d.with)).collect();
    assert_eq!(said, [(0, 0), (2, 1), (3, 0)], "and so it is on record");
}

#[test]
fn what_is_silenced_is_counted_and_every_channel_hears_of_it() {
    let mut room = Room::new();
    let now = clock::now();
    let silence = |made: i64| {
        let made = Timestamp::new(now.secs + made, 0);
        Silence::new(([Kind::Denied].into(), Vec::new()), "a drill", 60, 7, made).expect("a silence")
    };
    let silences = room.silences();
    let keep = |all: Vec<Silence>| Silences { silences: all, version: 1 }.save(&silences).expect("kept");
    // Each of its own moment: what came before anybody heard of a silence is told.
    let denied = |entry: u64| Notice { at: clock::now(), what: What::Denied, ..notice(entry) };
    let config = "[[channel]]\nname = 'p'\nevents = ['denied', 'ended']\ncommand = { argv = ['/bin/true'] }";
    room.channel.config.events = Config::parse(config).expect("settings").channels.remove(0).events;
    let book = Mutex::new(Book { notices: vec![denied(0)], takes: true, ..Book::default() });
    let door = (&room.config, &room.channel, &room.cursors);
    let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), Some(Told::from(mark(0))), &|_| ());
    // One that nobody has heard of keeps nothing back.
    keep(vec![silence(-60)]);
    assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
    assert_eq!(room.kinds(), ["run.denied"]);
    std::fs::remove_file(room.dir.path().join("out")).expect("there");
    book.lock().expect("a book").notices.push(denied(1));
    teller.look(&mut room.pace);
    book.lock().expect("a book").notices.extend([denied(2), notice(3), denied(4)]);
    assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
    assert_eq!(room.kinds(), ["silence.began", "run.denied", "approval.ended"]);
    assert!(room.heard()[0].1.ends_with("by user account 7: a drill"), "{:?}", room.heard());
    // Ended while nobody told anything.
    let kept = room.kept();
    let mut ended = silence(-60);
    ended.until = clock::now();
    keep(vec![ended]);
    let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), Some(kept), &|_| ());
    teller.look(&mut room.pace);
    assert_eq!(room.kinds().len(), 3, "nobody knows yet what it kept back");
    book.lock().expect("a book").notices.push(notice(5));
    assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
    teller.look(&mut room.pace);
    assert_eq!(room.kinds()[3..], ["approval.ended", "silence.ended"]);
    assert_eq!(room.heard()[4].1, "denied is told again; 2 notices were kept back");
    // What nobody can read silences nothing, and neither does what is not there yet.
    std::fs::write(&silences, "{").expect("written");
    book.lock().expect("a book").notices.push(denied(6));
    assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
    keep(vec![silence(600)]);
    book.lock().expect("a book").notices.push(denied(7));
    assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
    assert_eq!(room.kinds()[5..], ["run.denied", "run.denied"]);
}

#[test]
fn rules_that_cant_be_used_are_told_until_they_can() {
    let mut room = Room::new();
    let silences = room.silences();
    let door = (&room.config, &room.channel, &room.cursors);
    let why = "/etc/backstop/alerts.toml, line 3: no\u{1b}[2J".to_owned();
    let book = Mutex::new(Book { notices: vec![notice(0)], alerts: Some(why), takes: true, ..Book::default() });
    let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), Some(Told::from(mark(0))), &|_| ());
    assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
    teller.look(&mut room.pace);
    assert_eq!(room.kinds(), ["approval.ended", "alert-rules.refused"]);
    assert_eq!(room.heard()[1].1, "Backstop's own hold instead: /etc/backstop/alerts.toml, line 3: no?[2J");
    // Who is started anew says nothing before it has heard.
    let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), Some(room.kept()), &|_| ());
    teller.look(&mut room.pace);
    assert_eq!(room.kinds().len(), 2);
    let mut page = book.lock().expect("a book");
    page.alerts = None;
    page.notices.push(notice(1));
    drop(page);
    assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
    teller.look(&mut room.pace);
    assert_eq!(room.kinds()[2..], ["approval.ended", "alert-rules.back"]);
}

#[test]
fn what_lasts_and_cannot_be_told_keeps_nothing_else_and_is_silenced_like_the_rest() {
    let mut room = Room::new();
    // Refuses whatever is of a disk.
    let script =
        format!("grep -q disk.low && exit 1; echo $BACKSTOP_NOTICE >> {}", room.dir.path().join("ids").display());
    let text = format!("[[channel]]\nname = 'p'\ncommand = {{ argv = ['/bin/sh', '-c', '''{script}'''] }}");
    room.config = Config::parse(&text).expect("settings");
    room.channel = Channel::new(room.config.channels[0].clone()).expect("a channel");
    *room.stand.0.lock().expect("a machine") = Now { lasts: named([low_disk()]), ..Now::default() };
    let silences = room.silences();
    let book = Mutex::new(Book { notices: vec![notice(0)], takes: true, ..Book::default() });
    let door = (&room.config, &room.channel, &room.cursors);
    let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), Some(Told::from(mark(0))), &|_| ());
    for _ in 0..3 {
        teller.look(&mut room.pace);
    }
    assert_eq!(room.pace.1, Vec::<u64>::new(), "nobody waits for it");
    assert_eq!(teller.tries.len(), 1, "it is tried again, later");
    assert_eq!(teller.round(&mut Page(&book), &mut room.pace), Ok(true));
    let ids = std::fs::read_to_string(room.dir.path().join("ids")).expect("told");
    assert_eq!(ids, "n-0\n");
    // After a day nobody tries any more.
    room.pace.wait(Duration::from_secs(90_000));
    teller.look(&mut room.pace);
    assert!(teller.tries.is_empty() && teller.lasting.values().all(|lasting| lasting.warned));
    // Where disks are silenced it is not told that one is low.
    let quiet = Silence::new(([Kind::Disk].into(), Vec::new()), "a drill", 60, 7, clock::now()).expect("a silence");
    Silences { silences: vec![quiet], version: 1 }.save(&silences).expect("kept");
    let mut teller = Teller::new(door, &silences, (&room.stand, &room.figures), Some(Told::from(mark(0))), &|_| ());
    let low = |teller: &Teller<'_>| teller.lasting.values().any(|lasting| matches!(lasting.what, What::Disk { .. }));
    *room.stand.0.lock().expect("a machine") = Now::default();
    teller.look(&mut room.pace);
    *room.stand.0.lock().expect("a machine") = Now { lasts: named([low_disk()]), ..Now::default() };
    teller.look(&mut room.pace);
    teller.look(&mut room.pace);
    assert!(!low(&teller), "{:?}", teller.lasting);
    assert_eq!(teller.silenced.values().copied().collect::<Vec<_>>(), [1], "counted once");
    std::fs::remove_file(&silences).expect("there");
    teller.look(&mut room.pace);
    assert!(low(&teller), "it still lasts when the silence is over");
}

fn low_disk() -> Condition {
    Condition {
        over: "there is room".to_owned(),
        says: "2 % are left".to_owned(),
        severity: Severity::Error,
        since: None,
        what: What::Disk { back: false, place: "/".to_owned() },
    }
}
