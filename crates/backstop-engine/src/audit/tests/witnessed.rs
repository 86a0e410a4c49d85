//! What a witness finds that the log itself can't tell.

use backstop_core::witness::{Refusal, Witness};

use super::*;
use crate::audit::{keep, propose, public_key};
use crate::witness::{Memory, NotCosigned};

/// A witness that looks at the log of `scratch`.
fn witness(scratch: &Scratch) -> (tempfile::TempDir, Memory) {
    let dir = tempfile::tempdir().expect("temp");
    let memory = Memory::make(&dir.path().join("w"), "laptop.example/anna").expect("a witness");
    memory.look_at(&public_key(&scratch.dir).expect("a key")).expect("looked at");
    (dir, memory)
}

/// One visit: asked from what it has seen, and what it cosigned is kept.
fn visit(scratch: &Scratch, memory: &Memory) -> Result<u64, NotCosigned> {
    let seen = seen(memory);
    let (checkpoint, note) = memory.cosign(&propose(&scratch.dir, seen).expect("a proposal"))?;
    keep(&scratch.dir, &memory.witness(), &note).expect("kept");
    Ok(checkpoint.size)
}

fn seen(memory: &Memory) -> u64 {
    memory.logs().expect("logs").0[0].seen.map_or(0, |seen| seen.size)
}

fn witnessed(memory: &Memory) -> Kept {
    Kept { witnesses: vec![memory.witness()], ..Kept::default() }
}

fn refusal(result: Result<u64, NotCosigned>) -> Refusal {
    match result {
        Err(NotCosigned::Refused(refusal)) => refusal,
        other => panic!("refused: {other:?}"),
    }
}

#[test]
fn a_log_that_goes_on_is_cosigned_each_time_and_says_so() {
    let mut scratch = scratch(1);
    let (_dir, memory) = witness(&scratch);
    let none = verify(&scratch.dir, &witnessed(&memory));
    assert_eq!(whats(&none), ["the witness laptop.example/anna has cosigned nothing that is kept here"]);
    assert_eq!(none.exit(), 1);
    assert_eq!(visit(&scratch, &memory).expect("cosigned"), 9);
    assert_eq!(visit(&scratch, &memory).expect("nothing new"), 9);
    scratch.log.append(at(20), &story(1)).expect("append");
    assert_eq!(visit(&scratch, &memory).expect("cosigned"), 17);
    let report = verify(&scratch.dir, &witnessed(&memory));
    assert!(whats(&report)[0].starts_with("laptop.example/anna has seen 17 entries at "), "{:?}", whats(&report));
    assert_eq!((report.exit(), report.integrity), (0, Answer::Holds));
    // What it said before does not take the place of what it says now.
    let (_other, another) = witness(&scratch);
    let theirs = another.cosign(&propose(&scratch.dir, 0).expect("a proposal")).expect("cosigned").1;
    assert!(keep(&scratch.dir, &memory.witness(), &theirs).is_err(), "of another witness");
    // Nor is it asked for what it has seen already, from elsewhere.
    let behind = memory.cosign(&propose(&scratch.dir, 9).expect("a proposal"));
    assert!(matches!(behind, Err(NotCosigned::Refused(Refusal::Elsewhere { old: 9, seen })) if seen.size == 17));
}

