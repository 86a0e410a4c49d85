use backstop_core::digest::Digest;
use backstop_engine::audit::Finding;

use super::*;
use crate::screen::rehearsal;

fn verdict() -> Verdict {
    Verdict {
        authorisation: Answer::Holds,
        completeness: Answer::Holds,
        entries: 12,
        findings: Vec::new(),
        integrity: Answer::Holds,
        more: 0,
        open: Vec::new(),
        origin: Some("backstop/34750f98bd59fcfc946da45aaabe933b".to_owned()),
        root: Digest([7; 32]),
        runs: 1,
        signed: 12,
    }
}

fn entry(index: u64, at: i64, body: Body) -> Entry {
    Entry { at: Timestamp::new(at, 0), body, index, version: Entry::VERSION }
}

/// What the log says of a record: asked, rehearsed, judged, held.
fn begun(record: &RunRecord) -> Vec<Entry> {
    let (run, began) = (record.id, record.started.secs);
    let rehearsed = Body::RunRehearsed {
        digest: record.digest.expect("a digest"),
        doors: Vec::new(),
        effects: 9,
        exit: backstop_core::run::Exit::Code(0),
        left_behind: Vec::new(),
        run,
        totals: backstop_core::effect::Totals::default(),
    };
    let judgement = record.judgement.clone().expect("judged");
    let bodies =
        [Body::requested(run, &record.request), rehearsed, Body::RunJudged { judgement, run }, Body::RunHeld { run }];
    (1..).zip(bodies).map(|(index, body)| entry(index, began, body)).collect()
}

/// The incident of which all this is made, as if it had taken effect and been taken back.
fn incident() -> Incident {
    let outcome = rehearsal::incident();
    let (mut record, effects) = (outcome.record, outcome.effects);
    record.digest = Some(effects.digest());
    record.state = State::Undone;
    let (run, began) = (record.id, record.started.secs);
    let by = By::Person { uid: 1000 };
    let committing = Body::RunCommitting { by, digest: effects.digest(), plan: Digest([2; 32]), run };
    let mut entries = begun(&record);
    entries.extend([
        entry(5, began + 60, committing),
        entry(6, began + 61, Body::RunCommitted { run }),
        entry(7, began + 119, Body::RunUndoing { by, run }),
        entry(8, began + 120, Body::RunUndone { run }),
    ]);
    Incident {
        about: "one run".to_owned(),
        at: Timestamp::new(began + 3_600, 0),
        host: "db-1-3fa90c21".to_owned(),
        cases: vec![Case::new(record, Ok(effects), &entries)],
        entries,
        missing: Vec::new(),
        unread: None,
        verdict: verdict(),
    }
}

