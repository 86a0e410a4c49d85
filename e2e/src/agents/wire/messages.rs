//! Anthropic's messages: Claude Code.

use serde_json::{Value, json};

use super::super::script::{Asked, Offer, Reply};
use super::{Answer, id, list, named, text};

pub fn read(body: &Value) -> Asked {
    let mut asked = Asked::default();
    for tool in list(&body["tools"]) {
        let offer = Offer { schema: tool["input_schema"].clone(), ..Offer::default() };
        asked.offers.insert(tool["name"].as_str().unwrap_or_default().to_owned(), offer);
    }
    for message in list(&body["messages"]) {
        let of = |kind: &'static str| list(&message["content"]).filter(move |block| block["type"] == kind);
        if message["role"] == "assistant" {
            asked.turns += usize::from(of("tool_use").next().is_some());
            continue;
        }
        let words = message["content"].as_str().into_iter().chain(of("text").filter_map(|b| b["text"].as_str()));
        words.for_each(|w| asked.words += &format!("{w}\n"));
        asked.told.extend(of("tool_result").map(|block| text(&block["content"])));
    }
    asked
}

pub fn write(streams: bool, reply: &Reply) -> Answer {
    let (block, reason) = match reply {
        Reply::Say(words) => (json!({"type": "text", "text": words}), "end_turn"),
        Reply::Call { name, input } => {
            (json!({"type": "tool_use", "id": id("toolu"), "name": name, "input": input}), "tool_use")
        }
    };
    let mut message = json!({
        "id": id("msg"), "type": "message", "role": "assistant", "model": "scripted", "content": [block],
        "stop_reason": reason, "stop_sequence": null, "usage": {"input_tokens": 10, "output_tokens": 5},
    });
    if !streams {
        return Answer::Whole(message);
    }
    let (empty, delta) = match reply {
        Reply::Say(words) => (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": words})),
        Reply::Call { input, .. } => {
            let mut empty = block;
            empty["input"] = json!({});
            (empty, json!({"type": "input_json_delta", "partial_json": input.to_string()}))
        }
    };
    message["content"] = json!([]);
    message["stop_reason"] = Value::Null;
    named(vec![
        ("message_start", json!({"message": message})),
        ("content_block_start", json!({"index": 0, "content_block": empty})),
        ("content_block_delta", json!({"index": 0, "delta": delta})),
        ("content_block_stop", json!({"index": 0})),
        (
            "message_delta",
            json!({"delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 5}}),
        ),
        ("message_stop", json!({})),
    ])
}
