//! Windsurf's dialect: the event says what is to be done, exit code 2 stops it.

use serde_json::Value;

use super::super::call::{Agent, Call, Edit, Event, Shell, Tool, Unreadable};
use super::field::{bytes, object, text};

pub fn read(value: &Value) -> Result<Call, Unreadable> {
    let name = text(value, &["agent_action_name"]).ok_or(Unreadable::Missing("agent_action_name"))?;
    let info = object(value.get("tool_info")).ok_or(Unreadable::Missing("tool_info"))?;
    let (event, tool) = match name {
        "pre_run_command" => {
            let line = text(&info, &["command_line"]).ok_or(Unreadable::Missing("command_line"))?;
            let shell =
                Shell { background: false, commands: vec![line.to_owned()], description: None, input: info.clone() };
            (Event::BeforeTool, Tool::Shell(shell))
        }
        "pre_write_code" => {
            let paths = bytes(&info, &["file_path"]).into_iter().collect();
            (Event::BeforeTool, Tool::Edit(Edit { name: name.to_owned(), paths }))
        }
        "pre_mcp_tool_use" => {
            let tool = text(&info, &["mcp_tool_name", "tool_name"]).unwrap_or(name);
            (Event::BeforeTool, Tool::Unknown { name: tool.to_owned() })
        }
        "pre_read_code" => (Event::BeforeTool, Tool::Looks),
        _ => (Event::Other, Tool::None),
    };
    Ok(Call {
        agent: Agent::Windsurf,
        call: bytes(value, &["execution_id"]),
        cwd: bytes(&info, &["cwd"]),
        event,
        pascal: false,
        session: bytes(value, &["trajectory_id"]),
        subagent: None,
        tool,
    })
}
