//! The canary proof: the configuration is read back from its real place, the hook is started as the client
//! starts it, and its answer has to be the one that stops that client. No client and no model is needed.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use backstop_core::hook::Agent;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::bytes::{self, Format};
use super::disk;
use super::table::{self, At, Body, Calls, Scope, Target};
use super::{canary, table::Switch};

/// Beyond the hook's own deadline of two seconds.
const DEADLINE: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// What is as it should not be; empty where the hook is proven.
    pub wrong: Vec<String>,
    /// What was started.
    pub started: Vec<String>,
}

impl Proof {
    pub fn ok(&self) -> bool {
        self.wrong.is_empty() && !self.started.is_empty()
    }
}

/// How a hook is started.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Start {
    Line(String),
    Program(PathBuf),
    Adapter(String),
}

/// Proves the hook of an agent, as far as that goes without the client.
pub fn prove(agent: Agent, scope: Scope, at: &At) -> Proof {
    let mut proof = Proof::default();
    let mut starts: Vec<Start> = Vec::new();
    for target in table::targets(agent, scope, at) {
        match read(agent, at, &target) {
            Ok(found) => starts.extend(found),
            Err(why) => proof.wrong.push(format!("{}: {why}", disk::quoted(&target.path))),
        }
    }
    starts.dedup();
    for start in starts {
        if let Err(why) = try_out(agent, &start) {
            proof.wrong.push(why);
        }
        proof.started.push(match start {
            Start::Line(text) | Start::Adapter(text) => text,
            Start::Program(path) => disk::quoted(&path),
        });
    }
    if agent == Agent::Codex && scope == Scope::User {
        proof.wrong.extend(untrusted(at));
    }
    proof.wrong.extend(table::switches(agent, scope, at).iter().filter_map(switched_off));
    if scope == Scope::System && !backstop_engine::law::only_roots(Path::new(&at.program)) {
        let program = disk::quoted(Path::new(&at.program));
        proof.wrong.push(format!("{program}: others than root can write it; move it to /usr/local/bin, then install"));
    }
    proof
}

/// How the client would start the hook by this file.
fn read(agent: Agent, at: &At, target: &Target) -> Result<Vec<Start>, String> {
    let found = disk::find(&target.path).map_err(|f| f.what)?;
    let Some(bytes) = found.bytes else { return Err("it is not there".to_owned()) };
    let format = match &target.body {
        Body::Merge { format, .. } => *format,
        Body::Whole { .. } => Format::Json,
    };
    let ours = |text: &str| table::is_ours(agent, at, text);
    if let Body::Merge { pieces, format } = &target.body {
        let said = bytes::value(*format, &bytes).map_err(|e| e.to_string())?;
        if !bytes::is_merged(&said, pieces, &ours) {
            return Err(format!("its entries are not all there; backstop install {}", agent.name()));
        }
        if *format == Format::Json && bytes::has_more_than_json(&bytes) {
            return Err("it has comments or commas that JSON does not have: the client may not read it".to_owned());
        }
    }
    match &target.calls {
        Calls::Nothing => Ok(vec![]),
        Calls::Program => Ok(vec![Start::Program(found.real.clone())]),
        Calls::Adapter => {
            let text = String::from_utf8_lossy(&bytes);
            if !matches!(&target.body, Body::Whole { text: wanted, .. } if *wanted == text) {
                return Err(format!("it is not as it was written; backstop install {}", agent.name()));
            }
            table::started_by(&text).map(|p| vec![Start::Adapter(p)]).ok_or_else(|| "it starts nothing".to_owned())
        }
        Calls::Lists(places) => {
            let said = bytes::value(format, &bytes).map_err(|e| e.to_string())?;
            places
                .iter()
                .map(|place| {
                    let list = bytes::at(&said, place).and_then(|l| l.as_array());
                    let line = list.into_iter().flatten().find_map(|entry| line_in(entry, &ours));
                    line.map(Start::Line).ok_or_else(|| format!("`{}` has no hook of Backstop's", place.join(".")))
                })
                .collect()
        }
    }
}

/// Codex calls a person's hook only once that person trusts it, and says nothing of it otherwise. What it
/// trusts stands in its configuration, by the place of the hook in its file.
fn untrusted(at: &At) -> Option<String> {
    let target = table::targets(Agent::Codex, Scope::User, at).into_iter().next()?;
    let Body::Merge { format, .. } = &target.body else { return None };
    let found = disk::find(&target.path).ok()?;
    let said = bytes::value(*format, &found.bytes?).ok()?;
    let ours = |text: &str| table::is_ours(Agent::Codex, at, text);
    let groups = bytes::at(&said, &["hooks", "PreToolUse"])?.as_array()?;
    let group = groups.iter().position(|g| bytes::has_ours(g, &ours))?;
    let hook = groups[group].get("hooks")?.as_array()?.iter().position(|h| bytes::is_ours(h, &ours))?;
    // A path that is no text stands in no configuration.
    let texts = [&target.path, &found.real].into_iter().filter_map(|p| p.to_str());
    let mut names = texts.map(|p| format!("{p}:pre_tool_use:{group}:{hook}"));
    let config = disk::find(&target.path.with_file_name("config.toml")).ok().and_then(|f| f.bytes).unwrap_or_default();
    let config = bytes::value(Format::Toml, &config).unwrap_or_default();
    let trusted = names.any(|n| bytes::at(&config, &["hooks", "state", &n, "trusted_hash"]).is_some());
    (!trusted).then(|| "Codex does not call it yet: type /hooks in Codex, and trust Backstop's hooks".to_owned())
}

