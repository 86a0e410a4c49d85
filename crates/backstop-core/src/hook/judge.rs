//! What a hook's call is answered, before any dialect. Decides nothing about effects: a command is sent
//! into a rehearsal, or, where the client lets nobody rewrite it, the agent is told the line to use.

use super::{Agent, Call, Change, Event, Shell, Tool, What, quote, rewrites};
use crate::bytes::Bytes;
use crate::shell;

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Let the client go on as it would.
    Pass,
    /// Let it go on with these commands in place of its own, one for one.
    Run(Vec<String>),
    /// It may not, and why, for the model to act on.
    Deny(String),
    /// A text for the model at the start of its session.
    Note(String),
    /// The files that a tool would change, by their absolute paths: to be rehearsed.
    Edit(Vec<Change>),
    /// A tool that changes files has been used.
    Edited(Bytes),
    /// The session has ended.
    Ended,
}

/// What the agent is told at the start of its session.
const NOTE: &str = "Shell commands here run through Backstop: each runs once on a copy-on-write view, and what it would \
                    really change is judged. Changes in the workspace take effect at once and can be undone \
                    (`backstop undo @last`). Exit code 75 means held: nothing took effect, and a person decides; go on \
                    with other work, or wait (`backstop wait RUN`). Exit code 77 means denied: the same effect in other \
                    words is denied as well. `backstop show RUN` tells what would change. What you start in the \
                    background runs in place: it can write only in the workspace, scratch directories and caches, \
                    and can't be undone.";

/// Verbs that look or take back: an agent's own.
const OWN: [&str; 8] = ["discard", "doctor", "help", "log", "runs", "show", "undo", "wait"];

/// Those of them that change something: only for runs of the agent's own session.
const TAKES_BACK: [&str; 2] = ["discard", "undo"];

/// The answer to a call. `program` is the absolute path of this program: a bare name is looked up on a path
/// that agents can change.
pub fn judge(call: &Call, program: &str) -> Answer {
    match call.event {
        Event::SessionStart => return Answer::Note(NOTE.to_owned()),
        Event::SessionEnd => return Answer::Ended,
        Event::Other => return Answer::Pass,
        Event::AfterTool => {
            return match &call.tool {
                Tool::Edit(edit) => Answer::Edited(call.key(edit)),
                _ => Answer::Pass,
            };
        }
        Event::BeforeTool => {}
    }
    match &call.tool {
        Tool::None | Tool::Looks | Tool::Delegates => Answer::Pass,
        Tool::Shell(shell) => commands(call, shell, program),
        Tool::Edit(edit) if edit.changes.is_empty() => Answer::Deny(format!(
            "Backstop can't tell which files `{}` would change. Do it with a shell command, which is rehearsed.",
            edit.name
        )),
        Tool::Edit(edit) => Answer::Edit(edit.changes.iter().map(|change| placed(call, change)).collect()),
        Tool::Types => Answer::Deny(
            "Backstop can't see what typing into a running program does. Put the whole work into one command."
                .to_owned(),
        ),
        Tool::Unknown { name } => Answer::Deny(format!(
            "Backstop doesn't know the tool `{name}`, so it is taken for one that executes. Use the shell tool, whose \
             commands are rehearsed."
        )),
    }
}

/// The same change by absolute paths.
fn placed(call: &Call, change: &Change) -> Change {
    let what = match &change.what {
        What::Move(to, hunks) => What::Move(absolute(call, to), hunks.clone()),
        other => other.clone(),
    };
    Change { path: absolute(call, &change.path), what }
}

fn absolute(call: &Call, path: &Bytes) -> Bytes {
    match &call.cwd {
        Some(cwd) if !path.as_slice().starts_with(b"/") => cwd.join(path.as_slice()),
        _ => path.clone(),
    }
}

fn commands(call: &Call, shell: &Shell, program: &str) -> Answer {
    let mut lines = Vec::new();
    for command in &shell.commands {
        match own(call, command, program) {
            Own::Verb(line) if rewrites(call) || line == *command => lines.push(line),
            Own::Verb(line) => return Answer::Deny(format!("Use exactly this line:\n{line}")),
            Own::Peoples(verb) => {
                return Answer::Deny(format!(
                    "`backstop {verb}` is for people: it lets something through or changes the rules. Tell the person \
                     you work for what is held and why it is needed; wait with `backstop wait RUN`."
                ));
            }
            Own::No if rewrites(call) => lines.push(guarded(call, shell, command, program)),
            Own::No if is_guarded(call, shell, command, program) => lines.push(command.clone()),
            Own::No => {
                return Answer::Deny(format!(
                    "Commands go through Backstop here, which rehearses them first. Use exactly this line:\n{}",
                    guarded(call, shell, command, program)
                ));
            }
        }
    }
    if lines == shell.commands { Answer::Pass } else { Answer::Run(lines) }
}

