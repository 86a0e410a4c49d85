//! The table of clients.

use super::Broke::{Runs, Stopped};
use super::Client;

const GARBAGE: &str = "it takes an exit code of 0 without JSON for consent";
const TIMEOUT: &str = "it takes a hook that is late for consent";
const KILLED: &str = "it takes a hook that failed for consent";

macro_rules! files {
    ($($place:literal: $file:literal),* $(,)?) => {
        &[$(($place, include_str!(concat!("../../../agents/", $file)))),*]
    };
}

/// All of them.
pub const CLIENTS: &[Client] = &[
    Client {
        name: "codex",
        rewrites: true,
        tells_denials: true,
        package: "@openai/codex@0.169.0",
        program: "@openai/codex/bin/codex.js",
        node: true,
        always: true,
        // A hook that no person has trusted is passed over in silence.
        line: "MADE_UP_KEY=$KEY $AGENT exec --skip-git-repo-check --dangerously-bypass-hook-trust --json \"$PROMPT\"",
        once: None,
        files: files!("/home/agent/.codex/config.toml": "codex/config.toml"),
        hook: files!("/home/agent/.codex/hooks.json": "codex/hooks.json"),
        // `rm -rf` it refuses by itself when it may ask nobody.
        incident: "find temp/ -mindepth 1 -delete",
        edit: &[(
            "apply_patch",
            r#""*** Begin Patch\n*** Update File: notes/today.txt\n@@\n-old words\n+new words\n*** End Patch\n""#,
        )],
        delegate: &[
            ("spawn_agent", r#"{"message": "SCRIPT-OF-THE-SUBAGENT", "task_name": "clean", "fork_turns": "none"}"#),
            ("wait_agent", r#"{"timeout_ms": 20000}"#),
        ],
        settings: "/home/agent/.codex/config.toml",
        broken: [Runs(KILLED), Runs(TIMEOUT), Runs(GARBAGE)],
    },
    Client {
        name: "claude",
        rewrites: true,
        tells_denials: true,
        package: "@anthropic-ai/claude-code@2.1.330",
        program: "@anthropic-ai/claude-code-linux-@ARCH@/claude",
        node: false,
        always: true,
        line: "ANTHROPIC_BASE_URL=http://127.0.0.1:8080 ANTHROPIC_API_KEY=$KEY CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 \
               DISABLE_AUTOUPDATER=1 $AGENT -p --allowedTools Bash,Write,Edit,Read,Task,Agent --model claude-sonnet-4-5 \
               --output-format stream-json --verbose -- \"$PROMPT\"",
        once: None,
        files: files!("/home/agent/.bashrc": "claude/bashrc"),
        hook: files!("/home/agent/.claude/settings.json": "claude/settings.json"),
        incident: "rm -rf temp/*",
        edit: &[
            ("Read", r#"{"file_path": "/w/work/notes/today.txt"}"#),
            (
                "Edit",
                r#"{"file_path": "/w/work/notes/today.txt", "old_string": "old words", "new_string": "new words"}"#,
            ),
        ],
        delegate: &[(
            "Agent|Task",
            r#"{"description": "clean", "prompt": "SCRIPT-OF-THE-SUBAGENT", "subagent_type": "general-purpose"}"#,
        )],
        settings: "/home/agent/.claude/settings.json",
        // `onFailure: block` closes the first two.
        broken: [Stopped, Stopped, Runs(GARBAGE)],
    },
    Client {
        name: "gemini",
        rewrites: true,
        tells_denials: true,
        package: "@google/gemini-cli@0.61.0",
        program: "@google/gemini-cli/bundle/gemini.js",
        node: true,
        always: true,
        line: "GEMINI_API_KEY=$KEY GOOGLE_GEMINI_BASE_URL=http://127.0.0.1:8080 NO_BROWSER=1 GEMINI_CLI_NO_RELAUNCH=true $AGENT --skip-trust \
               --approval-mode yolo -m gemini-2.5-pro --output-format json -p \"$PROMPT\"",
        once: None,
        files: files!("/home/agent/.gemini/settings.json": "gemini/settings.json"),
        hook: files!("/home/agent/.gemini/settings.json": "gemini/hooks.json"),
        incident: "rm -rf temp/*",
        edit: &[(
            "replace",
            r#"{"file_path": "/w/work/notes/today.txt", "old_string": "old words", "new_string": "new words", "instruction": "change it"}"#,
        )],
        delegate: &[("invoke_agent", r#"{"agent_name": "generalist", "prompt": "SCRIPT-OF-THE-SUBAGENT"}"#)],
        settings: "/home/agent/.gemini/settings.json",
        broken: [Runs(KILLED), Runs(TIMEOUT), Runs(GARBAGE)],
    },
    Client {
        name: "copilot",
        rewrites: true,
        tells_denials: true,
        package: "@github/copilot@1.0.102",
        program: "@github/copilot-linux-@ARCH@/copilot",
        node: false,
        always: true,
        line: "COPILOT_OFFLINE=true COPILOT_PROVIDER_BASE_URL=http://127.0.0.1:8080/v1 COPILOT_PROVIDER_API_KEY=$KEY \
               COPILOT_PROVIDER_TYPE=openai COPILOT_MODEL=gpt-5 COPILOT_AUTO_UPDATE=false COPILOT_PKG_CACHE_HOME=/agents/copilot/cache $AGENT --allow-all-tools \
               --allow-all-paths --no-color --output-format json -p \"$PROMPT\"",
        once: Some(
            "COPILOT_SEA_EXTRACT_ONLY=1 COPILOT_PKG_CACHE_HOME=$PWD/cache node_modules/@github/copilot-linux-@ARCH@/copilot",
        ),
        files: files!(),
        hook: files!("/home/agent/.copilot/hooks/backstop.json": "copilot/hooks.json"),
        incident: "rm -rf temp/*",
        edit: &[(
            "edit|str_replace_editor",
            r#"{"path": "/w/work/notes/today.txt", "old_str": "old words", "new_str": "new words"}"#,
        )],
        delegate: &[(
            "task",
            r#"{"description": "clean", "prompt": "SCRIPT-OF-THE-SUBAGENT", "agent_type": "general-purpose", "mode": "sync"}"#,
        )],
        settings: "/home/agent/.copilot/settings.json",
        broken: [Stopped, Runs(TIMEOUT), Runs(GARBAGE)],
    },
    Client {
        name: "qwen",
        rewrites: false,
        tells_denials: true,
        package: "@qwen-code/qwen-code@0.24.4",
        program: "@qwen-code/qwen-code/cli-entry.js",
        node: true,
        always: false,
        line: "OPENAI_API_KEY=$KEY OPENAI_BASE_URL=http://127.0.0.1:8080/v1 OPENAI_MODEL=scripted QWEN_CODE_NO_RELAUNCH=true $AGENT --approval-mode yolo \
               --output-format json -p \"$PROMPT\"",
        once: None,
        files: files!("/home/agent/.qwen/settings.json": "qwen/settings.json"),
        hook: files!("/home/agent/.qwen/settings.json": "qwen/hooks.json"),
        incident: "rm -rf temp/*",
        edit: &[
            ("read_file", r#"{"file_path": "/w/work/notes/today.txt"}"#),
            (
                "edit",
                r#"{"file_path": "/w/work/notes/today.txt", "old_string": "old words", "new_string": "new words"}"#,
            ),
        ],
        delegate: &[(
            "agent|task",
            r#"{"description": "clean", "prompt": "SCRIPT-OF-THE-SUBAGENT", "subagent_type": "general-purpose"}"#,
        )],
        settings: "/home/agent/.qwen/settings.json",
        broken: [Runs(KILLED), Runs(TIMEOUT), Runs(GARBAGE)],
    },
    Client {
        name: "opencode",
        rewrites: true,
        tells_denials: true,
        package: "opencode-ai@1.18.33",
        program: "opencode-linux-@ARCH@/bin/opencode",
        node: false,
        always: false,
        line: "OPENCODE_DISABLE_AUTOUPDATE=1 OPENCODE_DISABLE_MODELS_FETCH=1 OPENCODE_DISABLE_LSP_DOWNLOAD=1 OPENCODE_DISABLE_DEFAULT_PLUGINS=1 npm_config_offline=true npm_config_fetch_retries=0 $AGENT run --auto \
               --format json \"$PROMPT\"",
        once: None,
        files: files!("/home/agent/.config/opencode/opencode.json": "opencode/opencode.json"),
        hook: files!("/home/agent/.config/opencode/plugin/backstop.js": "../../integrations/opencode/backstop.js"),
        incident: "rm -rf temp/*",
        edit: &[
            ("read", r#"{"filePath": "/w/work/notes/today.txt"}"#),
            ("edit", r#"{"filePath": "/w/work/notes/today.txt", "oldString": "old words", "newString": "new words"}"#),
        ],
        delegate: &[(
            "task",
            r#"{"description": "clean", "prompt": "SCRIPT-OF-THE-SUBAGENT", "subagent_type": "general"}"#,
        )],
        settings: "/home/agent/.config/opencode/opencode.json",
        broken: [Stopped, Stopped, Stopped],
    },
    Client {
        name: "pi",
        rewrites: true,
        tells_denials: true,
        package: "@mariozechner/pi-coding-agent@0.73.1",
        program: "@mariozechner/pi-coding-agent/dist/cli.js",
        node: true,
        always: false,
        line: "$AGENT --offline --provider scripted --model scripted --no-session --mode json -p \"$PROMPT\"",
        once: None,
        files: files!("/home/agent/.pi/agent/models.json": "pi/models.json"),
        hook: files!("/home/agent/.pi/agent/extensions/backstop.ts": "../../integrations/pi/backstop.ts"),
        incident: "rm -rf temp/*",
        edit: &[(
            "edit",
            r#"{"path": "/w/work/notes/today.txt", "edits": [{"oldText": "old words", "newText": "new words"}]}"#,
        )],
        delegate: &[],
        settings: "/home/agent/.pi/agent/settings.json",
        broken: [Stopped, Stopped, Stopped],
    },
    Client {
        name: "cline",
        rewrites: true,
        tells_denials: false,
        package: "cline@3.0.65",
        program: "@cline/cli-linux-@ARCH@/bin/cline",
        node: false,
        always: false,
        line: "$AGENT auth --provider openai --apikey $KEY --modelid scripted --baseurl http://127.0.0.1:8080/v1 >/dev/null && \
               $AGENT --json --auto-approve true -t 40 \"$PROMPT\"",
        once: None,
        files: files!(),
        hook: files!(
            "/home/agent/.cline/hooks/PreToolUse.sh": "cline/before.sh",
            "/home/agent/.cline/hooks/PostToolUse.sh": "cline/after.sh",
        ),
        incident: "rm -rf temp/*",
        edit: &[(
            "editor",
            r#"{"command": "str_replace", "path": "/w/work/notes/today.txt", "old_text": "old words", "new_text": "new words"}"#,
        )],
        delegate: &[("spawn_agent", r#"{"task": "SCRIPT-OF-THE-SUBAGENT", "systemPrompt": "clean"}"#)],
        settings: "/home/agent/.cline/settings.json",
        // It waits for a hook that hangs. Whoever interrupts it ends the hook first, and then the command runs.
        broken: [Runs(KILLED), Stopped, Runs(GARBAGE)],
    },
];
