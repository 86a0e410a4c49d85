//! OpenAI's responses: Codex.

use serde_json::{Value, json};

use super::super::script::{Asked, Offer, Reply};
use super::{Answer, id, list, named, text};

pub fn read(body: &Value) -> Asked {
    let mut asked = Asked::default();
    for tool in list(&body["tools"]) {
        let name = tool["name"].as_str().unwrap_or_default();
        match tool["type"].as_str() {
            Some("function") => {
                asked.offers.insert(name.to_owned(), Offer { schema: tool["parameters"].clone(), ..Offer::default() });
            }
            Some("custom") => {
                asked.offers.insert(name.to_owned(), Offer { free: true, ..Offer::default() });
            }
            Some("namespace") => {
                for inner in list(&tool["tools"]) {
                    let schema = inner["parameters"].clone();
                    let offer = Offer { schema, free: false, space: Some(name.to_owned()) };
                    asked.offers.insert(inner["name"].as_str().unwrap_or_default().to_owned(), offer);
                }
            }
            // What the vendor runs itself is nothing a script can use.
            _ => {}
        }
    }
    let mut calling = false;
    for item in list(&body["input"]) {
        let kind = item["type"].as_str().unwrap_or_default();
        let calls = kind.ends_with("_call");
        // Calls side by side are one turn.
        asked.turns += usize::from(calls && !calling);
        calling = calls;
        if item["role"] == "user" {
            asked.words.push_str(&text(&item["content"]));
            asked.words.push('\n');
        }
        if kind == "agent_message" {
            // A task from another agent, in whatever form.
            asked.words.push_str(&item.to_string());
        }
        if kind.ends_with("_call_output") {
            asked.told.push(text(&item["output"]));
        }
    }
    asked
}

pub fn write(streams: bool, asked: &Asked, reply: &Reply) -> Answer {
    let item = match reply {
        Reply::Say(words) => json!({
            "type": "message", "id": id("msg"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": words, "annotations": []}],
        }),
        Reply::Call { name, input } => call(asked, name, input),
    };
    let usage = json!({
        "input_tokens": 10, "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 15,
    });
    let begun = json!({"id": id("resp"), "object": "response", "status": "in_progress", "output": []});
    let mut done = begun.clone();
    done["status"] = json!("completed");
    done["output"] = json!([item]);
    done["usage"] = usage;
    if !streams {
        return Answer::Whole(done);
    }
    named(vec![
        ("response.created", json!({"response": begun})),
        ("response.output_item.added", json!({"output_index": 0, "item": item})),
        ("response.output_item.done", json!({"output_index": 0, "item": item})),
        ("response.completed", json!({"response": done})),
    ])
}

fn call(asked: &Asked, name: &str, input: &Value) -> Value {
    let offer = asked.offers.get(name);
    let mut item = json!({"id": id("item"), "call_id": id("call"), "name": name, "status": "completed"});
    if offer.is_some_and(|o| o.free) {
        item["type"] = json!("custom_tool_call");
        item["input"] = input.clone();
    } else {
        item["type"] = json!("function_call");
        item["arguments"] = json!(input.to_string());
    }
    if let Some(space) = offer.and_then(|o| o.space.as_ref()) {
        item["namespace"] = json!(space);
    }
    item
}
