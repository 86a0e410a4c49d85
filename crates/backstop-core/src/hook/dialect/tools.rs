//! What a tool does, by its name and its input. A name that nobody knows is taken for one that executes.

use serde_json::Value;

use super::super::call::{Edit, Shell, Tool};
use super::super::edit::{Change, Part, What, patch};
use super::field::{any, only, text};
use crate::bytes::Bytes;

/// Names of shells, in lower case.
const SHELLS: [&str; 13] = [
    "bash",
    "developer__shell",
    "exec_command",
    "execute",
    "execute_bash",
    "execute_command",
    "local_shell",
    "powershell",
    "run_command",
    "run_commands",
    "run_shell_command",
    "shell",
    "shell_command",
];

/// Names of tools that change files.
const EDITS: [&str; 30] = [
    "apply_patch",
    "applypatch",
    "create",
    "create_file",
    "delete_file",
    "developer__edit",
    "developer__text_editor",
    "developer__write",
    "edit",
    "edit_file",
    "edit_notebook",
    "editor",
    "fs_write",
    "insert_edit_into_file",
    "multi_edit",
    "multiedit",
    "new_file",
    "notebookedit",
    "patch",
    "replace",
    "replace_in_file",
    "str_replace",
    "str_replace_based_edit_tool",
    "str_replace_editor",
    "text_editor",
    "undo_edit",
    "update_file",
    "write",
    "write_file",
    "write_to_file",
];

/// Those of them that look as well, by a command of their own.
const VIEWS: [&str; 5] =
    ["developer__text_editor", "editor", "str_replace_based_edit_tool", "str_replace_editor", "text_editor"];

/// The names that contents and passages have.
const WHOLE: [&str; 5] = ["content", "contents", "fileText", "file_text", "text"];
const OLD: [&str; 6] = ["before", "old_string", "oldString", "old_str", "oldText", "old_text"];
const NEW: [&str; 6] = ["after", "new_string", "newString", "new_str", "newText", "new_text"];
const WRITES: [&[&str]; 3] = [&WHOLE, &OLD, &NEW];

/// Names of tools that look, think, plan or ask a person; what they fetch changes nothing here.
const LOOKS: [&str; 81] = [
    "activate_skill",
    "ask_followup_question",
    "ask_question",
    "ask_user",
    "askuserquestion",
    "attempt_completion",
    "bashoutput",
    "codebase_search",
    "create_goal",
    "enterplanmode",
    "exit_plan_mode",
    "exitplanmode",
    "fetch",
    "fetch_copilot_cli_documentation",
    "fetch_web_content",
    "file_search",
    "find",
    "fs_read",
    "get_goal",
    "get_internal_docs",
    "glob",
    "google_web_search",
    "grep",
    "grep_search",
    "killshell",
    "list",
    "list_agents",
    "list_background_processes",
    "list_bash",
    "list_code_definition_names",
    "list_directory",
    "list_files",
    "list_mcp_resource_templates",
    "list_mcp_resources",
    "listagents",
    "listmcpresourcestool",
    "ls",
    "plan",
    "question",
    "read",
    "read_agent",
    "read_background_output",
    "read_bash",
    "read_file",
    "read_files",
    "read_lints",
    "read_many_files",
    "read_mcp_resource",
    "readmcpresourcetool",
    "report_intent",
    "reportfindings",
    "request_user_input",
    "rg",
    "search",
    "search_codebase",
    "search_file_content",
    "search_files",
    "semantic_search",
    "skill",
    "slashcommand",
    "sleep",
    "stop_bash",
    "taskoutput",
    "think",
    "todo_write",
    "todoread",
    "todowrite",
    "tool_search",
    "toolsearch",
    "update_goal",
    "update_plan",
    "update_todo",
    "update_topic",
    "view",
    "view_image",
    "wait",
    "web_fetch",
    "web_search",
    "webfetch",
    "websearch",
    "write_todos",
];

/// Names of tools that start another agent, or speak with one.
const DELEGATES: [&str; 17] = [
    "agent",
    "close_agent",
    "delegate_to_agent",
    "followup_task",
    "interrupt_agent",
    "invoke_agent",
    "list_agents",
    "resume_agent",
    "send_input",
    "send_message",
    "sendmessage",
    "spawn_agent",
    "subagent",
    "task",
    "taskstop",
    "wait_agent",
    "write_agent",
];

/// What Codex writes in front of these.
const FAMILIES: [&str; 2] = ["collaboration", "multi_agent_v1"];

/// Names of tools that type into a running program.
const TYPES: [&str; 2] = ["write_bash", "write_stdin"];

