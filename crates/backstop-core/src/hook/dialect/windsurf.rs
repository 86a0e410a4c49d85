//! Windsurf's dialect: the event says what is to be done, exit code 2 stops it.

use serde_json::Value;

use super::super::call::{Agent, Call, Edit, Event, Shell, Tool, Unreadable};
use super::super::edit::{Change, What};
use super::field::{bytes, object, text};
use super::tools;

pub fn read(value: &Value) -> Result<Call, Unreadable> {
    let name = text(value, &["agent_action_name"]).ok_or(Unreadable::Missing("agent_action_name"))?;
    let info = object(value.get("tool_info")).ok_or(Unreadable::Missing("tool_info"))?;
    let (event, tool) = match name {
        "pre_run_command" => {
            let line = text(&info, &["command_line"]).ok_or(Unreadable::Missing("command_line"))?;
            let shell = Shell { background: false, commands: vec![line.to_owned()], input: info.clone() };
            (Event::BeforeTool, Tool::Shell(shell))
        }
        "pre_write_code" | "post_write_code" => {
            let event = if name == "pre_write_code" { Event::BeforeTool } else { Event::AfterTool };
            (event, Tool::Edit(Edit { changes: written(&info), name: "write_code".to_owned() }))
        }
        "pre_mcp_tool_use" => {
            let tool = text(&info, &["mcp_tool_name", "tool_name"]).unwrap_or(name);
            (Event::BeforeTool, Tool::Unknown { name: tool.to_owned() })
        }
        "pre_read_code" => (Event::BeforeTool, Tool::Looks),
        "pre_user_prompt" => (Event::Other, Tool::None),
        name if name.starts_with("pre_") => return Err(Unreadable::Missing("event that is known")),
        _ => (Event::Other, Tool::None),
    };
    Ok(Call {
        agent: Agent::Windsurf,
        // The execution is the whole turn.
        call: None,
        cwd: bytes(&info, &["cwd"]),
        event,
        pascal: false,
        session: bytes(value, &["trajectory_id"]),
        subagent: None,
        tool,
    })
}

/// The file that is written, with its passages where they are told.
fn written(info: &Value) -> Vec<Change> {
    let parts = tools::parts(info.get("edits"));
    let what = parts.map_or(What::Unknown, What::Parts);
    bytes(info, &["file_path"]).map(|path| Change { path, what }).into_iter().collect()
}
