//! Values in, facts out. Whole files are in `corpus/lens/access/`.

use proptest::prelude::*;

use super::*;

fn look(path: &str, before: &str, after: &str) -> Seen<Access> {
    let path = Bytes::from(path);
    let object = |text: &'static [u8]| if text.is_empty() { Object::None } else { Object::File(text) };
    let place = place(&path).expect("a place of this lens");
    let leak = |text: &str| -> &'static [u8] { text.as_bytes().to_vec().leak() };
    compare(place, &path, object(leak(before)), object(leak(after)))
}

#[test]
fn places_are_known_by_path() {
    for (path, expected) in [
        ("/home/u/.ssh/authorized_keys", Some(Place::Keys)),
        ("/home/u/authorized_keys", None),
        ("/etc/ssh/authorized_keys.d/ann", Some(Place::Keys)),
        ("/etc/sudoers.d/90-x", Some(Place::Sudo)),
        ("/etc/sudoers.d", None),
        ("/etc/cron.d/backup", Some(Place::Cron)),
        ("/etc/cron.daily/logrotate", Some(Place::Script)),
        ("/var/spool/cron/crontabs/root", Some(Place::Cron)),
        ("/var/spool/cron/atjobs/a1", Some(Place::Script)),
        ("/etc/systemd/system/multi-user.target.wants/x.service", Some(Place::Unit)),
        ("/home/u/.config/systemd/user/x.timer", Some(Place::Unit)),
        ("/home/u/.bashrc", Some(Place::Startup)),
        ("/home/u/.config/fish/config.fish", Some(Place::Startup)),
        ("/etc/profile.d/x.sh", Some(Place::Startup)),
        ("/w/bashrc", None),
        ("/w/systemd/system/x.service", None),
    ] {
        assert_eq!(place(&path.into()), expected, "{path}");
    }
}

#[test]
fn a_key_is_its_blob_with_its_options() {
    let k = "/home/u/.ssh/authorized_keys";
    let facts = |keys_added, keys_removed| Access { keys_added, keys_removed, ..Access::default() };
    let a = "ssh-ed25519 AAAAC3Nza111111111111 ann@x\n";
    let b = "ssh-rsa AAAAB3Nza222222222222 bob@y\n";
    for (before, after, expected) in [
        ("", a, facts(1, 0)),
        (a, &format!("{a}{b}"), facts(1, 0)),
        (&format!("{a}{b}"), a, facts(0, 1)),
        (a, &a.replace("ann@x", "somebody else"), facts(0, 0)),
        (a, &format!("# {a}"), facts(0, 1)),
        (&format!("command=\"echo \\\"hi\\\" there\",no-pty {a}"), a, facts(1, 0)),
        (&format!("{a}{b}"), &format!("{b}{a}"), facts(0, 0)),
    ] {
        assert_eq!(look(k, before, after).facts, expected, "{before:?} -> {after:?}");
    }
    assert_eq!(look(k, "", b).told, ["key added: ssh-rsa …222222222222 bob@y"]);
}

#[test]
fn rules_of_sudo() {
    let s = "/etc/sudoers";
    let facts = |sudo_added, sudo_removed| Access { sudo_added, sudo_removed, ..Access::default() };
    for (before, after, expected) in [
        ("# x\n", "# y\n", facts(0, 0)),
        ("a ALL=(ALL) ALL\n", "a  ALL=(ALL)\tALL\n", facts(0, 0)),
        ("", "u ALL=(ALL) \\\n  NOPASSWD: ALL\n", facts(1, 0)),
        ("#includedir /etc/sudoers.d\n", "", facts(0, 1)),
        ("", "#1000 ALL=(ALL) NOPASSWD: ALL\n", facts(1, 0)),
        ("a\nb\n", "b\na\n", facts(1, 0)),
    ] {
        assert_eq!(look(s, before, after).facts, expected, "{before:?} -> {after:?}");
    }
}