#[test]
fn a_report_says_what_happened_who_decided_and_what_came_back() {
    insta::assert_snapshot!(markdown::text(&incident().blocks()), @r"
    # Incident report: one run

    | | |
    |---|---|
    | machine | db-1-3fa90c21 |
    | written | 2026-11-22T17:20:00Z |
    | runs | 1 |
    | log | verified by its own key: as it was written, whole, and all that took effect had its word |

    1 undone. Nothing that existed nowhere else is gone.

    ## Timeline

    | when (UTC) | run | what |  | entry |
    |---|---|---|---|---|
    | 2026-11-22T16:20:00Z | r-2x7k3f | `run.requested` | `rm -rf /var/www/temp/*  (user 33)` | 1 |
    | 2026-11-22T16:20:00Z | r-2x7k3f | `run.rehearsed` | no effect | 2 |
    | 2026-11-22T16:20:00Z | r-2x7k3f | `run.judged` | ask database, system, outside-workspace | 3 |
    | 2026-11-22T16:20:00Z | r-2x7k3f | `run.held` | waits for a person | 4 |
    | 2026-11-22T16:21:00Z | r-2x7k3f | `run.committing` | by a person, user 1000 | 5 |
    | 2026-11-22T16:21:01Z | r-2x7k3f | `run.committed` |  | 6 |
    | 2026-11-22T16:21:59Z | r-2x7k3f | `run.undoing` | by a person, user 1000 | 7 |
    | 2026-11-22T16:22:00Z | r-2x7k3f | `run.undone` |  | 8 |

    ## Run r-2x7k3f: undone

    | | |
    |---|---|
    | asked at | 2026-11-22T16:20:00Z |
    | asked by | user account 33 |
    | command | `rm -rf /var/www/temp/*` |
    | in | `/var/www` |
    | workspace | `/var/www` |
    | network | host |
    | effect | `deleted 41,210 files (12.4 GB) in /var/lib/postgresql/15/main` |
    | through | `/var/www/temp -> /var/lib/postgresql/15/main, where /var/www/temp was named` |
    | was lost | 41,210 files (12.4 GB) that exist nowhere else (no proven backup) |
    | is | database: a database keeps its data here |
    | is | system: the machine runs on it |
    | digest | `sha256:aa4078be9cdd2d461cc9ffd8b70f510876f8b02e0ff2f0eeaf4b8fac9db6bc13 (of all effects)` |
    | came back | all of it, at 2026-11-22T16:21:59Z |

    | who | what | why | when (UTC) |
    |---|---|---|---|
    | `workstation.cedar:197` | database: ask | a database would lose data |  |
    | `workstation.cedar:181` | system: ask | the operating system's own files would change |  |
    | `workstation.cedar:24` | outside-workspace: ask | the place is outside the workspace |  |
    | `workstation.cedar:114` | open-for-writing: ask | a process outside this run has it open for writing |  |
    | `workstation.cedar:138` | behind-a-link: ask | what would be lost lies behind a link or mount that the command did not name |  |
    | user account 1000 | let it take effect |  | 2026-11-22T16:21:00Z |
    | user account 1000 | took it back |  | 2026-11-22T16:21:59Z |

    | bytes that it took away or overwrote | | |
    |---|---|---|
    | `/var/lib/postgresql/15/main/base` | ████████████████████████████████████████ | 11.8 GB |
    | `/var/lib/postgresql/15/main/pg_wal` | █ | 537 MB |
    | `/var/lib/postgresql/15/main/pg_xact` | █ | 61.0 MB |
    | `/var/lib/postgresql/15/main/global` | █ | 590 kB |
    | `/var/lib/postgresql/15/main` | █ | 8.4 kB |

    | change | place | bytes lost |
    |---|---|---|
    | delete | `/var/lib/postgresql/15/main/base with 39,806 entries` | 11.8 GB |
    | delete | `/var/lib/postgresql/15/main/pg_wal with 33 entries` | 537 MB |
    | delete | `/var/lib/postgresql/15/main/pg_xact with 1,312 entries` | 61.0 MB |
    | delete | `/var/lib/postgresql/15/main/global with 61 entries` | 590 kB |
    | delete | `/var/lib/postgresql/15/main/postmaster.opts` | 8.2 kB |
    | delete | `/var/lib/postgresql/15/main/postmaster.pid` | 104 B |
    | delete | `/var/lib/postgresql/15/main/postgresql.auto.conf` | 88 B |
    | delete | `/var/lib/postgresql/15/main/PG_VERSION` | 3 B |
    | metadata | `/var/lib/postgresql/15/main` | 0 B |

    ## Proofs

    | | |
    |---|---|
    | integrity | holds |
    | completeness | holds |
    | authorisation | holds |
    | log | `backstop/34750f98bd59fcfc946da45aaabe933b` |
    | entries | 12 (12 signed) |
    | root | `sha256:0707070707070707070707070707070707070707070707070707070707070707` |

    The log was verified by its own key, before this was written; what was rewritten whole is found by a witness elsewhere alone (backstop help witness). Each entry of the timeline stands in the log under its number. Secrets in commands are left out where they look like one: look through the rest before this is passed on.
    ");
}

/// Every block with a text that would like to be more than that.
fn hostile(bad: &str) -> Vec<Block> {
    vec![
        Block::Title(bad.to_owned()),
        Block::Heading(bad.to_owned()),
        Block::Text("Ours".to_owned()),
        Block::Alarm(bad.to_owned()),
        Block::Facts(vec![("key", bad.to_owned())]),
        Block::Table(vec!["a", "b"], vec![vec![bad.to_owned(), bad.to_owned()]]),
        Block::Bars("bytes", vec![(bad.to_owned(), 5), (bad.to_owned(), 0)]),
    ]
}

const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=y>",
    "![x](https://evil.example/p.png)",
    "[click](javascript:x)",
    "www.evil.example",
    "https://evil.example/?q=1",
    "# Heading",
    "a | b",
    "`code` ``two`` **bold** _it_",
    "` | `",
    "&lt;b&gt; :skull: #12 owner/repo#1",
    "mail@evil.example @org/team",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "tail.\u{202e}txt",
];

/// What stands outside of code spans, by CommonMark's rule: a run of backticks is closed by the next of its length.
fn outside_code(line: &str) -> String {
    let (mut out, mut rest) = (String::new(), line);
    while let Some(at) = rest.find('`') {
        let ticks = rest[at..].chars().take_while(|c| *c == '`').count();
        out.push_str(&rest[..at]);
        let after = &rest[at + ticks..];
        let mut from = 0;
        let close = loop {
            let Some(found) = after[from..].find('`') else { break None };
            let here = from + found;
            let run = after[here..].chars().take_while(|c| *c == '`').count();
            if run == ticks {
                break Some(here + run);
            }
            from = here + run;
        };
        match close {
            Some(end) => rest = &after[end..],
            None => return out + &rest[at..],
        }
    }
    out + rest
}

