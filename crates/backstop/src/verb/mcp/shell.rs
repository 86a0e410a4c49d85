//! The tool `shell`: one command line through `run`, what became of it from the records, and where it is
//! held and the client has a person, that person's answer.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde_json::Value;

use super::ask::{self, Choice};
use super::child::{self, Ended, Order};
use super::tools::{Ran, Shell};
use super::{Call, Place, answer};
use backstop_core::bytes::Bytes;
use backstop_core::run::{RunRecord, State};

/// Letters of a client's name that are kept.
const NAME: usize = 48;

/// Bytes that a run's record may have.
const RECORD: usize = 16 << 20;

/// Runs the command.
///
/// # Errors
/// Why nothing was run.
pub async fn shell(typed: Option<JsonObject>, call: &Call) -> Result<CallToolResult, String> {
    let id = call.id();
    let ended = child::run(order(answer::arguments(typed)?, &id, call)?, call).await?;
    let mut record = record(&id, call).await;
    let mut asked = None;
    if let Some(held) = record.as_ref().filter(|r| r.state == State::Held && ended.cut.is_none()) {
        let run = held.id.to_string();
        asked = decided(ask::about(&run, call).await, &run, call).await;
        if asked.is_some() {
            record = self::record(&id, call).await;
        }
    }
    Ok(told(&ended, record.as_ref(), asked))
}

/// The program's arguments; nothing of what was typed can be taken for an option.
fn order(typed: Shell, id: &str, call: &Call) -> Result<Order, String> {
    let nothing = |why: &str| format!("nothing was run: {why}");
    let cwd = typed.cwd.map(PathBuf::from);
    if typed.command.trim().is_empty() {
        return Err(nothing("`command` is empty"));
    }
    if [Some(&typed.command), typed.reason.as_ref()].into_iter().flatten().any(|text| text.contains('\0')) {
        return Err(nothing("a text with a NUL can't be handed to a program"));
    }
    if typed.timeout_ms == Some(0) {
        return Err(nothing("`timeout_ms` is 0"));
    }
    if cwd.as_ref().is_some_and(|dir| !dir.is_absolute() || !dir.is_dir()) {
        return Err(nothing("`cwd` is not the absolute path of a directory that is there"));
    }
    let place = &call.server.place;
    if let Some(dir) = cwd.as_ref().filter(|dir| !call.server.inside && !lies_in(dir, place)) {
        return Err(nothing(&format!(
            "`cwd` {} is not in the place that this server works in; start one there",
            Bytes::from(dir.as_path()).quoted()
        )));
    }
    let client = call.context.peer.peer_info();
    let agent = agent(client.as_ref().map_or("", |c| &c.client_info.name));
    let mut args: Vec<OsString> = vec!["run".into(), format!("--tied-to={}", std::process::id()).into()];
    args.extend([format!("--agent={agent}"), format!("--session={}", call.server.session)].map(OsString::from));
    args.push(format!("--call={id}").into());
    if let Place::Workspace(dir) = place {
        let mut option = OsString::from("--workspace=");
        option.push(dir);
        args.push(option);
    }
    args.extend(typed.reason.map(|reason| OsString::from(format!("--reason={reason}"))));
    args.extend(["-c".into(), typed.command.into()]);
    Ok(Order { cwd, limit: typed.timeout_ms.map(Duration::from_millis), ..Order::new(args) })
}

/// True where a directory, by its real path, is where a server's commands may be.
fn lies_in(dir: &Path, place: &Place) -> bool {
    let Ok(real) = dir.canonicalize() else { return false };
    match place {
        Place::Workspace(workspace) => real.starts_with(workspace),
        Place::Here => std::env::current_dir().is_ok_and(|here| real == here),
    }
}

/// A client's name as records may hold it.
fn agent(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    let name: String = name.chars().map(plain).take(NAME).collect();
    match name.trim_matches(['.', '_', '-']) {
        "" => "mcp".to_owned(),
        name => name.to_owned(),
    }
}