#[test]
fn units_come_and_go() {
    let one = |path: &str, before: Object<'_>, after: Object<'_>| {
        let seen = compare(Place::Unit, &path.into(), before, after);
        (seen.facts.units_changed, seen.facts.units_removed, seen.told.join("; "))
    };
    let (null, lib) = (Bytes::from("/dev/null"), Bytes::from("/lib/systemd/system/a.service"));
    let (dir, wants) = ("/etc/systemd/system/a.service", "/etc/systemd/system/multi-user.target.wants/a.service");
    let file = Object::File(b"[Service]\nExecStart=/bin/a\n");
    for (path, before, after, expected) in [
        (dir, Object::None, file, (1, 0, "unit a.service: added: ExecStart=/bin/a")),
        (dir, file, Object::None, (0, 1, "unit a.service: removed")),
        (dir, Object::None, Object::Link(&null, None), (0, 1, "unit a.service: masked")),
        (dir, Object::Link(&null, None), Object::None, (1, 0, "unit a.service: no longer masked")),
        (dir, file, Object::File(b""), (0, 1, "unit a.service: masked")),
        (dir, file, Object::File(b"# x\n[Service]\nExecStart=/bin/a\n"), (0, 0, "")),
        (
            wants,
            Object::None,
            Object::Link(&lib, None),
            (1, 0, "unit a.service: enabled -> /lib/systemd/system/a.service"),
        ),
        (wants, Object::Link(&lib, None), Object::None, (0, 1, "unit a.service: disabled")),
        (
            "/etc/systemd/system/a.service.d/x.conf",
            Object::None,
            Object::File(b"[Service]\nExecStartPre=/tmp/x\n"),
            (1, 0, "unit a.service (x.conf): added: ExecStartPre=/tmp/x"),
        ),
    ] {
        let (changed, removed, told) = expected;
        assert_eq!(one(path, before, after), (changed, removed, told.to_owned()), "{path}");
    }
}

#[test]
fn a_link_that_leads_nowhere_we_can_see_is_said() {
    let target = Bytes::from("/tmp/keys");
    let path = Bytes::from("/home/u/.ssh/authorized_keys");
    let seen = compare(Place::Keys, &path, Object::None, Object::Link(&target, None));
    assert_eq!(seen.incomplete, ["after: it is a link to /tmp/keys, which was not followed"]);
}

proptest! {
    #[test]
    fn no_bytes_stop_it(before: Vec<u8>, after: Vec<u8>, text in "[ -~\n\\\\\"#]{0,200}") {
        for place in [Place::Keys, Place::Sudo, Place::Cron, Place::Script, Place::Unit, Place::Startup] {
            for (b, a) in [(&before[..], &after[..]), (text.as_bytes(), &after[..])] {
                let seen = compare(place, &"/etc/x.d/y".into(), Object::File(b), Object::File(a));
                let same = compare(place, &"/etc/x.d/y".into(), Object::File(a), Object::File(a));
                prop_assert_eq!(same, Seen::default());
                prop_assert!(seen.told.len() <= 2 * NAMED + 2);
            }
        }
    }
}

#[test]
fn a_copy_of_a_home_s_file_is_known_by_where_it_would_stand() {
    for (path, expected) in [
        ("/w/dots/.bashrc", Some(".bashrc")),
        ("/w/bob/.ssh/authorized_keys", Some(".ssh/authorized_keys")),
        ("/w/.config/systemd/user/a.timer", Some(".config/systemd/user/a.timer")),
        ("/w/x/.config/fish/config.fish", Some(".config/fish/config.fish")),
        ("/etc/profile.d/a.sh", None),
        ("/etc/sudoers", None),
    ] {
        assert_eq!(in_home(&path.into()), expected.map(str::as_bytes), "{path}");
        assert!(place(&path.into()).is_some(), "{path}");
    }
}
