//! What a call is answered, in the protocol's form.

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::child::{Cut, Ended};

/// A tool's own failure, told to the model.
pub fn failed(why: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(why.into())])
}

/// The arguments as what they mean.
///
/// # Errors
/// Where they make no sense.
pub fn arguments<T: DeserializeOwned>(typed: Option<JsonObject>) -> Result<T, String> {
    let typed = Value::Object(typed.unwrap_or_default());
    serde_json::from_value(typed).map_err(|e| format!("nothing was run: the arguments make no sense: {e}"))
}

/// The id of a run, of which nothing can be taken for an option or another run's name.
///
/// # Errors
/// Where it is none.
pub fn run_id(typed: &str) -> Result<&str, String> {
    let plain = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric());
    let id = typed.strip_prefix("r-").filter(|rest| plain(rest));
    id.map(|_| typed).ok_or_else(|| "`run` is no id of a run: take it from an answer of `shell` or `runs`".to_owned())
}

/// What Backstop itself said of a run, as text.
pub fn said(ended: &Ended) -> CallToolResult {
    let mut parts = texts([ended.stdout.text(), ended.stderr.text()]);
    if let Some(cut) = ended.cut {
        parts.push(ContentBlock::text(cut_short(cut)));
    }
    if parts.is_empty() {
        parts.push(ContentBlock::text("nothing"));
    }
    let mut result = CallToolResult::success(parts);
    result.is_error = Some(ended.code != 0 || ended.cut.is_some());
    result
}

/// The texts that say something, a block each.
pub fn texts(texts: impl IntoIterator<Item = String>) -> Vec<ContentBlock> {
    texts.into_iter().filter(|text| !text.is_empty()).map(ContentBlock::text).collect()
}

/// Why it was ended early.
pub const fn cut_short(cut: Cut) -> &'static str {
    match cut {
        Cut::Cancelled => "ended: the client took the call back",
        Cut::Gone => "ended: the client is gone",
        Cut::Late => "ended: its time was up",
    }
}
