//! OpenAI's chat completions: Copilot, Qwen, OpenCode, Pi and Cline.

use serde_json::{Value, json};

use super::super::script::{Asked, Offer, Reply};
use super::{Answer, id, list, text};

pub fn read(body: &Value) -> Asked {
    let mut asked = Asked::default();
    for tool in list(&body["tools"]) {
        // One text and no object is called `custom` here.
        let (function, free) = match tool["type"].as_str() {
            Some("custom") => (&tool["custom"], true),
            _ => (&tool["function"], false),
        };
        let offer = Offer { schema: function["parameters"].clone(), free, space: None };
        asked.offers.insert(function["name"].as_str().unwrap_or_default().to_owned(), offer);
    }
    for message in list(&body["messages"]) {
        match message["role"].as_str() {
            Some("assistant") => asked.turns += usize::from(list(&message["tool_calls"]).next().is_some()),
            Some("user") => asked.words += &format!("{}\n", text(&message["content"])),
            Some("tool") => asked.told.push(text(&message["content"])),
            _ => {}
        }
    }
    asked
}

pub fn write(streams: bool, reply: &Reply) -> Answer {
    let (mut message, reason) = match reply {
        Reply::Say(words) => (json!({"role": "assistant", "content": words}), "stop"),
        Reply::Call { name, input } => {
            let function = json!({"name": name, "arguments": input.to_string()});
            let call = json!({"index": 0, "id": id("call"), "type": "function", "function": function});
            (json!({"role": "assistant", "content": null, "tool_calls": [call]}), "tool_calls")
        }
    };
    let usage = json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15});
    let mut document = json!({"id": id("chat"), "created": 1, "model": "scripted", "object": "chat.completion"});
    if !streams {
        document["choices"] = json!([{"index": 0, "message": message.take(), "finish_reason": reason}]);
        document["usage"] = usage;
        return Answer::Whole(document);
    }
    document["object"] = json!("chat.completion.chunk");
    let mut end = document.clone();
    document["choices"] = json!([{"index": 0, "delta": message, "finish_reason": null}]);
    end["choices"] = json!([{"index": 0, "delta": {}, "finish_reason": reason}]);
    end["usage"] = usage;
    Answer::Events([document.to_string(), end.to_string(), "[DONE]".to_owned()].map(|data| (None, data)).into())
}
