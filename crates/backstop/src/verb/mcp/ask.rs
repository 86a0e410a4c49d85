//! Asks the person behind the client about a held run. Only a clear `commit` that the client hands back as
//! accepted lets it through, and then `commit` does it, with all its checks; the model has no part in it.

use std::time::Duration;

use rmcp::model::{
    ClientResult, ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema, ServerRequest,
};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Call;
use super::child::{self, Order};

/// How long a person has; then the run stays held.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Let it take effect.
    Commit,
    /// Throw it away.
    Discard,
    /// Anything else.
    Hold,
}

/// Asks about a held run; `Hold` wherever there is no clear answer, or it is not to be asked.
pub async fn about(run: &str, call: &Call) -> Choice {
    if !call.server.elicit || !shows_forms(call) {
        return Choice::Hold;
    }
    let Ok(asked) = child::run(Order::new(["show", "--question", run]), call).await else { return Choice::Hold };
    if asked.code != 0 || asked.cut.is_some() || asked.stdout.left_out() > 0 {
        return Choice::Hold;
    }
    put(asked.stdout.text(), call).await.map_or(Choice::Hold, |result| choice(&result))
}

/// True where the client says that it shows forms; one that names no mode means these.
fn shows_forms(call: &Call) -> bool {
    let client = call.context.peer.peer_info();
    let elicitation = client.as_ref().and_then(|c| c.capabilities.elicitation.as_ref());
    elicitation.is_some_and(|e| e.form.is_some() || e.url.is_none())
}

/// Puts the question; none where there is no answer in time, or none that is one.
async fn put(message: String, call: &Call) -> Option<ElicitResult> {
    let request = ElicitRequest::new(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message,
        requested_schema: form()?,
    });
    let options = PeerRequestOptions::no_options();
    let sent = call.context.peer.send_cancellable_request(ServerRequest::ElicitRequest(request), options).await;
    let mut sent = sent.ok()?;
    tokio::select! {
        answer = &mut sent.rx => match answer {
            Ok(Ok(ClientResult::ElicitResult(result))) => Some(result),
            _ => None,
        },
        _ = call.unwanted(Some(Instant::now() + PATIENCE)) => {
            // The dialogue would stay open, for an answer that counts no more.
            let _unheard = sent.cancel(Some("nobody waits for the answer any more".to_owned())).await;
            None
        }
    }
}

/// One choice, made anew each time.
fn form() -> Option<ElicitationSchema> {
    let form = json!({
        "type": "object",
        "properties": {"decision": {
            "type": "string",
            "title": "Let it take effect?",
            "description": "commit: let it take effect. hold: decide later. discard: give it up.",
            "enum": ["commit", "hold", "discard"],
            "default": "hold",
        }},
        "required": ["decision"],
    });
    let Value::Object(form) = form else { return None };
    ElicitationSchema::from_json_schema(form).ok()
}

/// What an answer says; all but the very words is `Hold`.
fn choice(result: &ElicitResult) -> Choice {
    let Some(Value::Object(content)) = &result.content else { return Choice::Hold };
    let decision = content.get("decision").and_then(Value::as_str);
    match (&result.action, decision, content.len()) {
        (ElicitationAction::Accept, Some("commit"), 1) => Choice::Commit,
        (ElicitationAction::Accept, Some("discard"), 1) => Choice::Discard,
        _ => Choice::Hold,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_very_words_of_an_accepted_form_count() {
        for (answer, expected) in [
            (json!({"action": "accept", "content": {"decision": "commit"}}), Choice::Commit),
            (json!({"action": "accept", "content": {"decision": "discard"}}), Choice::Discard),
            (json!({"action": "accept", "content": {"decision": "hold"}}), Choice::Hold),
            (json!({"action": "accept", "content": {"decision": "Commit"}}), Choice::Hold),
            (json!({"action": "accept", "content": {"decision": true}}), Choice::Hold),
            (json!({"action": "accept", "content": {"decision": ["commit"]}}), Choice::Hold),
            (json!({"action": "accept", "content": {"decision": "commit", "more": 1}}), Choice::Hold),
            (json!({"action": "accept", "content": {"other": "commit"}}), Choice::Hold),
            (json!({"action": "accept", "content": "commit"}), Choice::Hold),
            (json!({"action": "accept", "content": {}}), Choice::Hold),
            (json!({"action": "accept"}), Choice::Hold),
            (json!({"action": "decline", "content": {"decision": "commit"}}), Choice::Hold),
            (json!({"action": "cancel", "content": {"decision": "commit"}}), Choice::Hold),
        ] {
            let result: ElicitResult = serde_json::from_value(answer.clone()).expect("an answer");
            assert_eq!(choice(&result), expected, "{answer}");
        }
    }

    #[test]
    fn the_form_has_one_choice_that_begins_with_hold() {
        let form = serde_json::to_value(form().expect("a form")).expect("JSON");
        assert_eq!(form["properties"]["decision"]["enum"], json!(["commit", "hold", "discard"]));
        assert_eq!(form["properties"]["decision"]["default"], "hold");
        assert_eq!((&form["required"], &form["type"]), (&json!(["decision"]), &json!("object")));
    }
}