/// What `name` with `input` would do.
pub fn tool(name: &str, input: &Value) -> Tool {
    let lower = name.to_ascii_lowercase();
    // Codex writes the tools of its own agents with their family in front.
    let family = FAMILIES.iter().find_map(|family| lower.strip_prefix(family));
    let lower = family.filter(|own| DELEGATES.contains(own)).unwrap_or(&lower);
    let is = |names: &[&str]| names.contains(&lower);
    if is(&TYPES) {
        return Tool::Types;
    }
    if is(&SHELLS) {
        return shell(input).unwrap_or_else(|| Tool::Unknown { name: name.to_owned() });
    }
    // One tool with several commands: looking is one of them.
    let looks = is(&VIEWS) && text(input, &["command"]) == Some("view") && !any(input, &WRITES.concat());
    if looks || is(&LOOKS) {
        return Tool::Looks;
    }
    if is(&EDITS) {
        return Tool::Edit(Edit { changes: changes(lower, input), name: name.to_owned() });
    }
    if is(&DELEGATES) {
        return Tool::Delegates;
    }
    Tool::Unknown { name: name.to_owned() }
}

/// The commands of a shell's input: one text, a list of texts, or a program with its arguments.
fn shell(input: &Value) -> Option<Tool> {
    // Of two the client runs one, and nobody here knows which.
    if KEYS.iter().chain(&["commands"]).filter(|k| input.get(k).is_some()).count() != 1 {
        return None;
    }
    let commands = match one(input) {
        Some(key) => match &input[key] {
            Value::String(line) => vec![line.clone()],
            // Programs with their arguments come as a list under the same name.
            Value::Array(words) => {
                let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
                vec![words?.into_iter().map(super::super::quote).collect::<Vec<_>>().join(" ")]
            }
            _ => return None,
        },
        None => {
            let lines = input.get("commands")?.as_array()?;
            lines.iter().map(|l| line_of(l).map(str::to_owned)).collect::<Option<_>>()?
        }
    };
    if commands.is_empty() {
        return None;
    }
    Some(Tool::Shell(Shell { background: false, commands, input: input.clone() }))
}

const KEYS: [&str; 4] = ["command", "cmd", "command_line", "CommandLine"];

/// The key under which a shell's input has its one command.
fn one(input: &Value) -> Option<&'static str> {
    KEYS.into_iter().find(|k| input.get(k).is_some())
}

fn line_of(entry: &Value) -> Option<&str> {
    entry.as_str().or_else(|| entry.get("command")?.as_str())
}

/// The same input with other commands.
pub fn with(input: &Value, commands: &[String]) -> Value {
    let mut input = input.clone();
    match one(&input) {
        Some(key) => {
            let line = commands.first().cloned().unwrap_or_default();
            input[key] = match &input[key] {
                Value::Array(_) => Value::from(vec!["bash".to_owned(), "-c".to_owned(), line]),
                _ => Value::String(line),
            };
        }
        None => {
            let entries = input["commands"].as_array().cloned().unwrap_or_default();
            let changed = entries.into_iter().zip(commands).map(|(mut entry, line)| match &entry {
                Value::Object(_) => {
                    entry["command"] = Value::String(line.clone());
                    entry
                }
                _ => Value::String(line.clone()),
            });
            input["commands"] = Value::Array(changed.collect());
        }
    }
    input
}

const FILE: [&str; 9] = [
    "file_path",
    "filePath",
    "absolute_path",
    "path",
    "notebook_path",
    "target_file",
    "file",
    "filename",
    "TargetFile",
];

/// The files that an edit names, and what becomes of each; none where that can't be told.
fn changes(tool: &str, input: &Value) -> Vec<Change> {
    const PATCH: [&str; 4] = ["command", "input", "patch", "patchText"];
    let mut found: Vec<Change> = Vec::new();
    if any(input, &FILE) {
        let Some(path) = only(input, &FILE).filter(|p| !p.is_empty()) else { return Vec::new() };
        found.push(Change { path: Bytes::from(path), what: whole(tool, input) });
    }
    if tool.contains("patch") && any(input, &PATCH) {
        let Some(files) = only(input, &PATCH).map(patch).filter(|files| !files.is_empty()) else { return Vec::new() };
        found.extend(files);
    }
    // Several files with their own passages each.
    for entry in input.get("edits").and_then(Value::as_array).into_iter().flatten().filter(|e| any(e, &FILE)) {
        let Some(path) = only(entry, &FILE).filter(|p| !p.is_empty()) else { return Vec::new() };
        let what = part(entry).map_or(What::Unknown, |part| What::Parts(vec![part]));
        found.push(Change { path: Bytes::from(path), what });
    }
    // One file several times: what it ends with takes reading them one after the other.
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|b, a| {
        let same = a.path == b.path;
        if same {
            a.what = match (std::mem::replace(&mut a.what, What::Unknown), &b.what) {
                (What::Parts(mut parts), What::Parts(more)) => {
                    parts.extend(more.iter().cloned());
                    What::Parts(parts)
                }
                _ => What::Unknown,
            };
        }
        same
    });
    found
}

