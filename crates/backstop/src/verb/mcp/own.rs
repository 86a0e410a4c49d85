//! The tools that look at runs or take back: the same verbs that an agent has behind a hook, and of its own
//! session alone where they change something.

use rmcp::model::{CallToolResult, JsonObject};

use super::child::{self, Order};
use super::tools::{Nothing, One, Undo, Wait};
use super::{Call, answer};

/// How long `wait` may wait, in seconds: clients give up before that.
const LONGEST: u32 = 3_600;

/// `show`, `runs`, `wait`, `undo`, `discard`.
///
/// # Errors
/// Why nothing came of it.
pub async fn verb(name: &str, typed: Option<JsonObject>, call: &Call) -> Result<CallToolResult, String> {
    let own = format!("--only-of={}", call.server.session);
    let line = match name {
        "show" => {
            let One { run } = answer::arguments(typed)?;
            vec!["show".to_owned(), answer::run_id(&run)?.to_owned()]
        }
        "runs" => {
            let Nothing {} = answer::arguments(typed)?;
            vec!["runs".to_owned(), format!("--session={}", call.server.session)]
        }
        "wait" => {
            let Wait { run, at_most_seconds } = answer::arguments(typed)?;
            if !(1..=LONGEST).contains(&at_most_seconds) {
                return Err(format!("nothing was waited for: `at_most_seconds` is from 1 to {LONGEST}"));
            }
            vec!["wait".to_owned(), answer::run_id(&run)?.to_owned(), format!("--at-most={at_most_seconds}s")]
        }
        "undo" => {
            let which = match answer::arguments(typed)? {
                Undo { run: Some(run), session: None | Some(false) } => answer::run_id(&run)?.to_owned(),
                Undo { run: None, session: Some(true) } => format!("--session={}", call.server.session),
                _ => return Err("nothing was undone: say either `run`, or `session`: true".to_owned()),
            };
            vec!["undo".to_owned(), which, own]
        }
        "discard" => {
            let One { run } = answer::arguments(typed)?;
            vec!["discard".to_owned(), answer::run_id(&run)?.to_owned(), own]
        }
        _ => return Err(format!("there is no tool {name}")),
    };
    let ended = child::run(Order::new(line), call).await?;
    Ok(answer::said(&ended))
}
