//! What a tool does, by its name and its input. A name that nobody knows is taken for one that executes.

use serde_json::Value;

use super::super::call::{Edit, Shell, Tool};
use super::super::edit::{Change, Part, What, patch};
use super::field::text;
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
const EDITS: [&str; 27] = [
    "apply_patch",
    "create",
    "create_file",
    "delete_file",
    "developer__text_editor",
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

/// Names of tools that look, think, plan or ask a person; what they fetch changes nothing here.
const LOOKS: [&str; 59] = [
    "ask_followup_question",
    "ask_user",
    "askuserquestion",
    "attempt_completion",
    "bashoutput",
    "codebase_search",
    "enterplanmode",
    "exit_plan_mode",
    "exitplanmode",
    "fetch",
    "fetch_copilot_cli_documentation",
    "file_search",
    "find",
    "fs_read",
    "get_internal_docs",
    "glob",
    "google_web_search",
    "grep",
    "grep_search",
    "list",
    "list_bash",
    "list_code_definition_names",
    "list_directory",
    "list_files",
    "list_mcp_resources",
    "list_mcp_resource_templates",
    "listmcpresourcestool",
    "ls",
    "plan",
    "question",
    "read",
    "read_bash",
    "read_file",
    "read_files",
    "read_lints",
    "read_many_files",
    "read_mcp_resource",
    "readmcpresourcetool",
    "report_intent",
    "rg",
    "save_memory",
    "search",
    "search_file_content",
    "search_files",
    "semantic_search",
    "skill",
    "slashcommand",
    "stop_bash",
    "taskoutput",
    "think",
    "todo_write",
    "todoread",
    "todowrite",
    "toolsearch",
    "update_plan",
    "update_todo",
    "view",
    "web_fetch",
    "web_search",
];

/// More of them, in other spellings.
const LOOKS_TOO: [&str; 8] =
    ["killshell", "sleep", "update_topic", "view_image", "wait", "webfetch", "websearch", "write_todos"];

/// Names of tools that start another agent, or speak with one.
const DELEGATES: [&str; 13] = [
    "agent",
    "close_agent",
    "delegate_to_agent",
    "invoke_agent",
    "resume_agent",
    "send_input",
    "sendmessage",
    "spawn_agent",
    "subagent",
    "task",
    "taskstop",
    "wait_agent",
    "write_agent",
];

/// Names of tools that type into a running program.
const TYPES: [&str; 2] = ["write_bash", "write_stdin"];

/// What `name` with `input` would do.
pub fn tool(name: &str, input: &Value) -> Tool {
    let lower = name.to_ascii_lowercase();
    let is = |names: &[&str]| names.contains(&lower.as_str());
    if is(&TYPES) {
        return Tool::Types;
    }
    if is(&SHELLS) {
        return shell(input).unwrap_or_else(|| Tool::Unknown { name: name.to_owned() });
    }
    // One tool with several commands: looking is one of them.
    let looks = text(input, &["command"]).is_some_and(|c| c == "view") && is(&EDITS);
    if looks || is(&LOOKS) || is(&LOOKS_TOO) {
        return Tool::Looks;
    }
    if is(&EDITS) {
        return Tool::Edit(Edit { changes: changes(&lower, input), name: name.to_owned() });
    }
    if is(&DELEGATES) {
        return Tool::Delegates;
    }
    Tool::Unknown { name: name.to_owned() }
}

/// The commands of a shell's input: one text, a list of texts, or a program with its arguments.
fn shell(input: &Value) -> Option<Tool> {
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
    let flag = |names: &[&str]| names.iter().any(|n| input.get(n).and_then(Value::as_bool) == Some(true));
    Some(Tool::Shell(Shell {
        background: flag(&["run_in_background", "is_background", "background", "async", "detach"]),
        commands,
        description: text(input, &["description", "justification"]).map(str::to_owned),
        input: input.clone(),
    }))
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

/// The files that an edit names, and what becomes of each.
fn changes(tool: &str, input: &Value) -> Vec<Change> {
    let mut found: Vec<Change> = Vec::new();
    if let Some(path) = text(input, &FILE).map(Bytes::from) {
        found.push(Change { path, what: whole(tool, input) });
    }
    if let Some(text) = text(input, &["patch", "input", "patchText", "command"]).filter(|_| tool.contains("patch")) {
        found.extend(patch(text));
    }
    // Several files with their own passages each.
    for entry in input.get("edits").and_then(Value::as_array).into_iter().flatten() {
        if let Some(path) = text(entry, &FILE).map(Bytes::from) {
            found.push(Change { path, what: part(entry).map_or(What::Unknown, |part| What::Parts(vec![part])) });
        }
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
    let insert = input.get("insert_line").is_some() || tool.contains("notebook") || tool.contains("insert");
    if insert {
        return What::Unknown;
    }
    if let Some(content) = text(input, &["content", "file_text", "fileText", "contents", "text"]) {
        return What::Whole(content.to_owned());
    }
    if tool.contains("delete") {
        return What::Delete;
    }
    if let Some(part) = part(input) {
        return What::Parts(vec![part]);
    }
    parts(input.get("edits")).map_or(What::Unknown, What::Parts)
}

/// The passages of a list.
pub fn parts(list: Option<&Value>) -> Option<Vec<Part>> {
    let list = list?.as_array().filter(|l| !l.is_empty())?;
    list.iter().map(part).collect()
}

/// A passage and what stands there instead.
fn part(input: &Value) -> Option<Part> {
    let old = text(input, &["old_string", "oldString", "old_str", "oldText", "old_text"])?;
    let new = text(input, &["new_string", "newString", "new_str", "newText", "new_text"])?;
    let flag = |name| input.get(name).and_then(Value::as_bool) == Some(true);
    Some(Part { all: flag("replace_all") || flag("replaceAll"), new: new.to_owned(), old: old.to_owned() })
}
