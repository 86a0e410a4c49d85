//! Takes what a client asks the model, gives the script's answer to it. Keeps no state: which step is due is
//! told by the tool calls that the conversation already has, so that retries and sub-agents do no harm.

use std::collections::BTreeMap;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// In a prompt, it tells that a sub-agent is asked.
pub const SUBAGENT: &str = "SCRIPT-OF-THE-SUBAGENT";

/// What the model does in one turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Step {
    /// Runs a line, with whatever tool of the client runs lines.
    Shell(String),
    /// Runs the rest of the line behind these words in the newest result: an agent that does as it is told.
    Told(String),
    /// Uses the first of these tools that is offered.
    Tool {
        /// Their names.
        names: Vec<String>,
        /// The input. A text `$told REGEX` stands for the first group found in the newest result.
        input: Value,
    },
}

/// What the model does, turn by turn; then it says that it is done.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Script {
    /// The agent's.
    pub steps: Vec<Step>,
    /// A sub-agent's.
    pub subagent: Vec<Step>,
}

/// A tool, as the client offers it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offer {
    /// Its input's schema.
    pub schema: Value,
    /// True where its input is one text and no object.
    pub free: bool,
    /// Where it has one, the name space that its name is said with.
    pub space: Option<String>,
}

/// What a client asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// The tools it offers.
    pub offers: BTreeMap<String, Offer>,
    /// How many turns with tool calls the conversation has.
    pub turns: usize,
    /// The user's words.
    pub words: String,
    /// What the tools gave, in order.
    pub told: Vec<String>,
}

/// What the model answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// Words, and its turn ends.
    Say(String),
    /// A tool call.
    Call {
        /// The tool.
        name: String,
        /// Its input.
        input: Value,
    },
}

impl Asked {
    /// True where a sub-agent asks.
    pub fn by_subagent(&self) -> bool {
        self.words.contains(SUBAGENT)
    }
}

impl Script {
    /// The answer.
    pub fn reply(&self, asked: &Asked) -> Reply {
        if asked.offers.is_empty() {
            // A title for the conversation and the like.
            return Reply::Say("ok".to_owned());
        }
        let steps = if asked.by_subagent() { &self.subagent } else { &self.steps };
        let newest = asked.told.last().map_or("", String::as_str);
        match steps.get(asked.turns) {
            None => Reply::Say("The script has ended.".to_owned()),
            Some(Step::Shell(line)) => shell(asked, line),
            Some(Step::Told(mark)) => match newest.split_once(mark.as_str()) {
                Some((_, rest)) => shell(asked, rest.trim_start().lines().next().unwrap_or_default()),
                None => Reply::Say(format!("Nothing behind `{mark}` was told.")),
            },
            Some(Step::Tool { names, input }) => match names.iter().find(|n| asked.offers.contains_key(*n)) {
                Some(name) => Reply::Call { name: name.clone(), input: filled(asked, name, resolved(input, newest)) },
                None => Reply::Say(format!("None of the tools {} is offered.", names.join(", "))),
            },
        }
    }
}

/// The tools that run lines, in the clients' words, and where the line stands in their inputs.
const SHELLS: [&str; 5] = ["Bash", "bash", "exec_command", "run_shell_command", "run_commands"];
const LINES: [&str; 3] = ["command", "cmd", "commands"];

fn shell(asked: &Asked, line: &str) -> Reply {
    let found = SHELLS.into_iter().find_map(|name| {
        let properties = asked.offers.get(name)?.schema.get("properties")?;
        LINES.into_iter().find(|key| properties.get(key).is_some()).map(|key| (name, key, &properties[key]))
    });
    let Some((name, key, schema)) = found else { return Reply::Say("No tool that runs lines is offered.".to_owned()) };
    let line = if kind(schema) == "array" { Value::from(vec![line]) } else { Value::from(line) };
    let input = Value::Object(Map::from_iter([(key.to_owned(), line)]));
    Reply::Call { name: name.to_owned(), input: filled(asked, name, input) }
}

/// The input with something in every field that the client wants filled in.
fn filled(asked: &Asked, name: &str, mut input: Value) -> Value {
    let (Some(offer), Some(fields)) = (asked.offers.get(name), input.as_object_mut()) else { return input };
    let required = offer.schema.get("required").and_then(Value::as_array);
    for field in required.into_iter().flatten().filter_map(Value::as_str) {
        let schema = &offer.schema["properties"][field];
        fields.entry(field).or_insert_with(|| match (schema["enum"].get(0), kind(schema)) {
            (Some(first), _) => first.clone(),
            (None, "boolean") => Value::from(false),
            (None, "integer" | "number") => Value::from(30),
            (None, "array") => Value::Array(Vec::new()),
            (None, "object") => Value::Object(Map::new()),
            (None, _) => Value::from("a step of the script"),
        });
    }
    input
}

/// A schema's type; of several the first.
fn kind(schema: &Value) -> &str {
    let of = |schema: &'_ Value| schema["type"].as_str().map(str::to_ascii_lowercase);
    let nested = schema["anyOf"].get(0).or_else(|| schema["oneOf"].get(0)).and_then(of);
    match of(schema).or(nested).or_else(|| schema["type"].get(0)?.as_str().map(str::to_ascii_lowercase)).as_deref() {
        Some("array") => "array",
        Some("boolean") => "boolean",
        Some("integer") => "integer",
        Some("number") => "number",
        Some("object") => "object",
        _ => "string",
    }
}

fn resolved(input: &Value, newest: &str) -> Value {
    match input {
        Value::String(text) => match text.strip_prefix("$told ") {
            Some(pattern) => {
                let found = Regex::new(pattern).ok().and_then(|p| p.captures(newest));
                Value::from(found.and_then(|c| Some(c.get(1)?.as_str().to_owned())).unwrap_or_default())
            }
            None => input.clone(),
        },
        Value::Array(items) => items.iter().map(|i| resolved(i, newest)).collect(),
        Value::Object(fields) => fields.iter().map(|(k, v)| (k.clone(), resolved(v, newest))).collect(),
        _ => input.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Asked, Offer, Reply, Script, Step};

    fn asked(schema: serde_json::Value, turns: usize, told: &str) -> Asked {
        let offer = Offer { schema, ..Offer::default() };
        let told = vec![told.to_owned()];
        Asked { offers: [("Bash".to_owned(), offer)].into(), turns, told, ..Asked::default() }
    }

    #[test]
    fn a_step_is_put_into_the_fields_that_the_client_wants() {
        let script = Script {
            steps: vec![
                Step::Shell("ls".to_owned()),
                Step::Told("this line:".to_owned()),
                Step::Tool { names: vec!["Bash".to_owned()], input: json!({"id": "$told id=(\\d+)"}) },
            ],
            ..Script::default()
        };
        let one = json!({"properties": {"command": {"type": "string"}, "why": {}}, "required": ["command", "why"]});
        let list = json!({"properties": {"commands": {"type": "array"}}});
        let call = |input| Reply::Call { name: "Bash".to_owned(), input };
        for (schema, turns, told, reply) in [
            (&one, 0, "", call(json!({"command": "ls", "why": "a step of the script"}))),
            (&list, 0, "", call(json!({"commands": ["ls"]}))),
            (&list, 1, "use this line:\nls -l\nplease", call(json!({"commands": ["ls -l"]}))),
            (&list, 2, "id=17", call(json!({"id": "17"}))),
            (&list, 3, "", Reply::Say("The script has ended.".to_owned())),
        ] {
            assert_eq!(script.reply(&asked(schema.clone(), turns, told)), reply, "{turns} {schema}");
        }
    }
}