#[test]
fn no_name_is_more_than_its_letters() {
    for bad in HOSTILE {
        let page = html::text(&hostile(bad));
        let tags = |page: &str| page.matches('<').count();
        assert_eq!(tags(&page), tags(&html::text(&hostile("x"))), "{bad}: as many tags as with a plain name");
        let text = markdown::text(&hostile(bad));
        assert_eq!(text.lines().count(), markdown::text(&hostile("x")).lines().count(), "{bad}: {text}");
        for line in text.lines().filter(|l| !l.contains("Ours")) {
            let outside = outside_code(line);
            for part in bad.split(' ').filter(|part| part.len() > 1) {
                assert!(!outside.contains(part), "{part} of {bad}: {line}");
            }
            // Nor is there a cell more.
            let cells = |line: &str| line.replace("\\|", "").matches('|').count();
            assert!(!line.starts_with('|') || [3, 4].contains(&cells(line)), "{bad}: {line}");
        }
        assert!(!text.contains('\u{202e}') && !page.contains('\u{202e}'));
    }
}

/// Not only blocks: each text of a run that is somebody else's.
#[test]
fn no_field_of_a_run_gets_out() {
    let mut outcome = rehearsal::incident();
    let bad = "</td>`|[x](y)<b>\u{1b}[2J";
    let request = &mut outcome.record.request;
    request.reason = Some(bad.into());
    request.session = Some(bad.into());
    request.cwd = bad.into();
    request.workspace = Some(bad.into());
    request.command = backstop_core::request::Command::Argv(vec![bad.into()]);
    outcome.record.notes = vec![bad.to_owned()];
    if let Some(meaning) = &mut outcome.record.meaning {
        meaning.kinds.iter_mut().for_each(|k| (k.class, k.why) = (bad.to_owned(), bad.to_owned()));
    }
    if let Some(judgement) = &mut outcome.record.judgement {
        judgement.reasons.iter_mut().for_each(|r| (r.rule, r.why) = (bad.to_owned(), bad.to_owned()));
    }
    outcome.effects.effects[0].path = bad.into();
    outcome.effects.incomplete = vec![bad.to_owned()];
    outcome.record.digest = Some(outcome.effects.digest());
    let entries = begun(&outcome.record);
    let case = Case::new(outcome.record, Ok(outcome.effects), &entries);
    let incident = Incident { about: bad.to_owned(), host: bad.to_owned(), entries, cases: vec![case], ..incident() };
    let (page, text) = (html::text(&incident.blocks()), markdown::text(&incident.blocks()));
    assert!(!page.contains("<b>") && !page.contains("</td>`") && !page.contains('\u{1b}'), "{page}");
    assert!(page.matches("&lt;b&gt;").count() > 8, "all of them are there");
    assert!(!text.contains('\u{1b}'));
    for line in text.lines() {
        assert!(!outside_code(line).contains("[x](y)"), "{line}");
    }
}