/// What the records say of the run of call `id`; none where nothing was recorded, or inside a run.
async fn record(id: &str, call: &Call) -> Option<RunRecord> {
    let session = format!("--session={}", call.server.session);
    let look = Order::new(["runs".to_owned(), session, format!("--call={id}"), "--json".to_owned()]);
    let listed = child::run(Order { room: RECORD, ..look }, call).await.ok()?;
    let mut list: Value = serde_json::from_slice(&listed.stdout.whole()?).ok()?;
    let runs = list["runs"].as_array_mut()?;
    let record: RunRecord = serde_json::from_value(runs.pop()?).ok()?;
    let Some(first) = record.instead else { return Some(record) };
    // What people are asked about is the run that this one was given up for.
    let look = Order::new(["show".to_owned(), first.to_string(), "--json".to_owned()]);
    let shown = child::run(Order { room: RECORD, ..look }, call).await.ok()?;
    let mut shown: Value = serde_json::from_slice(&shown.stdout.whole()?).ok()?;
    serde_json::from_value(shown["record"].take()).ok()
}

/// Does what the person chose, and says so; none where it stays held.
async fn decided(choice: Choice, run: &str, call: &Call) -> Option<String> {
    let (verb, done) = match choice {
        Choice::Commit => ("commit", "asked, a person let it take effect"),
        Choice::Discard => ("discard", "asked, a person gave it up; nothing took effect"),
        Choice::Hold => return None,
    };
    match child::run(Order::new([verb, run]), call).await {
        Ok(ended) if ended.code == 0 => Some(done.to_owned()),
        Ok(ended) => Some(format!("asked, a person chose {verb}, which did not go:\n{}", ended.stderr.text())),
        Err(why) => Some(format!("asked, a person chose {verb}, which did not go: {why}")),
    }
}

/// The answer.
fn told(ended: &Ended, record: Option<&RunRecord>, asked: Option<String>) -> CallToolResult {
    let committed = asked.is_some() && record.is_some_and(|r| r.state == State::Committed);
    let own = record.and_then(|r| r.exit).map(|e| e.code());
    // What the program itself ended with was said before a person decided.
    let exit_code = if committed { own.unwrap_or_default() } else { ended.code };
    let took = record.is_none_or(|r| matches!(r.state, State::Committed | State::NoEffect));
    let ran = Ran {
        exit_code,
        run: record.map(|r| r.id.to_string()),
        state: record.map(|r| r.state.name().to_owned()),
        stderr: ended.stderr.text(),
        stderr_truncated: ended.stderr.left_out() > 0,
        stdout: ended.stdout.text(),
        stdout_truncated: ended.stdout.left_out() > 0,
        timed_out: ended.cut == Some(child::Cut::Late),
    };
    let mut parts = answer::texts([ran.stdout.clone(), ran.stderr.clone()]);
    parts.push(ContentBlock::text(last_line(&ran, ended, asked)));
    let mut result = CallToolResult::success(parts);
    result.is_error = Some(exit_code != 0 || !took || ended.cut.is_some());
    result.structured_content = serde_json::to_value(ran).ok();
    result
}

fn last_line(ran: &Ran, ended: &Ended, asked: Option<String>) -> String {
    let mut parts = vec![format!("exit code {}", ran.exit_code)];
    if let (Some(run), Some(state)) = (&ran.run, &ran.state) {
        parts.push(format!("{state} {run}"));
    }
    parts.extend(ended.cut.map(|cut| answer::cut_short(cut).to_owned()));
    parts.extend(asked);
    parts.join(" · ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_s_name_becomes_one_that_records_may_hold() {
        for (name, expected) in [
            ("claude-code", "claude-code"),
            ("Zed Editor 1.2", "zed-editor-1.2"),
            ("--yes", "yes"),
            ("\u{202e}\u{1b}[2J", "2j"),
            ("größe", "gr--e"),
            ("…", "mcp"),
            ("", "mcp"),
        ] {
            assert_eq!(agent(name), expected);
        }
        assert_eq!(agent(&"x".repeat(500)).len(), NAME);
    }
}