/// What becomes of the one file that an input names.
fn whole(tool: &str, input: &Value) -> What {
    let lists = input.get("edits").is_some();
    let kinds = [any(input, &WHOLE), any(input, &OLD) || any(input, &NEW), lists];
    let insert = input.get("insert_line").is_some() || tool.contains("notebook") || tool.contains("insert");
    match kinds {
        _ if insert => What::Unknown,
        _ if tool.contains("delete") => What::Delete,
        [true, false, false] => only(input, &WHOLE).map_or(What::Unknown, |text| What::Whole(text.to_owned())),
        [false, true, false] => part(input).map_or(What::Unknown, |part| What::Parts(vec![part])),
        [false, false, true] => parts(input.get("edits")).map_or(What::Unknown, What::Parts),
        _ => What::Unknown,
    }
}

/// The passages of a list.
pub fn parts(list: Option<&Value>) -> Option<Vec<Part>> {
    let list = list?.as_array().filter(|l| !l.is_empty())?;
    list.iter().map(part).collect()
}

/// A passage and what stands there instead, which may be nothing.
fn part(input: &Value) -> Option<Part> {
    let (old, new) = (only(input, &OLD)?, only(input, &NEW)?);
    let flag = |name| input.get(name).and_then(Value::as_bool) == Some(true);
    Some(Part { all: flag("replace_all") || flag("replaceAll"), new: new.to_owned(), old: old.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edit(name: &str, input: Value) -> Vec<Change> {
        match tool(name, &input) {
            Tool::Edit(edit) => edit.changes,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn what_an_input_tells_of_its_file() {
        let part = |old: &str, new: &str| What::Parts(vec![Part { all: false, new: new.into(), old: old.into() }]);
        for (name, input, what) in [
            ("Write", json!({"file_path": "/a", "content": ""}), Some(What::Whole(String::new()))),
            ("Edit", json!({"file_path": "/a", "old_string": "x", "new_string": ""}), Some(part("x", ""))),
            ("Edit", json!({"file_path": "/a", "old_string": "", "new_string": "x"}), Some(part("", "x"))),
            ("Edit", json!({"file_path": "/a", "old_string": "x"}), Some(What::Unknown)),
            (
                "Edit",
                json!({"file_path": "/a", "old_string": "x", "new_string": "y", "content": "z"}),
                Some(What::Unknown),
            ),
            ("create", json!({"path": "/a", "file_text": "x", "content": "y"}), Some(What::Unknown)),
            ("delete_file", json!({"target_file": "/a", "content": "x"}), Some(What::Delete)),
            ("NotebookEdit", json!({"notebook_path": "/a", "new_source": "x"}), Some(What::Unknown)),
            (
                "str_replace_editor",
                json!({"command": "insert", "path": "/a", "insert_line": 1, "text": "x"}),
                Some(What::Unknown),
            ),
            // Two names for one thing: nobody knows which the client reads.
            ("create", json!({"path": "/etc/x", "file_path": "/a", "content": "x"}), None),
            ("Write", json!({"file_path": "/a", "content": "x", "command": "view"}), Some(What::Whole("x".into()))),
        ] {
            let got = edit(name, input.clone());
            let expected: Vec<Change> = what.map(|what| Change { path: "/a".into(), what }).into_iter().collect();
            assert_eq!(got, expected, "{name} {input}");
        }
    }

    #[test]
    fn two_commands_are_none_that_is_known() {
        for input in
            [json!({"command": "ls", "cmd": "rm x"}), json!({"command": "ls", "commands": ["rm x"]}), json!({})]
        {
            assert!(matches!(tool("Bash", &input), Tool::Unknown { .. }), "{input}");
        }
        let looks = |input: Value| tool("str_replace_based_edit_tool", &input) == Tool::Looks;
        assert!(looks(json!({"command": "view", "path": "/a"})));
        assert!(!looks(json!({"command": "view", "path": "/a", "file_text": "x"})));
    }
}