#[test]
fn what_is_kept_of_a_run_is_compared_with_the_log() {
    let outcome = rehearsal::incident();
    let (mut record, effects) = (outcome.record, outcome.effects);
    record.digest = Some(effects.digest());
    let entries = begun(&record);
    let wrong = |record: &RunRecord, effects: &EffectSet, entries: &[Entry]| {
        let case = Case::new(record.clone(), Ok(effects.clone()), entries);
        (case.wrong.join("; "), case.loss())
    };
    assert_eq!(wrong(&record, &effects, &entries), (String::new(), Loss::Bytes(0)));
    let mut fewer = effects.clone();
    fewer.effects.remove(0);
    assert!(wrong(&record, &fewer, &entries).0.contains("the digests differ"));
    let mut both = record.clone();
    both.digest = Some(fewer.digest());
    assert!(wrong(&both, &fewer, &entries).0.contains("the digests differ"));
    let mut state = record.clone();
    state.state = State::Undone;
    assert_eq!(wrong(&state, &effects, &entries).0, "its record says undone, the log held");
    assert_eq!(wrong(&state, &effects, &entries).1, Loss::Unknown);
    let mut other = record.clone();
    other.request.command = backstop_core::request::Command::Argv(vec!["ls".into()]);
    assert!(wrong(&other, &effects, &entries).0.contains("another command"));
    // By its bytes: two that look alike on a screen are two.
    let bytes = |last: u8| backstop_core::request::Command::Line(Bytes::new(vec![b'r', b'm', b' ', last]));
    other.request.command = bytes(0xff);
    let entries_of_other = begun(&other);
    assert_eq!(wrong(&other, &effects, &entries_of_other).0, "");
    other.request.command = bytes(0xfe);
    assert!(wrong(&other, &effects, &entries_of_other).0.contains("another command"));
    assert_eq!(wrong(&record, &effects, &[]).0, "the log does not know this run");
    let mut broken = incident();
    broken.cases = vec![Case::new(state, Err("its effects are not known".to_owned()), &entries)];
    broken.missing = vec![RunId::from_number(5)];
    broken.unread = Some("entry 3 is damaged".to_owned());
    let text = markdown::text(&broken.blocks());
    for part in [
        "its record says undone, the log held",
        "r-000005",
        "entry 3 is damaged",
        "not known: its effects are not known",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(broken.alarms() && !incident().alarms());
    assert!(text.contains("Of 1 run it is not known what they took"), "{text}");
}

/// A list that is cut says so.
#[test]
fn what_is_left_out_is_counted() {
    let outcome = rehearsal::incident();
    let (mut record, mut effects) = (outcome.record, outcome.effects);
    let many = |what: &str| (0..LINES + 3).map(|n| format!("{what} {n}")).collect::<Vec<_>>();
    record.notes = many("note");
    effects.incomplete = many("unknown");
    let judgement = record.judgement.as_mut().expect("judged");
    let reason = judgement.reasons.iter().find(|r| r.decision > Decision::Allow).expect("a rule").clone();
    judgement.reasons = vec![reason; LINES + 3];
    record.digest = Some(effects.digest());
    let entries = begun(&record);
    let missing = (1..).take(LINES + 3).map(RunId::from_number).collect();
    let case = Case::new(record, Ok(effects), &entries);
    let text = markdown::text(&Incident { cases: vec![case], entries, missing, ..incident() }.blocks());
    for part in ["| note | and 3 more |", "| unknown | and 3 more |", "| and 3 rules more |", ", and 3 more"] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn a_log_that_is_not_whole_is_on_top() {
    let mut broken = incident();
    broken.verdict.integrity = Answer::Broken;
    broken.verdict.findings.push(Finding {
        index: Some(3),
        offset: None,
        question: backstop_core::audit::Question::Integrity,
        run: None,
        segment: None,
        weight: Weight::Broken,
        what: "entry 3 is \u{1b}[2J gone".to_owned(),
    });
    assert!(broken.alarms());
    let text = markdown::text(&broken.blocks());
    assert!(text.lines().take(8).any(|l| l.contains("NOT AS IT SHOULD BE")), "{text}");
    assert!(text.contains("entry 3 is") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn what_came_back_is_told_as_it_is() {
    let outcome = rehearsal::incident();
    for (state, let_go, undoable, part) in [
        (State::Undone, false, true, "all of it"),
        (State::Undone, true, true, "as copies beside"),
        (State::Undone, false, false, "not all of it could"),
        (State::Committed, false, true, "not yet: backstop undo r-"),
        (State::Committed, false, false, "not all of it can"),
        (State::Committed, true, true, "no: what undo needs was let go"),
        (State::Denied, false, true, "nothing took effect"),
        (State::Held, false, true, "nothing took effect"),
        (State::InPlace, false, true, "which undo does not cover"),
        (State::Allowed, false, true, "not known"),
        (State::Rehearsing, false, true, "has not ended"),
    ] {
        let (mut record, mut effects) = (outcome.record.clone(), outcome.effects.clone());
        effects.effects[0].undoable = undoable;
        (record.state, record.let_go) = (state, let_go);
        let case = Case::new(record, Ok(effects), &[]);
        assert!(case.came_back().contains(part), "{state:?}: {}", case.came_back());
        let unknown = matches!(state, State::InPlace | State::Allowed | State::Rehearsing);
        assert!(!unknown || case.loss() == Loss::Unknown);
    }
}

#[test]
fn a_deed_that_was_called_off_is_not_told_as_done() {
    let outcome = rehearsal::incident();
    let (record, run) = (outcome.record, rehearsal::incident().record.id);
    let by = By::Person { uid: 7 };
    let mut entries = begun(&RunRecord { digest: Some(outcome.effects.digest()), ..record.clone() });
    let committing = Body::RunCommitting { by, digest: Digest([1; 32]), plan: Digest([2; 32]), run };
    entries.push(entry(5, record.started.secs + 1, committing));
    entries.push(entry(6, record.started.secs + 2, Body::RunConflict { count: 1, paths: Vec::new(), run }));
    let case = Case::new(record, Ok(outcome.effects), &entries);
    let told = case.decided();
    assert!(told.last().is_some_and(|row| row[1].contains("called off")), "{told:?}");
}
