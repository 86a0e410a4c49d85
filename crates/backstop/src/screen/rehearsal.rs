//! Hand-made runs for the tests of the screens: the database incident above all.

use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;
use backstop_core::effect::{
    Aspect, Conflict, Cover, Crossing, CrossingKind, Effect, EffectSet, FileType, Kind, Mount, Node, Opener, Sized,
    Tally,
};
use backstop_core::facts::{self, Context, Meaning, People, Reading};
use backstop_core::id::RunId;
use backstop_core::policy::law::{Law, Profile};
use backstop_core::policy::{self, Ground};
use backstop_core::request::{Command, Net, Request};
use backstop_core::run::{Exit, RunRecord, State};
use backstop_core::time::Timestamp;
use backstop_engine::Outcome;

/// When the runs began.
pub const STARTED: Timestamp = Timestamp::new(1_795_364_400, 0);
/// When they are looked at.
pub const NOW: Timestamp = Timestamp::new(1_795_364_400 + 130, 0);

/// A node of `file_type` with `size` bytes.
pub fn node(file_type: FileType, size: u64) -> Node {
    Node {
        content: None,
        ctime: STARTED,
        dev: 1,
        gid: 33,
        ino: 7,
        mode: 0o644,
        mtime: STARTED,
        nlink: 1,
        rdev: None,
        size,
        target: None,
        file_type,
        uid: 33,
    }
}

/// An effect on a file.
pub fn effect(kind: Kind, path: &str, size: u64) -> Effect {
    let n = node(FileType::File, size);
    Effect {
        after: (kind != Kind::Delete).then(|| n.clone()),
        aspects: if kind == Kind::Change { vec![Aspect::Content] } else { Vec::new() },
        before: (kind != Kind::Create).then_some(n),
        beneath: None,
        from: None,
        kind,
        linked_elsewhere: 0,
        mount: 0,
        open_by: Vec::new(),
        path: path.into(),
        undoable: true,
        xattrs: Vec::new(),
    }
}

/// A directory that goes away with `files` files of `bytes` bytes, the `biggest` among them.
pub fn gone(path: &str, files: u64, dirs: u64, bytes: u64, biggest: &[(&str, u64)]) -> Effect {
    Effect {
        before: Some(node(FileType::Dir, 4_096)),
        after: None,
        beneath: Some(Tally {
            biggest: biggest.iter().map(|(p, size)| Sized { path: Bytes::from(*p), size: *size }).collect(),
            bytes,
            dirs,
            files,
            ..Tally::default()
        }),
        ..effect(Kind::Delete, path, 0)
    }
}

/// A run of `command` with its effects, judged by the rules for `/var/www`.
pub fn outcome(command: &str, state: State, set: EffectSet) -> Outcome {
    let ground = Ground {
        classes: Classes::new(&[]),
        home: Some("/var/lib/agent".into()),
        scratch: vec!["/tmp".into()],
        uid: 33,
        workspace: Some("/var/www".into()),
        ..Ground::default()
    };
    let request = Request {
        asker: None,
        by: None,
        command: Command::Line(command.into()),
        cwd: "/var/www".into(),
        env_keys: Vec::new(),
        gid: 33,
        in_place: false,
        net: Net::Host,
        parallel: false,
        profile: "workstation".into(),
        reason: None,
        session: None,
        uid: 33,
        workspace: Some("/var/www".into()),
    };
    let context = Context {
        denials: 0,
        denied: &[],
        ground: &ground,
        named: &[],
        now: STARTED,
        people: People::default(),
        proven: &[],
        reading: Reading::default(),
        request: &request,
    };
    let findings = facts::gather(&set, &context, &mut ());
    let law = Law::of(Profile::Workstation).expect("tests load every profile");
    let floor = policy::floor(&set, &ground);
    let record = RunRecord {
        approval: None,
        digest: Some(set.digest()),
        exit: Some(Exit::Code(0)),
        id: RunId::parse("r-2x7k3f").expect("an id"),
        judgement: Some(law.judge(&findings, floor)),
        left_behind: Vec::new(),
        instead: None,
        let_go: false,
        meaning: Some(Meaning::of(&findings, &ground.classes)),
        notes: Vec::new(),
        request,
        started: STARTED,
        state,
        totals: Some(set.totals()),
        updated: STARTED,
        version: 1,
    };
    Outcome { record, effects: set }
}

