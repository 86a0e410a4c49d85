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
        (b"\0\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0\xed\xda\x0c\xed", Some("database")),
        (b"-----BEGIN OPENSSH PRIVATE KEY-----", Some("credentials")),
        (b"PGDMP\x01", Some("backup")),
        (b"#!/bin/sh", None),
        (b"", None),
    ] {
        assert_eq!(c.of_content(head).next(), expected, "{head:?}");
    }
    assert_eq!(c.beside(b"target").count(), 1);
}

#[test]
fn what_a_directory_holds_tells() {
    let c = classes();
    for (names, expected) in [
        (&["PG_VERSION", "base"][..], &["database"][..]),
        (&["config", "data", "index", "keys", "locks", "snapshots"], &["backup"]),
        (&["config", "data", "index", "snapshots"], &[]),
        (&["README", "config", "data", "nonce"], &["backup"]),
        (&["README", "config", "data"], &[]),
        (&["000003.log", "CURRENT", "LOCK", "LOG", "MANIFEST-000002"], &["database"]),
        (&["LOCK", "LOG"], &[]),
        (&["snap", "wal"], &[]),
        (&["_state", "indices", "nodes"], &["database"]),
        (&["CACHEDIR.TAG"], &["regenerable"]),
        (&[], &[]),
    ] {
        let found: Vec<&str> = c.of_entries(|n| names.iter().any(|name| name.as_bytes() == n)).collect();
        assert_eq!(found, expected, "{names:?}");
    }
}

#[test]
fn a_file_below_the_system_s_adds_and_takes_nothing_away() {
    let mut c = classes();
    let why = c.why("database").to_owned();
    let text = "[aaa]\nmagic = [{ text = 'SQLite' }]\n[database]\nwhy = 'harmless'\n[mine]\nwhy = 'first'";
    c.add(text, Layer::Below).expect("stricter");
    let mut found: Vec<&str> = c.of_content(b"SQLite format 3\0").collect();
    found.sort_unstable();
    assert_eq!(found, ["aaa", "database"]);
    c.add("[mine]\nwhy = 'second'", Layer::Below).expect("stricter");
    assert_eq!((c.why("database"), c.why("mine")), (why.as_str(), "first"));
    c.add("[database]\nwhy = 'ours'", Layer::System).expect("the administrator may");
    assert_eq!(c.why("database"), "ours");
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
        ("[x]\nholds_all = [['a']]", "two names"),
        ("[x]\nholds_all = [['a', 'b*']]", "plain name"),
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

#[test]
fn every_agent_has_a_class_and_a_lens_that_reads_it() {
    let c = classes();
    for (agent, places) in [
        ("Aider", &[".aider.conf.yml"][..]),
        ("Amazon Q", &[".amazonq/mcp.json", ".aws/amazonq/cli-agents/a.json"]),
        ("Amp", &[".amp/settings.json", ".config/amp/settings.json", "/etc/ampcode/managed-settings.json"]),
        ("Auggie", &[".augment/settings.json"]),
        ("Claude Code", &[".claude.json", ".claude/settings.json", "/etc/claude-code/managed-settings.json"]),
        ("Cline", &[".cline/hooks/PreToolUse"]),
        ("Codex", &[".codex/config.toml", ".codex/hooks.json", "/etc/codex/requirements.toml"]),
        ("Continue", &[".continue/permissions.yaml"]),
        ("Crush", &[".crush.json", ".config/crush/crush.json"]),
        ("Cursor", &[".cursor/hooks.json", "/etc/cursor/hooks.json"]),
        ("Droid", &[".factory/hooks.json"]),
        ("Gemini CLI", &[".gemini/settings.json", "/etc/gemini-cli/settings.json"]),
        ("GitHub Copilot", &[".copilot/hooks/a.json", "/etc/github-copilot/policy.d/a.json"]),
        ("GitHub Copilot", &[".config/Code/User/settings.json", ".config/Code/User/mcp.json"]),
        ("Goose", &[".config/goose/config.yaml", ".agents/plugins/a/hooks/hooks.json"]),
        ("Junie", &[".junie/mcp/mcp.json"]),
        ("Kilo Code", &[".kilocode/mcp.json", ".config/kilo/opencode.json"]),
        ("Kimi Code", &[".kimi-code/config.toml", ".kimi/config.toml"]),
        ("Kiro", &[".kiro/hooks/a.json"]),
        ("Mistral Vibe", &[".vibe/hooks.toml"]),
        ("OpenCode", &[".config/opencode/opencode.json", ".opencode/plugins/a.js"]),
        ("Pi", &[".pi/agent/extensions/a.ts"]),
        ("Qwen Code", &[".qwen/settings.json", "/etc/qwen-code/settings.json"]),
        ("Roo Code", &[".roo/mcp.json"]),
        ("Windsurf", &[".codeium/windsurf/hooks.json", "/etc/windsurf/hooks.json"]),
        ("Zed", &[".config/zed/settings.json"]),
        ("several agents", &["AGENTS.md"]),
    ] {
        for place in places {
            let path = Bytes::from("/home/ann").join(place.as_bytes());
            let path = if place.starts_with('/') { Bytes::from(*place) } else { path };
            assert!(c.of_place(&path).any(|class| class == "agent-config"), "{place} has no class");
            let row = crate::lens::agent::place(&path).map(|row| row.agent);
            assert_eq!(row, Some(agent), "{place}");
        }
    }
}
