use super::*;

fn set() -> EffectSet {
    let node = Node {
        content: Some(Digest::of_content(b"x")),
        ctime: Timestamp::new(5, 6),
        dev: 1,
        gid: 2,
        ino: 3,
        mode: 0o644,
        mtime: Timestamp::new(5, 7),
        nlink: 1,
        rdev: Some(4),
        size: 10,
        target: Some("t".into()),
        file_type: FileType::File,
        uid: 0,
    };
    let mut tally =
        Tally { digest: Some(Digest::of_content(b"y")), newest: Some(Timestamp::new(1, 0)), ..Tally::default() };
    tally.note_big(7, || "/a/b".into());
    tally.owners.insert(10, 1);
    tally.owners.insert(9, 1);
    let effect = Effect {
        after: Some(node.clone()),
        aspects: vec![Aspect::Mode, Aspect::Xattrs],
        before: Some(node),
        beneath: Some(tally),
        from: Some(Bytes::new(b"/\xff".to_vec())),
        kind: Kind::Rename,
        linked_elsewhere: 1,
        mount: 0,
        open_by: vec![Opener { files: 1, name: "p".into(), pid: 2, writing: true }],
        path: "/a".into(),
        undoable: false,
        xattrs: vec!["user.x".into()],
    };
    EffectSet {
        conflicts: vec![Conflict { path: "/c".into(), why: "w".into() }],
        crossings: vec![Crossing { hit: "/h".into(), how: CrossingKind::Link, typed: "/t".into(), via: "/v".into() }],
        doors: vec![Door { shut: true, to: "/run/x".into(), who: "curl".into() }],
        effects: vec![effect],
        incomplete: vec!["i".into()],
        mounts: vec![Mount {
            cover: Cover::ReadOnly { why: "vfat".into() },
            fs: "vfat".into(),
            path: "/m".into(),
            point: "/m".into(),
            root: "/".into(),
            source: "/dev/x".into(),
        }],
    }
}

#[test]
fn what_is_hashed_is_canonical_and_can_be_read_again() {
    let set = set();
    let (digest, lines) = set.lines();
    for line in lines.split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
        assert!(canon::is_canonical(line), "{}", Bytes::from(line).quoted());
    }
    let again = EffectSet::from_lines(&lines).expect("what we wrote");
    assert_eq!(again, set);
    assert_eq!(again.digest(), digest);
}

#[test]
fn any_difference_gives_another_digest() {
    let (a, mut b) = (set(), set());
    b.effects[0].before.as_mut().expect("it has one").ino += 1;
    assert_ne!(a.digest(), b.digest());
}