/// The first line of ours in an entry of a list.
fn line_in(entry: &serde_json::Value, ours: bytes::Ours<'_>) -> Option<String> {
    match entry {
        serde_json::Value::String(text) => ours(text).then(|| text.clone()),
        serde_json::Value::Object(fields) => fields.values().find_map(|v| line_in(v, ours)),
        serde_json::Value::Array(list) => list.iter().find_map(|v| line_in(v, ours)),
        _ => None,
    }
}

fn switched_off(switch: &Switch) -> Option<String> {
    let bytes = disk::find(&switch.path).ok()?.bytes?;
    let said = bytes::value(switch.format, &bytes).ok()?;
    (bytes::at(&said, switch.at)? == switch.off).then(|| {
        format!("{}: `{}` is {}, so no hook is called", disk::quoted(&switch.path), switch.at.join("."), switch.off)
    })
}

/// One call that has to be stopped, and one that has to go on.
fn try_out(agent: Agent, start: &Start) -> Result<(), String> {
    let (code, out, err) = ask(agent, start, canary::STOPS)?;
    if !canary::stops(agent, code, &out, &err) {
        let code = code.map_or_else(|| "a signal".to_owned(), |c| format!("exit code {c}"));
        let said = if err.trim().is_empty() { out } else { err };
        let said = said.trim().lines().next().unwrap_or("nothing").to_owned();
        return Err(format!("the canary was not stopped: {code}, {}", backstop_core::quoted::Quoted(said.as_bytes())));
    }
    let (mut code, mut out, mut err) = ask(agent, start, canary::GOES_ON)?;
    // A client that takes no other command is told the line to use, and that has to go on.
    let told = format!("{out}{err}");
    if let Some((_, line)) = told.split_once("Use exactly this line:\n") {
        (code, out, err) = ask(agent, start, line.trim_end())?;
    }
    if canary::stops(agent, code, &out, &err) || code != Some(0) {
        return Err(format!("even `{}` is stopped, so the agent can do nothing", canary::GOES_ON));
    }
    Ok(())
}

fn ask(agent: Agent, start: &Start, command: &str) -> Result<(Option<i32>, String, String), String> {
    // Any directory will do; the payload is JSON, so it has to be text.
    let place = std::env::temp_dir().into_os_string().into_string().unwrap_or_else(|_| "/".to_owned());
    let mut program = match start {
        Start::Line(line) => {
            let mut shell = Command::new(if agent == Agent::Copilot { "bash" } else { "sh" });
            shell.args(["-c", line]);
            shell
        }
        Start::Program(path) => Command::new(path),
        Start::Adapter(path) => {
            let mut program = Command::new(path);
            program.args(["hook", agent.name()]);
            program
        }
    };
    program.current_dir(&place).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = program.spawn().map_err(|e| format!("the hook can't be started: {e}"))?;
    let payload = canary::payload(agent, command, &place).to_string();
    if let Some(mut input) = child.stdin.take() {
        // One that does not listen is known by its answer.
        let _unheard = input.write_all(payload.as_bytes());
    }
    let code = wait(&mut child)?;
    let read = |from: Option<&mut dyn std::io::Read>| {
        let mut bytes = Vec::new();
        from.map_or(Ok(0), |f| f.take(1 << 20).read_to_end(&mut bytes))
            .map(|_| String::from_utf8_lossy(&bytes).into_owned())
            .map_err(|e| format!("the hook's answer can't be read: {e}"))
    };
    let out = read(child.stdout.as_mut().map(|s| s as &mut dyn std::io::Read))?;
    let err = read(child.stderr.as_mut().map(|s| s as &mut dyn std::io::Read))?;
    Ok((code, out, err))
}

/// An answer fits a pipe, so nobody has to read while it is waited for.
fn wait(child: &mut Child) -> Result<Option<i32>, String> {
    let failed = |e: std::io::Error| format!("the hook can't be waited for: {e}");
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).map_err(|e| failed(e.into()))?;
    let ended = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&DEADLINE)).map_err(|e| failed(e.into()))?;
    if ended == 0 {
        // It may have ended in between.
        let _gone = child.kill();
    }
    let status = child.wait().map_err(failed)?;
    if ended == 0 { Err(format!("the hook did not answer within {} s", DEADLINE.tv_sec)) } else { Ok(status.code()) }
}
