//! GitHub Copilot CLI's dialects. An event spelt `PreToolUse` is handed over and answered as Claude Code's;
//! spelt `preToolUse` the answer is flat, and a reason on standard error is lost.

use serde_json::{Value, json};

use super::super::call::{Agent, Call, Event, Tool, Unreadable};
use super::field::{bytes, object, text};
use super::{Reply, claude, tools};

pub fn read(value: &Value) -> Result<Call, Unreadable> {
    if value.get("hook_event_name").is_some() {
        return claude::read(Agent::Copilot, value);
    }
    let tool = match text(value, &["toolName"]) {
        Some(name) => {
            let input = object(value.get("toolArgs")).ok_or(Unreadable::Missing("toolArgs"))?;
            tools::tool(name, &input)
        }
        // Its other events don't name themselves; what has no tool is none of the first.
        None if value.get("toolArgs").is_some() => return Err(Unreadable::Missing("toolName")),
        None if value.get("tool_name").is_some() || value.get("tool_input").is_some() => {
            return Err(Unreadable::Missing("hook_event_name"));
        }
        None => Tool::None,
    };
    let event = match tool {
        Tool::None => Event::Other,
        _ if value.get("toolResult").is_some() => Event::AfterTool,
        _ => Event::BeforeTool,
    };
    Ok(Call {
        agent: Agent::Copilot,
        call: bytes(value, &["toolCallId"]),
        cwd: bytes(value, &["cwd"]),
        event,
        pascal: false,
        session: bytes(value, &["sessionId"]),
        subagent: bytes(value, &["agentId"]),
        tool,
    })
}

pub fn stop(call: Option<&Call>, reason: &str) -> Reply {
    match call {
        Some(call) if !call.pascal => {
            let reason = if reason.is_empty() { "stopped by Backstop" } else { reason };
            Reply::json(&json!({"permissionDecision": "deny", "permissionDecisionReason": reason}))
        }
        _ => Reply::two(reason),
    }
}

pub fn rewrite(call: &Call, input: &Value) -> Reply {
    if call.pascal {
        return claude::rewrite(input, Some("allow"));
    }
    Reply::json(&json!({"permissionDecision": "allow", "modifiedArgs": input}))
}
