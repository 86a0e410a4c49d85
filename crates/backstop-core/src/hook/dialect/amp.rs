//! Amp's dialect: the program a permission is delegated to gets the tool's input alone. Only the shell is
//! delegated to us, so an input without a command can't be read.

use serde_json::Value;

use super::super::call::{Agent, Call, Event, Unreadable};
use super::field::bytes;
use super::tools;

pub fn read(value: &Value) -> Result<Call, Unreadable> {
    if !["cmd", "command"].iter().any(|k| value.get(k).is_some()) {
        return Err(Unreadable::Missing("cmd"));
    }
    Ok(Call {
        agent: Agent::Amp,
        call: None,
        cwd: bytes(value, &["cwd"]),
        event: Event::BeforeTool,
        pascal: false,
        session: None,
        subagent: None,
        tool: tools::tool("Bash", value),
    })
}
