//! Cline's dialect: exit codes mean nothing to it, one object on standard output does.

use serde_json::{Value, json};

use super::super::call::{Agent, Call, Event, Tool, Unreadable};
use super::field::{bytes, object, text};
use super::{Reply, tools};

pub fn read(value: &Value) -> Result<Call, Unreadable> {
    let name = text(value, &["hookName"]).ok_or(Unreadable::Missing("hookName"))?;
    let event = match name {
        "tool_call" | "PreToolUse" => Event::BeforeTool,
        "tool_result" | "PostToolUse" => Event::AfterTool,
        "session_shutdown" => Event::SessionEnd,
        // What carries a tool and has another name might be the first of these in a later version.
        _ if value.get("tool_call").is_some() || value.get("preToolUse").is_some() => Event::BeforeTool,
        _ => Event::Other,
    };
    let tool = match event {
        Event::BeforeTool => used(value, BEFORE)?,
        // Nothing depends on it but when an edit is looked at.
        Event::AfterTool => used(value, AFTER).unwrap_or(Tool::None),
        _ => Tool::None,
    };
    Ok(Call {
        agent: Agent::Cline,
        call: [BEFORE, AFTER].iter().find_map(|(name, _)| bytes(value.get(name)?, &["id"])),
        cwd: value.get("workspaceInfo").and_then(|w| bytes(w, &["rootPath"])),
        event,
        pascal: false,
        session: value
            .get("sessionContext")
            .and_then(|s| bytes(s, &["rootSessionId"]))
            .or_else(|| bytes(value, &["taskId"])),
        subagent: bytes(value, &["parent_agent_id"]).and_then(|_| bytes(value, &["agent_id"])),
        tool,
    })
}

/// Where the tool stands: by itself, and in the older form of it, in which all values are texts.
type Fields = (&'static str, &'static str);
const BEFORE: Fields = ("tool_call", "preToolUse");
const AFTER: Fields = ("tool_result", "postToolUse");

fn used(value: &Value, (own, older): Fields) -> Result<Tool, Unreadable> {
    if let Some(call) = value.get(own) {
        let name = text(call, &["name"]).ok_or(Unreadable::Missing("tool name"))?;
        let input = object(call.get("input")).ok_or(Unreadable::Missing("tool input"))?;
        return Ok(tools::tool(name, &input));
    }
    let call = value.get(older).ok_or(Unreadable::Missing("tool"))?;
    let name = text(call, &["toolName"]).ok_or(Unreadable::Missing("tool name"))?;
    let mut input = object(call.get("parameters")).ok_or(Unreadable::Missing("tool input"))?;
    // Here a list is a text that holds one.
    if let Some(list) = input.get("commands").and_then(Value::as_str) {
        input["commands"] = serde_json::from_str(list).map_err(|_| Unreadable::Missing("list of commands"))?;
    }
    Ok(tools::tool(name, &input))
}

pub fn stop(reason: &str) -> Reply {
    let reason = if reason.is_empty() { "stopped by Backstop" } else { reason };
    Reply::json(&json!({"cancel": true, "errorMessage": reason}))
}

pub fn pass() -> Reply {
    Reply::json(&json!({"cancel": false}))
}

pub fn rewrite(input: &Value) -> Reply {
    Reply::json(&json!({"cancel": false, "overrideInput": input}))
}