/// Each false comfort that a log gives from the inside: done to a real one, its own checkpoint and key agreeing, and
/// found at the next visit.
#[test]
fn what_was_done_to_a_log_with_its_key_is_found_by_whoever_has_seen_it() {
    type Harm = fn(&mut Scratch);
    let again: Harm = |scratch| {
        // As whoever has the directory would: the old log is moved away, and another is begun with the same key.
        let key = (scratch.read("key"), scratch.read("key.pub"));
        let signer = Signer::parse(std::str::from_utf8(&key.0).expect("text").trim_end()).expect("a key");
        fs::remove_dir_all(&scratch.dir).expect("removed");
        fs::create_dir_all(&scratch.dir).expect("made");
        crate::audit::create::fill(&scratch.dir, &signer, at(0)).expect("a log");
        scratch.log = AuditLog::open(&scratch.dir, at(0)).expect("open");
    };
    let shorter: Harm = |scratch| {
        let key = Signer::parse(std::str::from_utf8(&scratch.read("key")).expect("text").trim_end()).expect("a key");
        let lines = scratch.lines();
        scratch.write(FIRST, &lines[..12].concat());
        let mut tree = backstop_core::merkle::Frontier::default();
        lines[..12].iter().for_each(|l| tree.push(backstop_core::merkle::leaf(&l[..l.len() - 1])));
        let checkpoint = Checkpoint { root: tree.root(), size: 12, ..scratch.pinned() };
        scratch.write("checkpoint", &crate::audit::layout::padded(&checkpoint.signed(&key)));
        fs::remove_dir_all(scratch.dir.join("witnessed")).expect("removed");
        scratch.log = AuditLog::open(&scratch.dir, at(50)).expect("open");
    };
    let as_long: Harm = |scratch| {
        for n in 7..9 {
            scratch.log.append(at(60 + n), &story(u32::try_from(n).expect("small"))).expect("append");
        }
    };
    let cases: [(&str, &[Harm]); 4] = [
        ("begun anew", &[again]),
        ("begun anew, and as long again", &[again, as_long]),
        ("its end cut off", &[shorter]),
        ("its end cut off, and as long again", &[shorter, as_long]),
    ];
    for (name, harms) in cases {
        let mut scratch = scratch(2);
        let (_dir, memory) = witness(&scratch);
        visit(&scratch, &memory).expect("cosigned");
        harms.iter().for_each(|harm| harm(&mut scratch));
        assert_eq!(scratch.report().integrity, Answer::Holds, "{name}: from the inside it can't be told");
        let refusal = refusal(visit(&scratch, &memory));
        assert!(refusal.alarms(), "{name}: {refusal}");
        assert_eq!(verify(&scratch.dir, &witnessed(&memory)).exit(), 1, "{name}");
        // And a second visit finds it as well.
        assert!(self::refusal(visit(&scratch, &memory)).alarms(), "{name}");
    }
}

#[test]
fn half_a_copy_that_was_brought_back_is_not_gone_on_with() {
    let mut scratch = scratch(1);
    let (_dir, memory) = witness(&scratch);
    let (log, checkpoint) = (scratch.read(FIRST), scratch.read("checkpoint"));
    scratch.log.append(at(20), &story(1)).expect("append");
    visit(&scratch, &memory).expect("cosigned");
    scratch.write(FIRST, &log);
    scratch.write("checkpoint", &checkpoint);
    let refused = AuditLog::open(&scratch.dir, at(30));
    assert!(matches!(refused, Err(AuditError::Unwitnessed { found: 9, seen: 17, .. })), "{refused:?}");
    let report = verify(&scratch.dir, &witnessed(&memory));
    let what = "what laptop.example/anna cosigned covers 17 entries, the log has 9: its end is missing";
    assert!(whats(&report).contains(&what), "{:?}", whats(&report));
    // Also by whoever names no witness.
    let what = "a note of a witness covers 17 entries, the log has 9: its end is missing";
    assert_eq!(whats(&scratch.report()), [what]);
    // Grown past that, by other entries.
    let notes = scratch.dir.join("witnessed");
    fs::rename(&notes, scratch.dir.join("aside")).expect("moved");
    scratch.log = AuditLog::open(&scratch.dir, at(40)).expect("open");
    scratch.log.append(at(41), &story(5)).expect("append");
    scratch.log.append(at(42), &story(6)).expect("append");
    fs::rename(scratch.dir.join("aside"), &notes).expect("moved");
    assert_eq!(whats(&scratch.report()), ["the first 17 entries do not give the root of a note of a witness"]);
}

