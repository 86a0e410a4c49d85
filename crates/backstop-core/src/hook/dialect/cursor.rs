//! Cursor's dialect. `preToolUse` takes another input, `beforeShellExecution` doesn't.
//! <https://cursor.com/docs/agent/hooks>

use serde_json::{Value, json};

use super::super::call::{Agent, Call, Event, Shell, Tool, Unreadable};
use super::field::{bytes, object, text};
use super::{Reply, tools};

pub fn read(value: &Value) -> Result<Call, Unreadable> {
    let name = text(value, &["hook_event_name"]).ok_or(Unreadable::Missing("event name"))?;
    let (event, tool) = match name {
        "beforeShellExecution" => {
            let line = text(value, &["command"]).ok_or(Unreadable::Missing("command"))?;
            let shell = Shell { background: false, commands: vec![line.to_owned()], input: Value::Null };
            (Event::BeforeTool, Tool::Shell(shell))
        }
        "beforeMCPExecution" => {
            let name = text(value, &["tool_name"]).ok_or(Unreadable::Missing("tool name"))?;
            (Event::BeforeTool, Tool::Unknown { name: name.to_owned() })
        }
        "preToolUse" | "postToolUse" => {
            let named = text(value, &["tool_name"]).ok_or(Unreadable::Missing("tool name"))?;
            let input = object(value.get("tool_input")).ok_or(Unreadable::Missing("tool input"))?;
            let event = if name == "postToolUse" { Event::AfterTool } else { Event::BeforeTool };
            (event, tools::tool(named, &input))
        }
        "sessionStart" => (Event::SessionStart, Tool::None),
        "sessionEnd" => (Event::SessionEnd, Tool::None),
        "beforeReadFile" | "beforeTabFileRead" | "beforeSubmitPrompt" => (Event::Other, Tool::None),
        name if name.starts_with("before") || name.starts_with("pre") => {
            return Err(Unreadable::Missing("event that is known"));
        }
        _ => (Event::Other, Tool::None),
    };
    let root = value.get("workspace_roots").and_then(|r| r.get(0)?.as_str()).map(crate::bytes::Bytes::from);
    Ok(Call {
        agent: Agent::Cursor,
        call: bytes(value, &["tool_use_id"]),
        cwd: bytes(value, &["cwd"]).or(root),
        event,
        pascal: false,
        session: bytes(value, &["conversation_id"]),
        subagent: None,
        tool,
    })
}

pub fn rewrites(call: &Call) -> bool {
    matches!(&call.tool, Tool::Shell(shell) if !shell.input.is_null())
}

pub fn stop(reason: &str) -> Reply {
    let reason = if reason.is_empty() { "stopped by Backstop" } else { reason };
    Reply::json(&json!({"permission": "deny", "user_message": reason, "agent_message": reason}))
}

pub fn pass() -> Reply {
    Reply::json(&json!({"permission": "allow"}))
}

pub fn rewrite(input: &Value) -> Reply {
    Reply::json(&json!({"permission": "allow", "updated_input": input}))
}
