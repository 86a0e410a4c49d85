use super::*;

fn classes() -> Classes {
    Classes::new(&["/home/ann".into(), "/root".into()])
}

#[test]
fn a_place_has_its_classes() {
    let c = classes();
    for (path, expected) in [
        ("/home/ann/.ssh/id_ed25519", &["credentials", "home-config"][..]),
        ("/root/.ssh", &["credentials", "home-config"]),
        ("/home/ann/.sshx", &["home-config"]),
        ("/home/ann/.cache/pip/x", &["cache"]),
        ("/home/ann/.lesshst", &["history"]),
        ("/home/ann/.claude/settings.json", &["agent-config", "home-config"]),
        ("/home/ann/notes.txt", &[]),
        ("/home/ann", &[]),
        ("/etc/ssh/sshd_config", &["credentials", "system"]),
        ("/etc/hosts", &["system"]),
        ("/etcetera", &[]),
        ("/var/lib/mysql/ibdata1", &["database", "system"]),
        ("/var/backups/x", &["backup"]),
        ("/tmp/x", &[]),
    ] {
        let path = Bytes::from(path);
        let mut found: Vec<&str> = c.of_place(&path).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{path:?}");
    }
}

#[test]
fn names_and_contents_tell() {
    let c = classes();
    for (name, expected) in [
        ("id_rsa", Some("credentials")),
        ("x.pem", Some("credentials")),
        (".env.local", Some("credentials")),
        (".pem", None),
        ("app.sqlite3", Some("database")),
        ("node_modules", Some("regenerable")),
        ("main.rs", None),
    ] {
        assert_eq!(c.of_name(name.as_bytes()).next(), expected, "{name}");
    }
    for (head, expected) in [
        (&b"SQLite format 3\0\x10\0"[..], Some("database")),
        (b"REDIS0011", Some("database")),
        (b"\x01\x02\x03\x04\x05\x06\x07\x08DUCK", Some("database")),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----", Some("credentials")),
        (b"PGDMP\x01", Some("backup")),
        (b"#!/bin/sh", None),
        (b"", None),
    ] {
        assert_eq!(c.of_content(head), expected, "{head:?}");
    }
    assert_eq!(c.of_entry(b"PG_VERSION").collect::<Vec<_>>(), ["database"]);
    assert!(c.tells(b"PG_VERSION") && c.tells(b"id_rsa") && !c.tells(b"node_modules") && !c.tells(b"a.c"));
    assert_eq!(c.beside(b"target").count(), 1);
}

#[test]
fn only_the_system_frees_places() {
    let mut c = classes();
    let mine = Layer::Below;
    for text in ["[cache]\nhome = ['x']", "[regenerable]\nnames = ['x']", "[history]\nwhy = ''", "[mine]\nown = 'all'"]
    {
        assert!(matches!(c.add(text, mine), Err(ClassFileError::Frees { .. })), "{text}");
        c.clone().add(text, Layer::System).expect("the administrator may");
    }
    c.add("[database]\nsystem = ['/data/pg']\n[secret-plans]\nwhy='they are'\nprotected=true\nhome=['plans']", mine)
        .expect("stricter");
    assert_eq!(c.of_place(&"/data/pg/base".into()).next(), Some("database"));
    assert!(c.protected("secret-plans") && c.of_place(&"/home/ann/plans/x".into()).next() == Some("secret-plans"));
}

#[test]
fn a_wrong_line_is_named_and_nothing_of_the_file_taken() {
    for (text, part) in [
        ("[x]\nplaces = []", "unknown field"),
        ("x = 1", "invalid type"),
        ("[x", "unclosed table"),
        ("[X]", "lower-case"),
        ("[workspace]\nhome = ['a']", "worked out"),
        ("[x]\nsystem = ['etc']", "absolute"),
        ("[x]\nsystem = ['/']", "absolute"),
        ("[x]\nhome = ['/etc']", "below a home"),
        ("[x]\nhome = ['../..']", "`..`"),
        ("[x]\nnames = ['a*b']", "one `*`"),
        ("[x]\nnames = ['*']", "one `*`"),
        ("[x]\nholds = ['*.x']", "plain name"),
        ("[x]\nmagic = [{ text = 'a' }]", "at least 2 bytes"),
        ("[x]\nmagic = [{ hex = 'abc' }]", "two digits"),
        ("[x]\nmagic = [{ hex = 'abcd', text = 'ab' }]", "either"),
        ("[x]\nmagic = [{ at = 63, text = 'ab' }]", "within"),
    ] {
        let (mut c, before) = (classes(), classes());
        let error = c.add(text, Layer::System).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
        assert_eq!(c, before, "{text}");
    }
}
