//! Claude Code's dialect, and of those that speak like it: Codex, Droid, Goose, Kiro, Qwen Code.
//! <https://code.claude.com/docs/en/hooks>

use serde_json::{Value, json};

use super::super::call::{Agent, Call, Event, Tool, Unreadable};
use super::field::{bytes, object, text};
use super::{Reply, tools};

pub fn read(agent: Agent, value: &Value) -> Result<Call, Unreadable> {
    let name = text(value, &["hook_event_name", "event", "hookEventName"]).ok_or(Unreadable::Missing("event name"))?;
    let event = event(name);
    // A client that gives its events other names must not be let through for that.
    if event == Event::Other && value.get("tool_name").is_some_and(|_| !is_after_the_fact(name)) {
        return Err(Unreadable::Missing("event that is known"));
    }
    let tool = match event {
        Event::BeforeTool | Event::AfterTool => {
            let name = text(value, &["tool_name"]).ok_or(Unreadable::Missing("tool name"))?;
            let input = object(value.get("tool_input")).ok_or(Unreadable::Missing("tool input"))?;
            tools::tool(name, &input)
        }
        Event::SessionStart | Event::SessionEnd | Event::Other => Tool::None,
    };
    Ok(Call {
        agent,
        call: bytes(value, &["tool_use_id", "tool_call_id"]),
        cwd: bytes(value, &["cwd", "working_dir"]),
        event,
        pascal: true,
        session: bytes(value, &["session_id"]),
        subagent: bytes(value, &["agent_id"]),
        tool,
    })
}

pub fn event(name: &str) -> Event {
    match name {
        "PreToolUse" | "preToolUse" | "BeforeTool" => Event::BeforeTool,
        "PostToolUse" | "postToolUse" | "AfterTool" | "PostToolUseFailure" => Event::AfterTool,
        "SessionStart" | "sessionStart" | "agentSpawn" => Event::SessionStart,
        "SessionEnd" | "sessionEnd" => Event::SessionEnd,
        _ => Event::Other,
    }
}

/// Events about a tool that stop nothing.
fn is_after_the_fact(name: &str) -> bool {
    ["PermissionDenied", "PermissionRequest", "Notification", "PostToolBatch", "SubagentStop"].contains(&name)
}

/// Other input for the tool. `consent` answers the client's own question, which is left to it where it can be.
pub fn rewrite(input: &Value, consent: Option<&str>) -> Reply {
    let mut answer = json!({"hookEventName": "PreToolUse", "updatedInput": input});
    if let Some(consent) = consent {
        answer["permissionDecision"] = Value::from(consent);
    }
    Reply::json(&json!({"hookSpecificOutput": answer}))
}

pub fn note(text: &str) -> Reply {
    Reply::json(&json!({"hookSpecificOutput": {"hookEventName": "SessionStart", "additionalContext": text}}))
}

/// A text that is shown to the person.
pub fn message(text: &str) -> Reply {
    Reply::json(&json!({"systemMessage": text}))
}
