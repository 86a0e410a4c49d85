use super::*;
use crate::effect::{Cover, FileType, Mount, Node, Opener};
use crate::facts::{Context, People, Reading, gather};
use crate::request::{Command, Net, Request};
use crate::time::Timestamp;

fn node(file_type: FileType, uid: u32) -> Node {
    Node {
        content: None,
        ctime: Timestamp::default(),
        dev: 1,
        gid: uid,
        ino: 7,
        mode: 0o644,
        mtime: Timestamp::default(),
        nlink: 1,
        rdev: None,
        size: 10,
        target: None,
        file_type,
        uid,
    }
}

fn effect(kind: Kind, path: &str) -> Effect {
    let n = Some(node(FileType::File, 1000));
    Effect {
        after: n.clone().filter(|_| kind != Kind::Delete),
        aspects: Vec::new(),
        before: n.filter(|_| kind != Kind::Create),
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

fn mount(point: &str) -> Mount {
    Mount {
        cover: Cover::Overlay,
        fs: "ext4".into(),
        path: point.into(),
        point: point.into(),
        root: "/".into(),
        source: "/dev/x".into(),
    }
}

fn ground() -> Ground {
    Ground {
        classes: crate::classes::Classes::new(&["/home/ann".into(), "/root".into()]),
        guard: vec!["/home/ann/.local/state/backstop".into(), "/.backstop-1000".into()],
        home: Some("/home/ann".into()),
        homes: vec!["/home/ann".into(), "/root".into()],
        rules: vec!["/home/ann/proj/.backstop".into(), "/home/ann/proj/dots/policy".into()],
        scratch: vec!["/tmp".into(), "/var/tmp".into()],
        uid: 1000,
        workspace: Some("/home/ann/proj".into()),
    }
}

fn judged(effects: Vec<Effect>) -> (Decision, Vec<String>) {
    let set = EffectSet { effects, mounts: vec![mount("/"), mount("/home/ann/proj/data")], ..EffectSet::default() };
    judge(&set)
}

/// As the engine judges, without a disk to look at.
fn judge(set: &EffectSet) -> (Decision, Vec<String>) {
    let (ground, request) = (ground(), request());
    let context = Context {
        denials: 0,
        denied: &[],
        ground: &ground,
        named: &[],
        now: Timestamp::default(),
        people: People::default(),
        proven: &[],
        reading: Reading::default(),
        request: &request,
    };
    let findings = gather(set, &context, &mut ());
    let law = law::Law::of(law::Profile::Workstation).expect("tests load every profile");
    let judgement = law.judge(&findings, floor(set, &ground));
    (judgement.decision, judgement.reasons.into_iter().map(|r| r.rule).collect())
}

fn request() -> Request {
    Request {
        asker: None,
        by: None,
        command: Command::Line("x".into()),
        cwd: "/home/ann/proj".into(),
        env_keys: Vec::new(),
        gid: 1000,
        in_place: false,
        net: Net::Host,
        parallel: false,
        profile: "workstation".into(),
        reason: None,
        session: None,
        uid: 1000,
        workspace: Some("/home/ann/proj".into()),
    }
}

#[test]
fn a_place_decides() {
    use Decision::{Allow, Ask, Deny};
    for (kind, path, decision, rule) in [
        (Kind::Delete, "/home/ann/proj/src/a.c", Allow, ""),
        (Kind::Create, "/home/ann/proj/new", Allow, ""),
        (Kind::Delete, "/home/ann/proj", Ask, "workspace-itself"),
        (Kind::Metadata, "/home/ann/proj", Allow, ""),
        (Kind::Delete, "/home/ann/proj/data/x", Ask, "mount-in-workspace"),
        (Kind::Delete, "/home/ann/docs/x", Ask, "outside-workspace"),
        (Kind::Change, "/home/ann/.bashrc", Ask, "outside-workspace"),
        (Kind::Create, "/home/ann/.npm/_cacache/x", Allow, ""),
        (Kind::Change, "/home/ann/.bash_history", Ask, "outside-workspace"),
        (Kind::Change, "/home/ann/.lesshst", Allow, ""),
        (Kind::Replace, "/home/ann/.viminfo", Allow, ""),
        (Kind::Delete, "/home/ann/.viminfo", Ask, "outside-workspace"),
        (Kind::Create, "/home/ann/.lesshst/x", Ask, "outside-workspace"),
        (Kind::Create, "/root/.lesshst", Ask, "outside-workspace"),
        (Kind::Create, "/home/ann/.npmrc", Ask, "outside-workspace"),
        (Kind::Create, "/tmp/x", Allow, ""),
        (Kind::Delete, "/tmp", Ask, "outside-workspace"),
        (Kind::Create, "/tmpfiles", Ask, "outside-workspace"),
        (Kind::Delete, "/home/ann", Deny, "floor-guard"),
        (Kind::Rename, "/root", Deny, "floor-home"),
        (Kind::Delete, "/usr", Deny, "floor-system-root"),
        (Kind::Rename, "/usr/lib", Deny, "floor-system-root"),
        (Kind::Delete, "/usr/lib/x", Ask, "outside-workspace"),
        (Kind::Change, "/etc/passwd", Deny, "floor-boot-and-accounts"),
        (Kind::Create, "/boot/x", Deny, "floor-boot-and-accounts"),
        (Kind::Create, "/.backstop-1000/x", Deny, "floor-guard"),
        (Kind::Delete, "/home/ann/.local", Deny, "floor-guard"),
        (Kind::Metadata, "/home/ann/.local", Ask, "outside-workspace"),
        (Kind::Create, "/home/ann/proj/.backstop", Ask, "rules"),
        (Kind::Delete, "/home/ann/proj/.backstop/own.cedar", Ask, "rules"),
        (Kind::Rename, "/home/ann/proj/dots", Ask, "rules"),
        (Kind::Metadata, "/home/ann/proj/dots", Allow, ""),
    ] {
        let (d, rules) = judged(vec![effect(kind, path)]);
        assert_eq!(d, decision, "{kind:?} {path}: {rules:?}");
        assert!(if rule.is_empty() { rules.is_empty() } else { rules.iter().any(|r| r == rule) }, "{path}: {rules:?}");
    }
}

#[test]
fn one_bad_effect_spoils_the_run() {
    let (d, rules) = judged(vec![
        effect(Kind::Create, "/home/ann/proj/a"),
        effect(Kind::Delete, "/etc/x"),
        effect(Kind::Delete, "/usr"),
    ]);
    assert_eq!(d, Decision::Deny);
    assert_eq!(rules.first().map(String::as_str), Some("floor-system-root"));
    assert!(rules.iter().any(|r| r == "outside-workspace"), "{rules:?}");
}

#[test]
fn what_cannot_be_known_or_kept_asks() {
    let hard = Effect { linked_elsewhere: 1, ..effect(Kind::Change, "/home/ann/proj/a") };
    let gone = Effect { undoable: false, ..effect(Kind::Delete, "/home/ann/proj/a") };
    let open = Effect {
        open_by: vec![Opener { files: 1, name: "postgres".into(), pid: 812, writing: true }],
        ..effect(Kind::Change, "/home/ann/proj/a")
    };
    for (e, rule) in [(hard, "linked-elsewhere"), (gone, "not-undoable"), (open, "open-for-writing")] {
        assert_eq!(judged(vec![e]), (Decision::Ask, vec![rule.to_owned()]));
    }
    let set = EffectSet { incomplete: vec!["x could not be read".into()], ..EffectSet::default() };
    assert_eq!(judge(&set).0, Decision::Ask);
}

#[test]
fn a_rename_is_judged_at_both_ends() {
    let e = Effect { from: Some("/etc/secret".into()), ..effect(Kind::Rename, "/home/ann/proj/secret") };
    assert_eq!(judged(vec![e]).0, Decision::Ask);
}

#[test]
fn scratch_is_free_for_ones_own_files_only() {
    let mut e = effect(Kind::Delete, "/tmp/x");
    e.before = Some(node(FileType::File, 0));
    assert_eq!(judged(vec![e]).0, Decision::Ask);
}

#[test]
fn device_nodes_are_the_floors() {
    let mut e = effect(Kind::Create, "/home/ann/proj/sda");
    e.after = Some(node(FileType::BlockDevice, 1000));
    assert_eq!(judged(vec![e]).0, Decision::Deny);
}

#[test]
fn a_file_that_gives_rights_asks_wherever_it_lies() {
    let with = |kind, before: u32, after: u32| {
        let mut e = effect(kind, "/home/ann/proj/tool");
        if let Some(n) = e.before.as_mut() {
            n.mode = before;
        }
        if let Some(n) = e.after.as_mut() {
            n.mode = after;
        }
        e
    };
    let capable = Effect { xattrs: vec!["security.capability".into()], ..effect(Kind::Create, "/tmp/tool") };
    for e in [
        with(Kind::Create, 0, 0o4755),
        with(Kind::Metadata, 0o755, 0o2755),
        with(Kind::Replace, 0o4755, 0o4755),
        capable,
    ] {
        assert_eq!(judged(vec![e]), (Decision::Ask, vec!["gives-rights".to_owned()]));
    }
    // It had them before; a set-group-id bit without the execute bit is mandatory locking.
    // So is a further name for a file that had them.
    let harmless = [
        with(Kind::Metadata, 0o4755, 0o4711),
        with(Kind::Create, 0, 0o2644),
        with(Kind::Delete, 0o4755, 0),
        with(Kind::Link, 0, 0o4755),
    ];
    for e in harmless {
        assert_eq!(judged(vec![e]).0, Decision::Allow);
    }
}

#[test]
fn only_a_denial_of_the_effect_counts_as_one() {
    let of = |rules: &[(Decision, &str)]| Judgement::of(rules.iter().map(|(d, rule)| Reason::new(*d, rule)).collect());
    for (rules, counts) in [
        (&[(Decision::Deny, "floor-system")][..], true),
        (&[(Decision::Deny, "repeats-denied"), (Decision::Deny, "database")], true),
        (&[(Decision::Deny, "repeats-denied"), (Decision::Ask, "database")], false),
        (&[(Decision::Deny, "policy-not-loaded"), (Decision::Deny, "policy-error")], false),
        (&[(Decision::Ask, "database")], false),
        (&[], false),
    ] {
        assert_eq!(of(rules).denies_the_effect(), counts, "{rules:?}");
    }
}

#[test]
fn in_place_opens_the_agents_own_places_and_shuts_what_is_not_its_own_in_them() {
    let mut ground = ground();
    ground.homes.push("/home/ann/proj/service".into());
    let places = ground.in_place();
    let has = |list: &[Bytes], path: &str| list.contains(&Bytes::from(path));
    for path in ["/home/ann/proj", "/tmp", "/var/tmp", "/home/ann/.cache", "/home/ann/.npm"] {
        assert!(has(&places.open, path), "{path}");
    }
    assert!(places.open.iter().all(|p| p.as_slice() != b"/home/ann" && !p.is_beneath(b"/home/ann/.ssh")));
    for path in [".git", ".claude", "AGENTS.md", ".backstop", "dots/policy", "service"] {
        assert!(has(&places.shut, &format!("/home/ann/proj/{path}")), "{path}");
    }
    assert!(places.private.is_empty());
    // As root nothing would keep it from what others have there.
    let root = Ground { uid: 0, ..ground.clone() }.in_place();
    assert_eq!(root.private, ground.scratch);
    assert!(!has(&root.open, "/tmp") && has(&root.open, "/home/ann/proj"));
    let none = Ground { workspace: None, ..ground }.in_place();
    assert!(!none.open.iter().any(|p| p.is_beneath(b"/home/ann/proj")) && none.shut.is_empty());
}
