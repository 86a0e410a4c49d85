//! The canary: a call of the shell tool in each client's own words, and what of the answers stops that client.

use backstop_core::hook::Agent;
use serde_json::{Value, json};

/// A verb of people's: whatever the policy, an agent that types it has to be stopped.
pub const STOPS: &str = "backstop commit canary";

/// What only reads goes on, whatever the policy: a hook that stops everything is broken as well.
pub const GOES_ON: &str = "ls";

/// What the client hands its hook before `command` is run.
pub fn payload(agent: Agent, command: &str, cwd: &str) -> Value {
    let claude = |event: &str, tool: &str| {
        json!({
            "session_id": "canary", "cwd": cwd, "hook_event_name": event, "tool_name": tool,
            "tool_input": {"command": command}, "tool_use_id": "canary",
        })
    };
    match agent {
        Agent::Amp => json!({"cmd": command, "cwd": cwd}),
        Agent::Claude | Agent::Codex => claude("PreToolUse", "Bash"),
        Agent::Cline => json!({
            "hookName": "tool_call", "workspaceInfo": {"rootPath": cwd},
            "tool_call": {"id": "canary", "name": "run_commands", "input": {"commands": [command]}},
        }),
        Agent::Copilot => {
            json!({"sessionId": "canary", "cwd": cwd, "toolName": "bash", "toolArgs": {"command": command}})
        }
        Agent::Cursor => json!({
            "hook_event_name": "preToolUse", "conversation_id": "canary", "workspace_roots": [cwd], "cwd": cwd,
            "tool_name": "Shell", "tool_input": {"command": command},
        }),
        Agent::Droid => claude("PreToolUse", "Execute"),
        Agent::Gemini => claude("BeforeTool", "run_shell_command"),
        Agent::Goose => json!({
            "event": "PreToolUse", "session_id": "canary", "tool_name": "developer__shell",
            "tool_input": {"command": command}, "working_dir": cwd, "tool_call_id": "canary",
        }),
        Agent::Kiro => claude("preToolUse", "execute_bash"),
        Agent::OpenCode | Agent::Pi => {
            json!({"event": "tool", "session": "canary", "call": "canary", "cwd": cwd, "tool": "bash", "args": {"command": command}})
        }
        Agent::Qwen => claude("PreToolUse", "run_shell_command"),
        Agent::Windsurf => json!({
            "agent_action_name": "pre_run_command", "trajectory_id": "canary", "execution_id": "canary",
            "tool_info": {"command_line": command, "cwd": cwd},
        }),
    }
}

/// True for the answer that stops this client, as it was measured; no other will do.
pub fn stops(agent: Agent, code: Option<i32>, out: &str, err: &str) -> bool {
    let said: Value = serde_json::from_str(out).unwrap_or_default();
    let reason = |key: &str| said[key].as_str().is_some_and(|t| !t.trim().is_empty());
    match agent {
        Agent::Cline => code == Some(0) && said["cancel"] == true && reason("errorMessage"),
        Agent::Copilot => code == Some(0) && said["permissionDecision"] == "deny" && reason("permissionDecisionReason"),
        Agent::Cursor => code == Some(0) && said["permission"] == "deny" && reason("agent_message"),
        Agent::OpenCode | Agent::Pi => code == Some(0) && reason("deny"),
        Agent::Amp | Agent::Claude | Agent::Codex | Agent::Droid | Agent::Gemini | Agent::Goose => two(code, out, err),
        Agent::Kiro | Agent::Qwen | Agent::Windsurf => two(code, out, err),
    }
}

/// Exit code 2, a reason on standard error, nothing on standard output.
fn two(code: Option<i32>, out: &str, err: &str) -> bool {
    code == Some(2) && out.is_empty() && !err.trim().is_empty()
}
