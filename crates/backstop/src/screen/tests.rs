use backstop_core::approval::quorum::{Quorum, Terms};
use backstop_core::digest::Digest;
use backstop_core::effect::Kind;
use backstop_core::run::{Exit, LeftBehind, State};
use backstop_core::time::Timestamp;
use backstop_engine::{Failure, FailureKind, Outcome, UndoReport, VaultStatus, VolumeStatus};

use super::rehearsal::{self, NOW, conflict, hostile, incident, ordinary};
use super::report::Way;
use super::style::{Style, columns};
use super::{doctor, list, message, page, records, report, tree};
use crate::document::{AbilityDocument, DoctorDocument, MachineDocument, VaultDocument};

const WIDE: Style = Style { width: 100, ..Style::PLAIN };

#[test]
fn the_incident_is_held_with_typed_and_real_place() {
    insta::assert_snapshot!(message::outcome(&incident(), WIDE), @r#"
    backstop: held r-2x7k3f: would delete 41,210 files (12.4 GB) in /var/lib/postgresql/15/main
      through  /var/www/temp -> /var/lib/postgresql/15/main             the command named /var/www/temp
      open     postgres[812] has 43 of these open for writing
      lost     41,210 files (12.4 GB) that exist nowhere else (no proven backup)
      is       database: a database keeps its data here
               system: the machine runs on it
      rule     database                workstation.cedar:197        needs 1 person, has 0
               a database would lose data (9 places)
               system                  workstation.cedar:181        needs 1 person, has 0
               the operating system's own files would change (9 places)
               outside-workspace       workstation.cedar:24         needs 1 person, has 0
               the place is outside the workspace (9 places)
               … and 2 more
      instead  go through the database's own client, on a copy; never through its files
               install into the workspace or the home (a virtual environment, --prefix), or have a person do it
      next     backstop show r-2x7k3f · people: backstop commit r-2x7k3f (and its words typed) · give up: backstop discard r-2x7k3f
    "#);
}

#[test]
fn the_page_of_the_incident() {
    insta::assert_snapshot!(page::run(&incident(), None, NOW, WIDE), @r#"
    r-2x7k3f  held  2 minutes ago
      command  rm -rf /var/www/temp/*
      in       /var/www (the workspace)
      effect   would delete 41,210 files (12.4 GB) in /var/lib/postgresql/15/main

      /var/lib/postgresql/15/main/                                12.4 GB  -41,210          ██████████
    ├─ - base/                                                    11.8 GB  -39,801          █████████▋
    │    open for writing by postgres[812]
    │  ├─   16384/16411                                            1.1 GB                   ▉
    │  ├─   16384/16411.1                                          1.1 GB                   ▉
    │  ├─   16384/16420                                            812 MB                   ▊
    │  └─ … and 39,798 more files (8.8 GB)
    ├─ - pg_wal/                                                   537 MB  -32              ▌
    │  ├─   000000010000000A000000C1                              16.8 MB                   ▏
    │  └─ … and 31 more files (520 MB)
    ├─ - pg_xact/                                                 61.0 MB  -1,312           ▏
    ├─ - global/                                                   590 kB  -61              ▏
    ├─ - postmaster.opts                                           8.2 kB                   ▏
    │    open for writing by postgres[812]
    ├─ - postmaster.pid                                             104 B                   ▏
    ├─ - postgresql.auto.conf                                        88 B                   ▏
    └─ - PG_VERSION                                                   3 B                   ▏

      through  /var/www/temp -> /var/lib/postgresql/15/main             the command named /var/www/temp
      open     postgres[812] has 43 of these open for writing
      lost     41,210 files (12.4 GB) that exist nowhere else (no proven backup)
      is       database: a database keeps its data here
               system: the machine runs on it
      rule     database                workstation.cedar:197        needs 1 person, has 0
               a database would lose data (9 places)
               system                  workstation.cedar:181        needs 1 person, has 0
               the operating system's own files would change (9 places)
               outside-workspace       workstation.cedar:24         needs 1 person, has 0
               the place is outside the workspace (9 places)
               … and 2 more
      instead  go through the database's own client, on a copy; never through its files
               install into the workspace or the home (a virtual environment, --prefix), or have a person do it
      digest   aa4078be
      next     people: backstop commit r-2x7k3f (and its words typed) · give up: backstop discard r-2x7k3f
    "#);
}

#[test]
fn the_page_of_an_ordinary_afternoon() {
    insta::assert_snapshot!(page::run(&ordinary(), None, NOW, WIDE), @r#"
    r-2x7k3f  committed  2 minutes ago
      command  make all
      in       /var/www (the workspace)
      effect   deleted 1 file (2.0 kB), changed 1 file (4.1 kB), created 301 files (45.2 MB), 2 other changes in /var/www

      /var/www/                                                   45.2 MB  -1 +301 ~1 ·2    ██████████
    ├─   src/                                                      7.0 kB  -1 +1 ~1         ▏
    │  ├─ ~ main.rs                                                4.1 kB                   ▏
    │  ├─ - old.rs                                                 2.0 kB                   ▏
    │  └─ + new.rs                                                  900 B                   ▏
    ├─   target/debug/deps/                                       45.2 MB  +300             ██████████
    │  ├─ + lib299.rlib                                            300 kB                   ▏
    │  ├─ + lib298.rlib                                            299 kB                   ▏
    │  ├─ + lib297.rlib                                            298 kB                   ▏
    │  ├─ + lib296.rlib                                            297 kB                   ▏
    │  ├─ + lib295.rlib                                            296 kB                   ▏
    │  ├─ + lib294.rlib                                            295 kB                   ▏
    │  ├─ + lib293.rlib                                            294 kB                   ▏
    │  ├─ + lib292.rlib                                            293 kB                   ▏
    │  └─ … and 292 more files (42.8 MB)
    ├─   docs/                                                             ·1
    │  └─ » notes.md
    │       was /var/www/notes.md
    └─ · run.sh
         mode 644 -> 755

      lost     2 files (6.1 kB) that exist nowhere else (no proven backup)
      rule     allowed: in places of its own, and it can be undone
      digest   0b478133
      next     take it back: backstop undo r-2x7k3f
    "#);
}

#[test]
fn a_committed_run_says_how_to_take_it_back() {
    insta::assert_snapshot!(message::outcome(&ordinary(), WIDE), @r#"
    backstop: committed r-2x7k3f: deleted 1 file (2.0 kB), changed 1 file (4.1 kB), created 301 files (45.2 MB), 2 other changes in /var/www
      next     take it back: backstop undo r-2x7k3f
    "#);
}

#[test]
fn a_conflict_names_the_place_and_the_way_on() {
    insta::assert_snapshot!(message::outcome(&conflict(), WIDE), @r#"
    backstop: held r-2x7k3f: would change /var/www/a.txt (10 B)
      conflict /var/www/a.txt: changed after the rehearsal began
      lost     1 file (10 B) that exists nowhere else (no proven backup)
      next     backstop show r-2x7k3f · people: backstop retry r-2x7k3f · give up: backstop discard r-2x7k3f
    "#);
}

#[test]
fn a_hostile_name_repaints_nothing() {
    let mut o = hostile();
    o.record.request.command = backstop_core::request::Command::Line("touch \x1b]0;x\x07".into());
    o.record.notes.push("left \x1b[31m alone".to_owned());
    let all = format!("{}{}", message::outcome(&o, WIDE), page::run(&o, None, NOW, WIDE));
    assert!(!all.contains(|c: char| c.is_control() && c != '\n'), "{all:?}");
    assert!(!all.contains('\u{202e}'));
    insta::assert_snapshot!(all, @r#"
    backstop: held r-2x7k3f: would create /etc/\x1b[2Jfine\xff\n\u{202e}txt.sh (5 B)
      is       system: the machine runs on it
      rule     system                  workstation.cedar:181        needs 1 person, has 0
               the operating system's own files would change
               outside-workspace       workstation.cedar:24         needs 1 person, has 0
               the place is outside the workspace
      instead  install into the workspace or the home (a virtual environment, --prefix), or have a person do it
               work inside the workspace or a scratch directory, or have a person let it through
      note     left \x1b[31m alone
      next     backstop show r-2x7k3f · people: backstop commit r-2x7k3f (and its words typed) · give up: backstop discard r-2x7k3f
    r-2x7k3f  held  2 minutes ago
      command  touch \x1b]0;x\x07
      in       /var/www (the workspace)
      effect   would create /etc/\x1b[2Jfine\xff\n\u{202e}txt.sh (5 B)

      /etc/                                                           5 B  +1               ██████████
    └─ + \x1b[2Jfine\xff\n\u{202e}txt.sh                              5 B                   ██████████

      is       system: the machine runs on it
      rule     system                  workstation.cedar:181        needs 1 person, has 0
               the operating system's own files would change
               outside-workspace       workstation.cedar:24         needs 1 person, has 0
               the place is outside the workspace
      instead  install into the workspace or the home (a virtual environment, --prefix), or have a person do it
               work inside the workspace or a scratch directory, or have a person let it through
      note     left \x1b[31m alone
      digest   4d3b3854
      next     people: backstop commit r-2x7k3f (and its words typed) · give up: backstop discard r-2x7k3f
    "#);
}

#[test]
fn denied_and_failed() {
    let mut denied = incident();
    denied.record.state = State::Denied;
    let mut failed = incident();
    failed.effects = backstop_core::effect::EffectSet::default();
    failed.record.state = State::Failed;
    failed.record.judgement = None;
    failed.record.notes.push("the vault is full: 20 GB of 20 GB".to_owned());
    insta::assert_snapshot!(
        format!("{}{}", message::outcome(&denied, WIDE), message::outcome(&failed, WIDE)), @r#"
    backstop: denied r-2x7k3f: would delete 41,210 files (12.4 GB) in /var/lib/postgresql/15/main
      through  /var/www/temp -> /var/lib/postgresql/15/main             the command named /var/www/temp
      open     postgres[812] has 43 of these open for writing
      lost     41,210 files (12.4 GB) that exist nowhere else (no proven backup)
      is       database: a database keeps its data here
               system: the machine runs on it
      rule     database                workstation.cedar:197        needs 1 person, has 0
               a database would lose data (9 places)
               system                  workstation.cedar:181        needs 1 person, has 0
               the operating system's own files would change (9 places)
               outside-workspace       workstation.cedar:24         needs 1 person, has 0
               the place is outside the workspace (9 places)
               … and 2 more
      instead  install into the workspace or the home (a virtual environment, --prefix), or have a person do it
               work inside the workspace or a scratch directory, or have a person let it through
      next     go through the database's own client, on a copy; never through its files · see all of it: backstop show r-2x7k3f
    backstop: failed r-2x7k3f: nothing took effect
      note     the vault is full: 20 GB of 20 GB
      next     see what is known: backstop show r-2x7k3f · backstop doctor
    "#);
}

#[test]
fn a_quiet_run_says_only_what_behaved_differently() {
    let mut o = ordinary();
    assert_eq!(message::quiet(&o, Style::PLAIN), "");
    o.record.left_behind.push(LeftBehind { name: "node".into(), pid: 7 });
    o.record.exit = Some(Exit::Code(1));
    o.effects.doors.push(backstop_core::effect::Door {
        shut: true,
        to: "/run/docker.sock".into(),
        who: "docker".into(),
    });
    insta::assert_snapshot!(message::quiet(&o, Style::PLAIN), @r#"
    backstop: committed r-2x7k3f
      stopped  node[7] outlived the command
      no door  /run/docker.sock for docker
    "#);
}

#[test]
fn failures_have_cause_rule_and_next() {
    let all = [
        Failure::usage("no run r-abc"),
        Failure::new(FailureKind::Refused, "refused: --yes without a terminal").next("leave --yes out"),
        Failure::new(FailureKind::Conflict, "r-2x7k3f has its turn in /w\nsince 10 minutes")
            .next("wait")
            .next("--parallel"),
        Failure::internal("cannot open \x1b[31m: no space"),
    ];
    let text: Vec<String> = all.iter().map(|f| message::failure(f, Style::PLAIN)).collect();
    insta::assert_snapshot!(text.concat(), @r#"
    backstop: no run r-abc
    backstop: refused: --yes without a terminal
      rule     what lets something through, or changes the rules, is people's
      next     leave --yes out
    backstop: r-2x7k3f has its turn in /w
               since 10 minutes
      rule     what others changed meanwhile is never overwritten
      next     wait
               --parallel
    backstop: cannot open \x1b[31m: no space
      rule     when Backstop fails, nothing is changed
    "#);
}

#[test]
fn no_row_is_wider_than_the_terminal_and_none_is_lost() {
    for width in [60, 80, 120] {
        for rows in [1, 5, 12, 400] {
            for o in [incident(), ordinary(), conflict()] {
                let style = Style { width, ..Style::PLAIN };
                let text = tree::draw(&o.effects, style, rows);
                for row in text.lines().filter(|l| l.contains('█')) {
                    assert!(columns(row) <= width, "{width}: {row}");
                }
            }
        }
    }
    // Everything is shown, so nothing is said to be more.
    assert!(!tree::draw(&ordinary().effects, WIDE, 4_000).contains('…'));
}

#[test]
fn colours_only_where_asked_for() {
    let coloured = Style { colour: true, ..WIDE };
    let plain = page::run(&incident(), None, NOW, WIDE);
    let inked = page::run(&incident(), None, NOW, coloured);
    assert!(!plain.contains('\x1b') && inked.contains("\x1b[31m"));
    // Without its colours it is the same text.
    let mut stripped = String::new();
    let mut rest = inked.as_str();
    while let Some(at) = rest.find('\x1b') {
        stripped.push_str(&rest[..at]);
        rest = &rest[at + rest[at..].find('m').expect("a colour ends") + 1..];
    }
    stripped.push_str(rest);
    assert_eq!(
        stripped.lines().map(str::trim_end).collect::<Vec<_>>(),
        plain.lines().map(str::trim_end).collect::<Vec<_>>()
    );
}

#[test]
fn the_list_of_runs() {
    let all = [ordinary().record, incident().record, hostile().record];
    insta::assert_snapshot!(list::runs(&all, NOW, WIDE), @r#"
    r-2x7k3f  committed   2 min  -1 +301 ~1 »1 45.2 MB  make all
    r-2x7k3f  held        2 min  -41,220 12.4 GB        rm -rf /var/www/temp/*
    r-2x7k3f  held        2 min  +1 5 B                 touch x
    "#);
}

#[test]
fn undo_reports() {
    let mut undone = ordinary().record;
    undone.state = State::Undone;
    let report = UndoReport {
        done: vec![undone],
        beside: vec!["/var/www/src/main.rs.before-r-2x7k3f".into()],
        notes: Vec::new(),
        stopped: None,
    };
    let stopped = UndoReport {
        done: Vec::new(),
        beside: Vec::new(),
        notes: Vec::new(),
        stopped: Some((
            incident().record.id,
            Failure::new(FailureKind::Conflict, "/var/www/a.txt changed since").next("backstop undo --beside r-2x7k3f"),
        )),
    };
    let text = [
        report::undo(&report, Way::Undo, Style::PLAIN),
        report::undo(&stopped, Way::Undo, Style::PLAIN),
        report::undo(&UndoReport { stopped: None, ..stopped }, Way::Redo, Style::PLAIN),
    ];
    insta::assert_snapshot!(text.concat(), @r#"
    backstop: undone r-2x7k3f: make all
      beside   /var/www/src/main.rs.before-r-2x7k3f
      next     the other way again: backstop redo r-2x7k3f
    backstop: stopped before r-2x7k3f: /var/www/a.txt changed since
      rule     what changed since is never overwritten; nothing of this run was touched
      next     backstop undo --beside r-2x7k3f
    backstop: nothing to do
    "#);
}

#[test]
fn the_doctors_page() {
    let ability = |name: &str, ok, what: &str, detail: &str| AbilityDocument {
        detail: detail.to_owned(),
        name: name.to_owned(),
        ok,
        what: what.to_owned(),
    };
    let found = DoctorDocument {
        agents: Vec::new(),
        abilities: vec![
            ability("overlay-root", true, "a copy-on-write view of every mount", ""),
            ability("overlay-user", false, "the same without root", "EPERM: user namespaces are off"),
        ],
        homes: vec!["/home/ann".into(), "/root".into()],
        held: 1,
        machine: Some(MachineDocument {
            file: Some("/etc/backstop/settings.toml".to_owned()),
            may: [("production".to_owned(), backstop_core::request::Net::None)].into(),
            profile: "production".to_owned(),
        }),
        privileged: true,
        scratch: vec!["/tmp".into(), "/var/tmp".into()],
        state: "/var/lib/backstop".into(),
        uid: 0,
        vault: VaultDocument { unreachable: Vec::new(), version: 1, volumes: Vec::new() },
        version: 1,
        workspace: None,
    };
    let vault = VaultStatus {
        unreachable: Vec::new(),
        volumes: vec![VolumeStatus {
            path: "/var/lib/backstop/vault".into(),
            fs: "ext4".into(),
            used: 1_234_567_890,
            limit: 20_000_000_000,
            free: 80_000_000_000,
            runs: 12,
            oldest: Some((incident().record.id, Timestamp::new(NOW.secs - 3 * 86_400, 0))),
        }],
    };
    insta::assert_snapshot!(doctor::page(&found, &vault, NOW, WIDE), @r#"
    ✓ overlay-root       a copy-on-write view of every mount
    ✗ overlay-user       the same without root  (EPERM: user namespaces are off)

    as root: every mount can be covered
      here     workspace none from here: every change is outside
      profile  production; a run may name production (--net none)  (/etc/backstop/settings.toml)
      scratch  /tmp  /var/tmp
      homes    /home/ann  /root
      state    /var/lib/backstop
      held     1 run waits for a person

    /var/lib/backstop/vault (ext4)
      kept     1.2 GB of 20.0 GB (6 %)
      for      12 runs
      free     80.0 GB
      undo     back to r-2x7k3f, 3 days ago
    "#);
}

/// What approvers are shown of a run; carl's account asked.
fn display(o: &Outcome) -> String {
    use backstop_core::approval::ballot::{Excluded, Question};
    use backstop_core::approval::matter::Matter;
    use backstop_core::approval::people::People;
    let any = backstop_core::digest::Digest([5; 32]);
    let matter = Matter::Run { asked: any, effects: any, facts: any, law: None, plan: any, run: o.record.id };
    let excluded = Excluded { people: ["carl".to_owned()].into(), uids: [33].into() };
    let people = People::new("db-1").expect("a name");
    let question = Question::new(&people, (matter, Quorum::TWO, Terms::default()), excluded, "x".to_owned(), NOW);
    backstop_core::approval::display::run(&question, &people, &o.record, &o.effects)
}

#[test]
fn approvers_are_shown_the_incident() {
    insta::assert_snapshot!(display(&incident()), @r#"
    backstop asks for approval
      request   f9a31bca
      host      db-1
      for       the run r-2x7k3f
      needs     2 people
      expires   2026-11-22T16:52:10Z
      asked by  user account 33
      asked at  2026-11-22T16:20:00Z
      asker     nobody who may approve owns that account
      without   carl (whose account asked, or had logged in when it did)
      command   rm -rf /var/www/temp/*
      in        /var/www (workspace: /var/www)
      network   host
      effect    would delete 41,210 files (12.4 GB) in /var/lib/postgresql/15/main
      through   /var/www/temp -> /var/lib/postgresql/15/main, where the command
                | named /var/www/temp
      open      postgres[812] has 43 of these open for writing
      lost      41,210 files (12.4 GB) that exist nowhere else (no proven backup)
      is        database: a database keeps its data here
      is        system: the machine runs on it
      rule      database (workstation.cedar:197): a database would lose data
      rule      system (workstation.cedar:181): the operating system's own files
                | would change
      rule      outside-workspace (workstation.cedar:24): the place is outside the
                | workspace
      rule      open-for-writing (workstation.cedar:114): a process outside this
                | run has it open for writing
      rule      behind-a-link (workstation.cedar:138): what would be lost lies
                | behind a link or mount that the command did not name
      digest    sha256:aa4078be9cdd2d461cc9ffd8b70f510876f8b02e0ff2f0eeaf4b8fac9db
                + 6bc13 (of all effects)

    9 effects
      delete    /var/lib/postgresql/15/main/PG_VERSION (3 B)
      delete    /var/lib/postgresql/15/main/base with all beneath: 39,801 files
                | (11.8 GB), 5 directories, 0 links and others
      delete    /var/lib/postgresql/15/main/global with all beneath: 61 files (590
                | kB), 0 directories, 0 links and others
      delete    /var/lib/postgresql/15/main/pg_wal with all beneath: 32 files (537
                | MB), 1 directory, 0 links and others
      delete    /var/lib/postgresql/15/main/pg_xact with all beneath: 1,312 files
                | (61.0 MB), 0 directories, 0 links and others
      delete    /var/lib/postgresql/15/main/postgresql.auto.conf (88 B)
      delete    /var/lib/postgresql/15/main/postmaster.opts (8.2 kB)
      delete    /var/lib/postgresql/15/main/postmaster.pid (104 B)
      metadata  /var/lib/postgresql/15/main
    "#);
}

#[test]
fn no_name_repaints_or_forges_what_approvers_sign() {
    let mut o = hostile();
    let padded = format!("rm x #{}  effect    would create 1 file\n  rule      none", " ".repeat(300));
    o.record.request.command = backstop_core::request::Command::Line(padded.as_str().into());
    o.record.request.reason = Some("because\u{1b}[2J\u{202e}".into());
    let text = display(&o);
    assert!(text.chars().all(|c| c == '\n' || !backstop_core::quoted::repaints(c)), "{text:?}");
    let keys = ["  effect ", "  rule "].map(|key| text.lines().filter(|l| l.starts_with(key)).count());
    let rules = o.record.judgement.as_ref().expect("judged").reasons.len();
    assert!(keys[0] == 1 && keys[1] <= rules, "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 80), "{text}");
}

#[test]
fn a_long_command_or_many_files_hide_nothing_from_approvers() {
    let mut o = incident();
    o.record.request.command = backstop_core::request::Command::Line("#".repeat(60_000).as_str().into());
    let new = |n: usize| rehearsal::effect(Kind::Create, &format!("/a/{n}"), 1);
    let mut deleted = rehearsal::effect(Kind::Delete, "/srv/last", 7);
    let mut root = rehearsal::effect(Kind::Create, "/usr/local/bin/x", 7);
    if let Some(node) = &mut root.after {
        (node.mode, node.uid, node.gid) = (0o4755, 0, 0);
    }
    deleted.undoable = false;
    o.effects.effects =
        (0..500).map(new).chain([rehearsal::effect(Kind::Delete, "/srv/z", 1), root, deleted]).collect();
    let text = display(&o);
    let listed = text.split_once("503 effects").expect("a list").1;
    let first: Vec<&str> = listed.lines().skip(1).take(4).collect();
    assert!(first[0].contains("/usr/local/bin/x") && first[0].contains("mode 4755, owner 0:0"), "{first:?}");
    assert!(first[1].contains("/srv/last") && first[1].contains("CAN'T BE UNDONE"), "{first:?}");
    assert!(first[2].contains("/srv/z") && first[3].contains("/a/0"), "{first:?}");
    let joined = text.split_whitespace().filter(|word| *word != "|" && *word != "+").collect::<Vec<_>>().join(" ");
    assert!(joined.contains("cut: 60,000 bytes in all") && text.contains("and 303 more"), "{text}");
}

#[test]
fn what_approvers_are_shown_has_one_form() {
    let shown = |command: &str| {
        let mut o = incident();
        o.record.request.command = backstop_core::request::Command::Line(command.into());
        display(&o)
    };
    let long = "x".repeat(66);
    let longer = "y".repeat(125);
    for (one, other) in [
        (format!("{long} x"), format!("{long}x")),
        (format!("rm -rf {longer} db"), format!("rm -rf {longer}db")),
        ("rm a ".to_owned(), "rm a".to_owned()),
        (" rm a".to_owned(), "rm a".to_owned()),
        ("rm a  b".to_owned(), "rm a b".to_owned()),
        ("rm a\\x20 b".to_owned(), "rm a  b".to_owned()),
    ] {
        assert_ne!(shown(&one), shown(&other), "{one}");
    }
}

#[test]
fn no_notes_on_a_log_hide_what_is_broken() {
    use backstop_core::audit::Question;
    use backstop_engine::audit::{Answer, Finding, Report, Weight};
    let finding = |weight, what: String| Finding {
        index: None,
        offset: None,
        question: Question::Integrity,
        run: None,
        segment: None,
        weight,
        what,
    };
    let notes = (0..20).map(|n| finding(Weight::Note, format!("nobody watched {n}")));
    let report = Report {
        authorisation: Answer::Unknown,
        completeness: Answer::Unknown,
        entries: 40,
        findings: notes.chain([finding(Weight::Broken, "not an entry".to_owned())]).collect(),
        integrity: Answer::Broken,
        more: 3,
        open: Vec::new(),
        origin: None,
        root: Digest([0; 32]),
        runs: 0,
        signed: 40,
    };
    let text = records::report(&report, Style::PLAIN);
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what:?} is missing in\n{text}"));
    assert!(at("not an entry") < at("nobody watched 0"), "{text}");
    assert!(at("… and 9 more (--json shows them)") < at("… and 3 more, which are only counted"), "{text}");
}
