//! What a hook is asked about, the same for every agent.

use serde_json::Value;

use super::edit::Change;
use crate::bytes::Bytes;
use crate::digest::Digest;

/// The agents whose hooks are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Agent {
    /// Amp.
    Amp,
    /// Claude Code.
    Claude,
    /// Cline.
    Cline,
    /// Codex CLI.
    Codex,
    /// GitHub Copilot CLI, both spellings of its events.
    Copilot,
    /// Cursor.
    Cursor,
    /// Droid (Factory).
    Droid,
    /// Gemini CLI.
    Gemini,
    /// Goose.
    Goose,
    /// Kiro.
    Kiro,
    /// OpenCode, by way of our plugin.
    OpenCode,
    /// Pi, by way of our extension.
    Pi,
    /// Qwen Code.
    Qwen,
    /// Windsurf (Cascade).
    Windsurf,
}

impl Agent {
    /// All of them, by name.
    pub const ALL: [Self; 14] = [
        Self::Amp,
        Self::Claude,
        Self::Cline,
        Self::Codex,
        Self::Copilot,
        Self::Cursor,
        Self::Droid,
        Self::Gemini,
        Self::Goose,
        Self::Kiro,
        Self::OpenCode,
        Self::Pi,
        Self::Qwen,
        Self::Windsurf,
    ];

    /// The name on the command line and in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amp => "amp",
            Self::Claude => "claude",
            Self::Cline => "cline",
            Self::Codex => "codex",
            Self::Copilot => "copilot",
            Self::Cursor => "cursor",
            Self::Droid => "droid",
            Self::Gemini => "gemini",
            Self::Goose => "goose",
            Self::Kiro => "kiro",
            Self::OpenCode => "opencode",
            Self::Pi => "pi",
            Self::Qwen => "qwen",
            Self::Windsurf => "windsurf",
        }
    }

    /// The agent of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }
}

/// When the hook was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Before a tool is used: the one that can be answered.
    BeforeTool,
    /// After a tool was used.
    AfterTool,
    /// A session begins: a note to the model is taken.
    SessionStart,
    /// A session ends.
    SessionEnd,
    /// Anything else; nothing depends on the answer.
    Other,
}

/// A hook's call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// Which agent.
    pub agent: Agent,
    /// The tool call's id.
    pub call: Option<Bytes>,
    /// Where the agent is.
    pub cwd: Option<Bytes>,
    /// When.
    pub event: Event,
    /// True where the client takes the Claude spelling of an answer although it has its own (Copilot).
    pub pascal: bool,
    /// The session.
    pub session: Option<Bytes>,
    /// The sub-agent that asks, where it is one.
    pub subagent: Option<Bytes>,
    /// What is to be used; `Tool::None` where no tool is.
    pub tool: Tool,
}

impl Call {
    /// Names this call of a tool that changes files: the same before and after.
    pub fn key(&self, edit: &Edit) -> Bytes {
        self.call.clone().unwrap_or_else(|| edit.key())
    }
}

/// What a tool would do.
#[derive(Clone, Debug, PartialEq)]
pub enum Tool {
    /// No tool: the event is another.
    None,
    /// Commands for a shell, in order.
    Shell(Shell),
    /// Changes of files.
    Edit(Edit),
    /// It only looks, thinks, or asks a person.
    Looks,
    /// It starts another agent, whose own tool calls come by here.
    Delegates,
    /// Types into a program that is running already, of which nobody sees what becomes of it.
    Types,
    /// Not known: to be taken for something that executes.
    Unknown {
        /// Its name.
        name: String,
    },
}

/// Commands for a shell.
#[derive(Clone, Debug, PartialEq)]
pub struct Shell {
    /// True where they go on beside the agent: a server, a watcher.
    pub background: bool,
    /// The lines.
    pub commands: Vec<String>,
    /// The tool's whole input, which a rewrite gives back with other commands.
    pub input: Value,
}

/// Changes of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The files, as named, and what becomes of each; empty where they can't be told from the input.
    pub changes: Vec<Change>,
    /// The tool's name.
    pub name: String,
}

impl Edit {
    /// Names this edit where the client gives its calls no ids: the same before and after.
    pub fn key(&self) -> Bytes {
        Bytes::new(Digest::of("backstop edit v1", &[format!("{self:?}").as_bytes()]).hex())
    }
}

/// Why a call can't be read. The answer is the one that stops the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not JSON, or no object.
    #[error("what the hook was handed is not a JSON object")]
    NotJson,
    /// A field is missing or of another type.
    #[error("what the hook was handed has no {0}")]
    Missing(&'static str),
}
