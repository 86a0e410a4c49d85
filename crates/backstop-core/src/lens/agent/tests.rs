//! Values in, facts out. Whole files are in `corpus/lens/agent/`.

use proptest::prelude::*;

use super::*;

fn look(path: &str, before: &str, after: &str) -> Seen<AgentSettings> {
    let row = place(&path.into()).expect("a path of the table");
    let side = |text: &'static [u8]| (!text.is_empty()).then_some(text);
    let leak = |text: &str| -> &'static [u8] { text.as_bytes().to_vec().leak() };
    compare(row, side(leak(before)), side(leak(after)), false)
}

fn facts(agent: &str, hooks: i64, permissions: i64, mcp: i64) -> AgentSettings {
    AgentSettings {
        agents: [agent.to_owned()].into(),
        hooks_changed: hooks,
        instructions_changed: 0,
        mcp_changed: mcp,
        permissions_changed: permissions,
    }
}

#[test]
fn paths_belong_to_agents() {
    for (path, expected) in [
        ("/home/u/.claude/settings.json", Some("Claude Code")),
        ("/w/.claude/settings.local.json", Some("Claude Code")),
        ("/etc/claude-code/managed-settings.d/10-x.json", Some("Claude Code")),
        ("/w/etc/claude-code/managed-settings.json", None),
        ("/home/u/.claude/plugins/a/b/hooks/hooks.json", Some("Claude Code")),
        ("/home/u/.claude/projects/x.jsonl", None),
        ("/home/u/.codex/config.toml", Some("Codex")),
        ("/home/u/.config/goose/config.yaml", Some("Goose")),
        ("/w/.clinerules/hooks/PreToolUse", Some("Cline")),
        ("/w/.opencode/plugins/guard.js", Some("OpenCode")),
        ("/w/AGENTS.md", Some("several agents")),
        ("/w/README.md", None),
        ("/w/settings.json", None),
    ] {
        assert_eq!(place(&path.into()).map(|r| r.agent), expected, "{path}");
    }
}

#[test]
fn a_hook_that_goes_is_named() {
    let hook =
        r#"{"hooks":{"PreToolUse":[{"matcher":"*","hooks":[{"type":"command","command":"guard"}]}]},"model":"x"}"#;
    let seen = look("/h/.claude/settings.json", hook, r#"{"model":"y"}"#);
    assert_eq!(seen.facts, facts("Claude Code", 1, 0, 0));
    let told = r#"Claude Code: hook removed: hooks/PreToolUse("*"): {"command":"guard","type":"command"}"#;
    assert_eq!(seen.told, [told.replace('\\', "")]);
}

#[test]
fn what_decides_nothing_counts_nothing() {
    assert_eq!(look("/h/.claude/settings.json", r#"{"model":"a"}"#, r#"{"model":"b"}"#), Seen::default());
    assert_eq!(look("/h/.claude.json", r#"{"numStartups":1}"#, r#"{"numStartups":2}"#), Seen::default());
    assert_eq!(look("/h/.codex/config.toml", "model = 'a'\n", "model = 'b' # c\n"), Seen::default());
}

#[test]
fn each_kind_is_counted() {
    for (path, before, after, expected) in [
        (
            "/h/.codex/config.toml",
            "approval_policy = 'on-request'\n[mcp_servers.a]\ncommand = 'x'\n",
            "approval_policy = 'never'\nsandbox_mode = 'danger-full-access'\n[mcp_servers.a]\ncommand = 'y'\n",
            facts("Codex", 0, 2, 1),
        ),
        (
            "/w/.claude/settings.json",
            r#"{"permissions":{"allow":["Bash(ls)"],"deny":["Read(.env)"]}}"#,
            r#"{"permissions":{"allow":["Bash(*)","Bash(ls)"]}, // all
            }"#,
            facts("Claude Code", 0, 1, 0),
        ),
        ("/w/.mcp.json", "", r#"{"mcpServers":{"a":{"command":"x"},"b":{"url":"y"}}}"#, facts("Claude Code", 0, 0, 2)),
        (
            "/h/.config/goose/config.yaml",
            "GOOSE_MODE: smart_approve\nextensions:\n  a: 1\n",
            "GOOSE_MODE: auto\nextensions:\n  a: 1\n",
            facts("Goose", 0, 1, 0),
        ),
        ("/h/.cline/hooks/PreToolUse.sh", "exit 0\n", "", facts("Cline", 1, 0, 0)),
        ("/h/.gemini/policies/a.toml", "x", "y", facts("Gemini CLI", 0, 1, 0)),
    ] {
        assert_eq!(look(path, before, after).facts, expected, "{path}");
    }
}

#[test]
fn what_cant_be_read_counts_as_changed() {
    let seen = look("/h/.claude/settings.json", r#"{"hooks":{"A":[1,2]}}"#, "{broken");
    assert_eq!(seen.facts, facts("Claude Code", 2, 1, 1));
    assert_eq!(seen.told[0], "Claude Code: can't be read afterwards: it is no JSON");
}

#[test]
fn instructions_in_the_workspace_are_work() {
    let row = place(&"/w/CLAUDE.md".into()).expect("in the table");
    assert_eq!(compare(row, None, Some(b"x"), true), Seen::default());
    assert_eq!(compare(row, None, Some(b"x"), false).facts.instructions_changed, 1);
}

proptest! {
    #[test]
    fn no_bytes_stop_it(junk: Vec<u8>, text in "[\\[\\]{}\":,a/*\\\\ \n=#-]{0,120}", at in 0usize..60, byte: u8) {
        let mut near = br#"{"hooks":{"A":[{"matcher":"x","hooks":[1]}]},"permissions":{}}"#.to_vec();
        let n = near.len();
        near[at % n] = byte;
        for path in ["/h/.claude/settings.json", "/h/.codex/config.toml", "/h/.config/goose/config.yaml", "/h/.cline/hooks/x"] {
            let row = place(&path.into()).expect("in the table");
            for bytes in [&junk[..], text.as_bytes(), &near] {
                let _seen = compare(row, Some(bytes), Some(b"{}"), false);
                let _seen = compare(row, Some(b"{}"), Some(bytes), false);
                prop_assert_eq!(compare(row, Some(bytes), Some(bytes), false), Seen::default());
            }
        }
    }
}
