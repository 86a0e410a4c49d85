//! Who asks, what, where: the one value made at the porch. Nothing else from outside is believed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::bytes::Bytes;

/// What the run may reach over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Net {
    /// A network namespace of its own with a loopback device and nothing else.
    None,
    /// The machine's network.
    Host,
}

impl Net {
    /// The name in files and on screens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Host => "host",
        }
    }
}

/// The command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// A program and its arguments; never empty.
    Argv(Vec<Bytes>),
    /// A line for `bash -c`.
    Line(Bytes),
}

impl Command {
    /// The program and arguments that are executed.
    pub fn argv(&self) -> Vec<Bytes> {
        match self {
            Self::Argv(argv) => argv.clone(),
            Self::Line(line) => vec![Bytes::from("bash"), Bytes::from("-c"), line.clone()],
        }
    }

    /// For a person to read, on one line, quoted for a shell where needed. Not escaped for a screen.
    pub fn text(&self) -> Bytes {
        match self {
            Self::Line(line) => line.clone(),
            Self::Argv(argv) => {
                let word = |(at, word): (usize, &Bytes)| shell_word(word.as_slice(), at == 0);
                Bytes::new(argv.iter().enumerate().map(word).collect::<Vec<_>>().join(&b' '))
            }
        }
    }
}

/// Words that mean something else than a program where a command begins.
const RESERVED: [&[u8]; 17] = [
    b"case",
    b"coproc",
    b"do",
    b"done",
    b"elif",
    b"else",
    b"esac",
    b"fi",
    b"for",
    b"function",
    b"if",
    b"select",
    b"then",
    b"time",
    b"until",
    b"while",
    b"in",
];

fn shell_word(word: &[u8], program: bool) -> Vec<u8> {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./=:,@%+~^".contains(b);
    // A home, or as a program an assignment or a word of the shell itself.
    let home = word.first() == Some(&b'~') || word.windows(2).any(|w| matches!(w, b"=~" | b":~"));
    let other = program && (word.contains(&b'=') || RESERVED.contains(&word));
    if !word.is_empty() && word.iter().all(plain) && !home && !other {
        return word.to_vec();
    }
    let mut out = vec![b'\''];
    for b in word {
        match b {
            b'\'' => out.extend_from_slice(b"'\\''"),
            b => out.push(*b),
        }
    }
    out.push(b'\'');
    out
}

/// A run asked for inside a run: the outer one covers it, this is what is noted of it. Claimed by
/// whatever ran inside; unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NestedRequest {
    /// What it ran.
    pub command: Command,
    /// Where.
    pub cwd: Bytes,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Bytes>,
    /// The session it named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Bytes>,
}

/// The coding agent that asks, as its client's hook says; unchecked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asker {
    /// Its name: `claude`, `codex`.
    pub agent: Bytes,
    /// The tool call's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<Bytes>,
    /// The sub-agent, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subagent: Option<Bytes>,
}

/// A request to run a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The coding agent, where one asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asker: Option<Asker>,
    /// The user who asked, where the command runs with another's rights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<u32>,
    /// What to run.
    pub command: Command,
    /// Where.
    pub cwd: Bytes,
    /// The names of the environment's variables; their values may be secrets and are not kept.
    pub env_keys: Vec<Bytes>,
    /// The group that it runs with.
    pub gid: u32,
    /// True to run in place, confined to the agent's own places: what goes on for long can't be rehearsed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_place: bool,
    /// What it may reach.
    pub net: Net,
    /// True to run beside other runs in the same workspace without taking turns.
    pub parallel: bool,
    /// The policy's profile: `workstation`, `production`.
    #[serde(default = "workstation")]
    pub profile: String,
    /// Why, in the words of who asked; unchecked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Bytes>,
    /// Groups runs; an agent's session id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Bytes>,
    /// The user that it runs as.
    pub uid: u32,
    /// The agent's own place; none means every change is outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<Bytes>,
}

impl Request {
    /// The user who asked.
    pub fn asked_by(&self) -> u32 {
        self.by.unwrap_or(self.uid)
    }
}

/// What requests recorded before there were profiles had.
fn workstation() -> String {
    "workstation".to_owned()
}