/// The incident: "clean the temporary files", where the folder is a link to a live database.
pub fn incident() -> Outcome {
    let main = "/var/lib/postgresql/15/main";
    let at = |name: &str| format!("{main}/{name}");
    let mut base = gone(
        &at("base"),
        39_801,
        5,
        11_800_000_000,
        &[
            (&at("base/16384/16411"), 1_073_741_824),
            (&at("base/16384/16411.1"), 1_073_741_824),
            (&at("base/16384/16420"), 812_000_000),
        ],
    );
    base.open_by = vec![Opener { files: 41, name: "postgres".into(), pid: 812, writing: true }];
    let mut control = effect(Kind::Delete, &at("global/pg_control"), 8_192);
    control.open_by = vec![Opener { files: 2, name: "postgres".into(), pid: 812, writing: true }];
    control.path = at("postmaster.opts").as_str().into();
    let mut effects = vec![
        base,
        gone(&at("global"), 61, 0, 590_000, &[]),
        gone(&at("pg_wal"), 32, 1, 536_870_912, &[(&at("pg_wal/000000010000000A000000C1"), 16_777_216)]),
        gone(&at("pg_xact"), 1_312, 0, 61_000_000, &[]),
        effect(Kind::Delete, &at("PG_VERSION"), 3),
        effect(Kind::Delete, &at("postgresql.auto.conf"), 88),
        effect(Kind::Delete, &at("postmaster.pid"), 104),
        control,
        Effect { path: main.into(), aspects: vec![Aspect::Times], ..dir_times() },
    ];
    effects.sort_by(|a, b| a.path.cmp(&b.path));
    let set = EffectSet {
        crossings: vec![Crossing {
            hit: main.into(),
            how: CrossingKind::Link,
            typed: "/var/www/temp".into(),
            via: "/var/www/temp".into(),
        }],
        effects,
        mounts: vec![Mount {
            cover: Cover::Overlay,
            fs: "ext4".into(),
            path: "/".into(),
            point: "/".into(),
            root: "/".into(),
            source: "/dev/sda1".into(),
        }],
        ..EffectSet::default()
    };
    outcome("rm -rf /var/www/temp/*", State::Held, set)
}

fn dir_times() -> Effect {
    let n = Some(node(FileType::Dir, 4_096));
    Effect { before: n.clone(), after: n, ..effect(Kind::Metadata, "/", 0) }
}

/// An ordinary afternoon: a build and a few edits.
pub fn ordinary() -> Outcome {
    let mut effects: Vec<Effect> = (0..300)
        .map(|n| effect(Kind::Create, &format!("/var/www/target/debug/deps/lib{n:03}.rlib"), 1_000 * (n + 1)))
        .collect();
    effects.push(effect(Kind::Change, "/var/www/src/main.rs", 4_100));
    effects.push(effect(Kind::Create, "/var/www/src/new.rs", 900));
    effects.push(effect(Kind::Delete, "/var/www/src/old.rs", 2_000));
    effects
        .push(Effect { from: Some("/var/www/notes.md".into()), ..effect(Kind::Rename, "/var/www/docs/notes.md", 50) });
    let mut mode = effect(Kind::Metadata, "/var/www/run.sh", 10);
    mode.aspects = vec![Aspect::Mode];
    mode.after = Some(Node { mode: 0o755, ..node(FileType::File, 10) });
    effects.push(mode);
    effects.sort_by(|a, b| a.path.cmp(&b.path));
    outcome("make all", State::Committed, EffectSet { effects, ..EffectSet::default() })
}

/// A held run whose place somebody else changed.
pub fn conflict() -> Outcome {
    let set = EffectSet {
        conflicts: vec![Conflict { path: "/var/www/a.txt".into(), why: "changed after the rehearsal began".into() }],
        effects: vec![effect(Kind::Change, "/var/www/a.txt", 10)],
        ..EffectSet::default()
    };
    outcome("sed -i s/a/b/ a.txt", State::Held, set)
}

/// One file with a name that wants to repaint the screen.
pub fn hostile() -> Outcome {
    let mut e = effect(Kind::Create, "", 5);
    e.path = Bytes::new(&b"/etc/\x1b[2Jfine\xff\n\xe2\x80\xaetxt.sh"[..]);
    outcome("touch x", State::Held, EffectSet { effects: vec![e], ..EffectSet::default() })
}
