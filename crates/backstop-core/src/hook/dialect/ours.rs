//! What our own plugins for OpenCode and Pi say to us, and what they take. They stop a call on anything but
//! an object they know, on any exit code but 0, and when nothing comes in time.

use serde_json::{Value, json};

use super::super::call::{Agent, Call, Event, Tool, Unreadable};
use super::field::{bytes, object, text};
use super::{Reply, tools};

pub fn read(agent: Agent, value: &Value) -> Result<Call, Unreadable> {
    let event = match text(value, &["event"]).ok_or(Unreadable::Missing("event"))? {
        "tool" => Event::BeforeTool,
        "after" => Event::AfterTool,
        "start" => Event::SessionStart,
        "end" => Event::SessionEnd,
        _ => return Err(Unreadable::Missing("event that is known")),
    };
    let tool = if matches!(event, Event::BeforeTool | Event::AfterTool) {
        let name = text(value, &["tool"]).ok_or(Unreadable::Missing("tool"))?;
        let input = object(value.get("args")).ok_or(Unreadable::Missing("args"))?;
        tools::tool(name, &input)
    } else {
        Tool::None
    };
    Ok(Call {
        agent,
        call: bytes(value, &["call"]),
        cwd: bytes(value, &["cwd"]),
        event,
        pascal: false,
        session: bytes(value, &["session"]),
        subagent: bytes(value, &["subagent"]),
        tool,
    })
}

pub fn stop(reason: &str) -> Reply {
    let reason = if reason.is_empty() { "stopped by Backstop" } else { reason };
    Reply::json(&json!({"deny": reason}))
}

pub fn pass() -> Reply {
    Reply::json(&json!({"pass": true}))
}

pub fn rewrite(input: &Value) -> Reply {
    Reply::json(&json!({"args": input}))
}

pub fn note(text: &str) -> Reply {
    Reply::json(&json!({"note": text}))
}