/// The options of a run: who asks, the agent and then what is known of the rest, and how it is to run.
fn options(call: &Call, shell: &Shell) -> Vec<String> {
    let ids = [("--session", &call.session), ("--subagent", &call.subagent), ("--call", &call.call)];
    // An id that is no text is an id that nobody could type; then the run has none.
    let known = ids.into_iter().filter_map(|(name, id)| Some(format!("{name}={}", text(id.as_ref()?)?)));
    let how = shell.background.then(|| "--background".to_owned());
    ["--agent".to_owned(), call.agent.name().to_owned()].into_iter().chain(known).chain(how).collect()
}

fn text(bytes: &Bytes) -> Option<&str> {
    std::str::from_utf8(bytes.as_slice()).ok()
}

/// The same command, in a rehearsal.
fn guarded(call: &Call, shell: &Shell, command: &str, program: &str) -> String {
    let words = options(call, shell).into_iter().map(|option| match option.split_once('=') {
        Some((name, id)) => format!("{name}={}", word(id)),
        None => option,
    });
    // The command first: clients show their person the beginning of a line.
    let mut line = format!("{} run -c {} {}", word(program), quote(command), words.collect::<Vec<_>>().join(" "));
    if call.agent == Agent::Claude {
        line.push_str(SHELL_FROM);
    }
    if shell.background || !carries(call.agent) || !may_leave(command) {
        return line;
    }
    // Output goes on as it comes; what the substitution catches is the directory alone. The exit code is the
    // command's, and what did not take effect leads nowhere.
    format!(
        "{{ __backstop=0; __backstop_cwd=$({line} --cwd-to 9 9>&1 >&8 8>&-) || __backstop=$?; \
         case $__backstop in 74|75|77) ;; *) [ ! -d \"$__backstop_cwd\" ] || cd -- \"$__backstop_cwd\" ;; esac; \
         (exit $__backstop); }} 8>&1"
    )
}

/// Claude Code's shell is bash or zsh, and has the functions and aliases of its person's own.
const SHELL_FROM: &str = " --shell-from 7 7< <(declare -f; alias -p 2>/dev/null)";

/// True where the client's next command begins in the directory that this one ends in.
const fn carries(agent: Agent) -> bool {
    matches!(agent, Agent::Claude | Agent::Copilot)
}

/// True where a command may end in another directory than it began in. Wrong guesses cost a longer line,
/// or that the next command begins where this one did.
fn may_leave(command: &str) -> bool {
    let words = command.split(|c: char| c.is_whitespace() || ";&|(){}".contains(c));
    words.into_iter().any(|word| ["cd", "pushd", "popd", "source", ".", "eval"].contains(&word))
}

/// A word that needs no quotes stays readable.
fn word(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) { text.to_owned() } else { quote(text) }
}

enum Own {
    /// A call of Backstop itself that an agent may make, by this program's own path.
    Verb(String),
    /// A verb of people's.
    Peoples(String),
    /// Not a call of Backstop alone.
    No,
}

/// The words of a line that is one plain command and nothing else: no redirection, no assignment, no
/// substitution, nothing that starts it or that it is fed from.
fn plain(command: &str) -> Option<Vec<String>> {
    let script = shell::read(command.as_bytes());
    let [one] = script.commands.as_slice() else { return None };
    let more = !one.redirects.is_empty() || !one.assignments.is_empty() || !one.wrappers.is_empty();
    if !script.is_clear() || !script.loose.is_empty() || more || one.fed || one.feeds || one.own {
        return None;
    }
    one.argv()?.into_iter().map(|w| String::from_utf8(w.as_slice().to_vec()).ok()).collect()
}

fn own(call: &Call, command: &str, program: &str) -> Own {
    let Some(words) = plain(command) else { return Own::No };
    let [first, verb, ..] = words.as_slice() else { return Own::No };
    if first != program && first != "backstop" {
        return Own::No;
    }
    if OWN.contains(&verb.as_str()) {
        let rest = words[1..].iter().filter(|w| !w.starts_with("--only-of=")).map(|w| word(w));
        let mut line = std::iter::once(word(program)).chain(rest).collect::<Vec<_>>().join(" ");
        if TAKES_BACK.contains(&verb.as_str()) {
            // What others did is theirs to take back.
            let Some(session) = call.session.as_ref().and_then(text) else { return Own::Peoples(verb.clone()) };
            line.push_str(&format!(" --only-of={}", word(session)));
        }
        return Own::Verb(line);
    }
    if verb == "run" { Own::No } else { Own::Peoples(verb.clone()) }
}

/// True for the line that a client which rewrites nothing was told to use, with nothing beside it: no other
/// place, profile or network than a rewritten one has.
fn is_guarded(call: &Call, shell: &Shell, command: &str, program: &str) -> bool {
    let Some(words) = plain(command) else { return false };
    let [first, run, line, _, typed @ ..] = words.as_slice() else { return false };
    // The call that was told it had another id.
    let but_call = |options: &[String]| -> Vec<String> {
        options.iter().filter(|word| !word.starts_with("--call=")).cloned().collect()
    };
    first == program && run == "run" && line == "-c" && but_call(typed) == but_call(&options(call, shell))
}
