//! Gemini CLI's dialect: Claude Code's fields under other event names, and an answer of its own.

use serde_json::{Value, json};

use super::super::call::{Agent, Call, Unreadable};
use super::{Reply, claude};

pub fn read(value: &Value) -> Result<Call, Unreadable> {
    claude::read(Agent::Gemini, value)
}

pub fn rewrite(input: &Value) -> Reply {
    Reply::json(&json!({"hookSpecificOutput": {"hookEventName": "BeforeTool", "tool_input": input}}))
}
