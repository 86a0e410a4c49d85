//! Gemini's `generateContent`: Gemini CLI.

use serde_json::{Value, json};

use super::super::script::{Asked, Offer, Reply};
use super::{Answer, id, list, text};

pub fn read(body: &Value) -> Asked {
    let mut asked = Asked::default();
    for function in list(&body["tools"]).flat_map(|tool| list(&tool["functionDeclarations"])) {
        let schema = function.get("parametersJsonSchema").unwrap_or(&function["parameters"]).clone();
        let offer = Offer { schema, ..Offer::default() };
        asked.offers.insert(function["name"].as_str().unwrap_or_default().to_owned(), offer);
    }
    for content in list(&body["contents"]) {
        let parts = || list(&content["parts"]);
        if content["role"] == "model" {
            asked.turns += usize::from(parts().any(|p| p.get("functionCall").is_some()));
            continue;
        }
        parts().filter_map(|p| p["text"].as_str()).for_each(|w| asked.words += &format!("{w}\n"));
        asked.told.extend(parts().filter_map(|p| Some(text(&p.get("functionResponse")?["response"]))));
    }
    asked
}

pub fn write(streams: bool, reply: &Reply) -> Answer {
    let part = match reply {
        Reply::Say(words) => json!({"text": words}),
        Reply::Call { name, input } => json!({"functionCall": {"id": id("call"), "name": name, "args": input}}),
    };
    let document = json!({
        "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15},
        "modelVersion": "scripted", "responseId": id("response"),
    });
    if streams { Answer::Events(vec![(None, document.to_string())]) } else { Answer::Whole(document) }
}
