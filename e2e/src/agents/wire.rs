//! Takes a request in one of the four protocols that the clients speak with a model, gives what it asks; and
//! puts an answer into the same protocol, as a stream of events or whole.

mod chat;
mod gemini;
mod messages;
mod responses;

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::script::{Asked, Reply};

/// A protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// OpenAI's chat completions.
    Chat,
    /// Gemini's `generateContent`.
    Gemini,
    /// Anthropic's messages.
    Messages,
    /// OpenAI's responses.
    Responses,
}

/// An answer on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Events, each with its name where the protocol gives them names.
    Events(Vec<(Option<String>, String)>),
    /// One document.
    Whole(Value),
}

impl Wire {
    /// The protocol that is spoken at a path.
    pub fn at(path: &str) -> Option<Self> {
        let path = path.split('?').next().unwrap_or_default();
        match path {
            _ if path.ends_with("/chat/completions") => Some(Self::Chat),
            _ if path.ends_with("/messages") => Some(Self::Messages),
            _ if path.ends_with("/responses") => Some(Self::Responses),
            _ if path.ends_with(":generateContent") => Some(Self::Gemini),
            _ if path.ends_with(":streamGenerateContent") => Some(Self::Gemini),
            _ => None,
        }
    }

    /// What is asked.
    pub fn read(self, body: &Value) -> Asked {
        match self {
            Self::Chat => chat::read(body),
            Self::Gemini => gemini::read(body),
            Self::Messages => messages::read(body),
            Self::Responses => responses::read(body),
        }
    }

    /// The reply, as the request at `path` wants it.
    pub fn write(self, path: &str, body: &Value, asked: &Asked, reply: &Reply) -> Answer {
        let streams = body["stream"] == true || path.contains(":stream");
        match self {
            Self::Chat => chat::write(streams, reply),
            Self::Gemini => gemini::write(streams, reply),
            Self::Messages => messages::write(streams, reply),
            Self::Responses => responses::write(streams, asked, reply),
        }
    }
}

/// An id that no other answer has.
fn id(prefix: &str) -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("{prefix}_{:08}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// All text within a content, whatever it is wrapped in.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join("\n"),
        Value::Object(fields) => {
            let words = fields.iter().filter(|(key, _)| !["type", "id", "role"].contains(&key.as_str()));
            words.map(|(_, value)| text(value)).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Events that have their type inside as well.
fn named(events: Vec<(&str, Value)>) -> Answer {
    let named = events.into_iter().map(|(name, mut data)| {
        data["type"] = json!(name);
        (Some(name.to_owned()), data.to_string())
    });
    Answer::Events(named.collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Answer, Wire};
    use crate::agents::script::Reply;

    /// A conversation with one offered tool and one result, in each protocol.
    fn conversations() -> [(&'static str, Value); 4] {
        let schema = json!({"properties": {"command": {"type": "string"}}});
        let call = json!({"id": "c1", "type": "function", "function": {"name": "Bash", "arguments": "{}"}});
        [
            (
                "/v1/chat/completions",
                json!({"stream": true, "tools": [{"type": "function", "function": {"name": "Bash", "parameters": schema}}],
                    "messages": [{"role": "user", "content": "go"}, {"role": "assistant", "tool_calls": [call]},
                        {"role": "tool", "tool_call_id": "c1", "content": "held"}]}),
            ),
            (
                "/v1beta/models/m:streamGenerateContent?alt=sse",
                json!({"tools": [{"functionDeclarations": [{"name": "Bash", "parametersJsonSchema": schema}]}],
                    "contents": [{"role": "user", "parts": [{"text": "go"}]},
                        {"role": "model", "parts": [{"functionCall": {"name": "Bash", "args": {}}}]},
                        {"role": "user", "parts": [{"functionResponse": {"name": "Bash", "response": {"output": "held"}}}]}]}),
            ),
            (
                "/v1/messages?beta=true",
                json!({"stream": true, "tools": [{"name": "Bash", "input_schema": schema}],
                    "messages": [{"role": "user", "content": "go"},
                        {"role": "assistant", "content": [{"type": "tool_use", "id": "c1", "name": "Bash", "input": {}}]},
                        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "held"}]}]}),
            ),
            (
                "/v1/responses",
                json!({"stream": true, "tools": [{"type": "function", "name": "Bash", "parameters": schema}],
                    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
                        {"type": "function_call", "call_id": "c1", "name": "Bash", "arguments": "{}"},
                        {"type": "function_call_output", "call_id": "c1", "output": "held"}]}),
            ),
        ]
    }

    #[test]
    fn every_protocol_says_the_same() {
        for (path, body) in conversations() {
            let wire = Wire::at(path).expect("a protocol");
            let asked = wire.read(&body);
            let offered = asked.offers.keys().next().map(String::as_str);
            assert_eq!((offered, asked.turns, asked.words.trim()), (Some("Bash"), 1, "go"), "{path}");
            assert_eq!(asked.told, ["held"], "{path}");
            let call = Reply::Call { name: "Bash".to_owned(), input: json!({"command": "ls -l"}) };
            for (reply, part) in [(call, "ls -l"), (Reply::Say("so be it".to_owned()), "so be it")] {
                let Answer::Events(events) = wire.write(path, &body, &asked, &reply) else { panic!("{path}: whole") };
                assert!(events.iter().any(|(_, data)| data.contains(part)), "{path}: {events:?}");
            }
        }
    }
}
