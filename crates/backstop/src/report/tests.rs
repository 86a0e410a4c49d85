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

/// The incident of which all this is made, as if it had taken effect and been taken back.
fn incident() -> Incident {
    let outcome = rehearsal::incident();
    let (mut record, run) = (outcome.record, rehearsal::incident().record.id);
    record.state = State::Undone;
    let entry = |index, at, body| Entry { at: Timestamp::new(at, 0), body, index, version: Entry::VERSION };
    let began = record.started.secs;
    let by = By::Person { uid: 1000 };
    let committing = Body::RunCommitting { by, digest: Digest([1; 32]), plan: Digest([2; 32]), run };
    Incident {
        about: run.to_string(),
        at: Timestamp::new(began + 3_600, 0),
        host: "db-1-3fa90c21".to_owned(),
        cases: vec![Case { record, effects: outcome.effects, asked: None }],
        entries: vec![
            entry(4, began, Body::RunHeld { run }),
            entry(5, began + 60, committing),
            entry(6, began + 61, Body::RunCommitted { run }),
            entry(7, began + 120, Body::RunUndone { run }),
        ],
        verdict: verdict(),
    }
}

#[test]
fn a_report_says_what_happened_who_decided_and_what_came_back() {
    insta::assert_snapshot!(markdown::text(&incident().blocks()), @r"
    # Incident report: r-2x7k3f

    | | |
    |---|---|
    | machine | db-1-3fa90c21 |
    | written | 2026-11-22T17:20:00Z |
    | runs | 1 |
    | log | verified: as it was written, whole, and all that took effect had its word |

    1 undone. Nothing that existed nowhere else is gone.

    ## Timeline

    | when (UTC) | run | what |  | entry |
    |---|---|---|---|---|
    | 2026-11-22T16:20:00Z | r-2x7k3f | run.held | waits for a person | 4 |
    | 2026-11-22T16:21:00Z | r-2x7k3f | run.committing | by a person, user 1000 | 5 |
    | 2026-11-22T16:21:01Z | r-2x7k3f | run.committed |  | 6 |
    | 2026-11-22T16:22:00Z | r-2x7k3f | run.undone |  | 7 |

    ## Run r-2x7k3f: undone

    | | |
    |---|---|
    | asked at | 2026-11-22T16:20:00Z |
    | asked by | user account 33 |
    | command | rm -rf /var/www/temp/\* |
    | in | /var/www |
    | effect | deleted 41,210 files (12.4 GB) in /var/lib/postgresql/15/main |
    | through | /var/www/temp -> /var/lib/postgresql/15/main, where /var/www/temp was named |
    | lost | 41,210 files (12.4 GB) that exist nowhere else (no proven backup) |
    | is | database: a database keeps its data here |
    | is | system: the machine runs on it |
    | digest | sha256:aa4078be9cdd2d461cc9ffd8b70f510876f8b02e0ff2f0eeaf4b8fac9db6bc13 (of all effects) |
    | came back | all of it, at 2026-11-22T16:22:00Z |

    | who | what | why | when (UTC) |
    |---|---|---|---|
    | workstation.cedar:197 | database: ask | a database would lose data |  |
    | workstation.cedar:181 | system: ask | the operating system's own files would change |  |
    | workstation.cedar:24 | outside-workspace: ask | the place is outside the workspace |  |
    | workstation.cedar:114 | open-for-writing: ask | a process outside this run has it open for writing |  |
    | workstation.cedar:138 | behind-a-link: ask | what would be lost lies behind a link or mount that the command did not name |  |
    | user account 1000 | let it take effect |  | 2026-11-22T16:21:00Z |

    | bytes that it took away or overwrote | | |
    |---|---|---|
    | /var/lib/postgresql/15/main/base | ████████████████████████████████████████ | 11.8 GB |
    | /var/lib/postgresql/15/main/pg\_wal | █ | 537 MB |
    | /var/lib/postgresql/15/main/pg\_xact | █ | 61.0 MB |
    | /var/lib/postgresql/15/main/global | █ | 594 kB |
    | /var/lib/postgresql/15/main | █ | 8.4 kB |

    | change | place | size |
    |---|---|---|
    | delete | /var/lib/postgresql/15/main/base with 39,806 entries | 11.8 GB |
    | delete | /var/lib/postgresql/15/main/pg\_wal with 33 entries | 537 MB |
    | delete | /var/lib/postgresql/15/main/pg\_xact with 1,312 entries | 61.0 MB |
    | delete | /var/lib/postgresql/15/main/global with 61 entries | 594 kB |
    | delete | /var/lib/postgresql/15/main/postmaster.opts | 8.2 kB |
    | delete | /var/lib/postgresql/15/main/postmaster.pid | 104 B |
    | delete | /var/lib/postgresql/15/main/postgresql.auto.conf | 88 B |
    | delete | /var/lib/postgresql/15/main/PG\_VERSION | 3 B |
    | metadata | /var/lib/postgresql/15/main | 4.1 kB |

    ## Proofs

    | | |
    |---|---|
    | integrity | holds |
    | completeness | holds |
    | authorisation | holds |
    | log | backstop/34750f98bd59fcfc946da45aaabe933b |
    | entries | 12 (12 signed) |
    | root | sha256:0707070707070707070707070707070707070707070707070707070707070707 |

    Verified again by: backstop audit verify, on the machine or on a copy of its log; each entry above stands in the log under its number. What was rewritten whole is found by a witness elsewhere alone: audit verify --witness KEY.
    ");
}

/// Every block with a text that would like to be more than that.
fn hostile(bad: &str) -> Vec<Block> {
    vec![
        Block::Title(bad.to_owned()),
        Block::Heading(bad.to_owned()),
        Block::Text(bad.to_owned()),
        Block::Facts(vec![("key", bad.to_owned())]),
        Block::Table(vec!["a", "b"], vec![vec![bad.to_owned(), bad.to_owned()]]),
        Block::Bars("bytes", vec![(bad.to_owned(), 5), (bad.to_owned(), 0)]),
    ]
}

#[test]
fn no_name_is_more_than_its_letters() {
    for bad in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=y>",
        "![x](https://evil.example/p.png)",
        "[click](javascript:x)",
        "https://evil.example/?q=1",
        "# Heading",
        "a | b",
        "`code` **bold** _it_ ~~no~~",
        "<https://evil.example>",
        "&lt;b&gt;",
        "mail@evil.example",
    ] {
        let page = html::text(&hostile(bad));
        for tag in ["<script", "<img", "<b>", "<a ", "onerror=y>"] {
            assert!(!page.contains(tag), "{bad}: {page}");
        }
        let tags = |page: &str| page.matches('<').count();
        assert_eq!(tags(&page), tags(&html::text(&hostile("x"))), "{bad}: as many tags as with a plain name");
        let text = markdown::text(&hostile(bad));
        assert_eq!(text.lines().count(), markdown::text(&hostile("x")).lines().count(), "{bad}: {text}");
        for meant in ["](", "<script", "<https", "**bold", "://", "| b |"] {
            let plain = text.match_indices(meant).filter(|(at, _)| !text[..*at].ends_with('\\'));
            assert!(plain.count() == 0 || !bad.contains(meant), "{bad}: {meant} in {text}");
        }
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
    let text = markdown::text(&broken.blocks());
    assert!(text.lines().take(8).any(|l| l.contains("NOT AS IT SHOULD BE")), "{text}");
    assert!(text.contains("entry 3 is") && !text.contains('\u{1b}'), "{text}");
}

#[test]
fn what_came_back_is_told_as_it_is() {
    let mut incident = incident();
    for (state, let_go, part) in [
        (State::Undone, false, "all of it, at "),
        (State::Committed, false, "not yet: backstop undo r-"),
        (State::Committed, true, "no: what undo needs was let go"),
        (State::Denied, false, "nothing took effect"),
        (State::Held, false, "nothing took effect"),
        (State::InPlace, false, "which undo does not cover"),
    ] {
        incident.cases[0].record.state = state;
        incident.cases[0].record.let_go = let_go;
        let said = incident.cases[0].came_back(&incident);
        assert!(said.starts_with(part) || said.contains(part), "{state:?}: {said}");
    }
}