#[test]
fn what_lies_among_the_notes_stops_nobody_and_brings_nobody_to_a_stand() {
    let scratch = scratch(1);
    let (_dir, memory) = witness(&scratch);
    visit(&scratch, &memory).expect("cosigned");
    let notes = scratch.dir.join("witnessed");
    let name = |n: u8| format!("{}.note", format!("{n:02x}").repeat(32));
    fs::write(notes.join(name(1)), b"\xe2\x80").expect("written");
    fs::create_dir(notes.join(name(2))).expect("made");
    std::os::unix::fs::symlink("/dev/zero", notes.join(name(3))).expect("linked");
    fs::write(notes.join(".x.note.7"), "half").expect("written");
    AuditLog::open(&scratch.dir, at(30)).expect("it goes on");
    fs::rename(&notes, scratch.dir.join("aside")).expect("moved");
    fs::write(&notes, "no directory").expect("written");
    AuditLog::open(&scratch.dir, at(30)).expect("it goes on");
    fs::remove_file(&notes).expect("removed");
    fs::rename(scratch.dir.join("aside"), &notes).expect("moved");
    let nothing = scratch.dir.with_file_name("nothing");
    assert!(AuditLog::settle(&nothing).is_err() && !nothing.exists(), "whoever looks begins no log");
    assert_eq!(verify(&scratch.dir, &witnessed(&memory)).exit(), 0);
    // Nor does a note of more than there is, by whoever has the log's key.
    let key = Signer::parse(std::str::from_utf8(&scratch.read("key")).expect("text").trim_end()).expect("a key");
    let more = Checkpoint { size: 1 << 40, ..scratch.pinned() };
    let other = backstop_core::witness::Cosigner::new("x", &[5; 32]).expect("a name");
    let note = more.signed(&key) + &other.cosign(&more, 5);
    let refused = keep(&scratch.dir, &other.witness(), &note);
    assert!(matches!(refused, Err(AuditError::Unwitnessed { .. })), "{refused:?}");
    assert!(keep(&scratch.dir, &other.witness(), &"x".repeat(20_000)).is_err());
    for n in 0..40 {
        let many = backstop_core::witness::Cosigner::new("x", &[n; 32]).expect("a name");
        let note = scratch.pinned().signed(&key) + &many.cosign(&scratch.pinned(), 5);
        assert_eq!(keep(&scratch.dir, &many.witness(), &note).is_ok(), n < 28, "{n}");
    }
}

#[test]
fn a_power_cut_that_took_the_checkpoint_is_no_alarm() {
    let mut scratch = scratch(1);
    let (_dir, memory) = witness(&scratch);
    let early = scratch.read("checkpoint");
    scratch.log.append(at(20), &story(1)).expect("append");
    visit(&scratch, &memory).expect("cosigned");
    // It is not synced, so that it may be the one of before; the entries are there.
    scratch.write("checkpoint", &early);
    AuditLog::settle(&scratch.dir).expect("adopted");
    assert_eq!(visit(&scratch, &memory).expect("cosigned"), 18, "with the entry that says so");
    assert_eq!(verify(&scratch.dir, &witnessed(&memory)).integrity, Answer::Holds);
}

#[test]
fn a_witness_knows_whose_log_it_is_and_forgets_nothing() {
    let (one, two) = (scratch(1), scratch(2));
    let (dir, memory) = witness(&one);
    assert!(matches!(refusal(visit(&two, &memory)), Refusal::Stranger(_)));
    visit(&one, &memory).expect("cosigned");
    assert!(Memory::make(&dir.path().join("w"), "another").is_err(), "its key is not drawn anew");
    drop(memory);
    let again = Memory::open(&dir.path().join("w")).expect("a witness");
    assert_eq!(seen(&again), 9);
    assert_eq!(Witness::parse(&again.witness().to_string()), Ok(again.witness()));
    for name in ["", "two words", "a+b", "x'y"] {
        assert!(Memory::make(&dir.path().join("v"), name).is_err(), "{name:?}");
    }
    let remembered = fs::read_dir(dir.path().join("w")).expect("list").filter_map(Result::ok);
    let file = remembered.map(|f| f.path()).find(|p| p.extension().is_some_and(|e| e == "json")).expect("a log");
    fs::write(&file, "{}").expect("written");
    assert_eq!(again.logs().expect("listed").1.len(), 1, "it is said");
    let damaged = again.cosign(&propose(&one.dir, 0).expect("a proposal"));
    assert!(matches!(damaged, Err(NotCosigned::Failed(_))), "damage is never nothing seen");
}

#[test]
fn of_many_who_ask_at_once_nobody_rolls_a_witness_back() {
    let mut scratch = scratch(1);
    let (dir, memory) = witness(&scratch);
    let path = dir.path().join("w");
    visit(&scratch, &memory).expect("cosigned");
    let early = propose(&scratch.dir, 9).expect("a proposal");
    scratch.log.append(at(20), &story(1)).expect("append");
    let late = propose(&scratch.dir, 9).expect("a proposal");
    let mut before = 9;
    for _ in 0..50 {
        std::thread::scope(|scope| {
            for proposal in [&early, &late] {
                let path = &path;
                scope.spawn(move || Memory::open(path).expect("a witness").cosign(proposal).map(drop));
            }
        });
        let now = seen(&memory);
        assert!(now >= before, "{now} after {before}");
        before = now;
    }
    assert_eq!(before, 17);
    assert!(matches!(memory.cosign(&early), Err(NotCosigned::Refused(Refusal::Elsewhere { old: 9, .. }))));
}
