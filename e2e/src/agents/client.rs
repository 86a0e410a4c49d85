//! The clients, as data: what to install, how to start each without a person, its configuration, its words for
//! the tools a script uses, and what it is known to do when a hook breaks. Measured; a new version is a new
//! measurement.

mod table;

use serde_json::Value;

use super::script::Step;
pub use table::CLIENTS;

/// Node for the clients that are JavaScript: some want a newer one than distributions have.
pub const NODE: &str = "node-linux-@ARCH@@22.23.3";

/// What becomes of a command whose hook broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broke {
    /// It does not run.
    Stopped,
    /// It runs. A hole of the client's, and why nothing here closes it.
    Runs(&'static str),
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// Backstop's name for it.
    pub name: &'static str,
    /// True where it runs what a hook gives it in place of its own command.
    pub rewrites: bool,
    /// True where its model is told why a hook stopped a tool; else that ends the client's run.
    pub tells_denials: bool,
    /// Its package and version.
    pub package: &'static str,
    /// Its program, below `node_modules`; `@ARCH@` is npm's word for the machine's.
    pub program: &'static str,
    /// True where Node runs it.
    pub node: bool,
    /// True where it is tried wherever the tests run, and not only when all are asked for.
    pub always: bool,
    /// A line of bash that starts it. `$AGENT` is the program, `$KEY` the made-up key, `$PROMPT` the task.
    pub line: &'static str,
    /// A line of bash to run once in its directory, in place of the package's own install script.
    pub once: Option<&'static str>,
    /// Its configuration, by place.
    pub files: &'static [(&'static str, &'static str)],
    /// What puts a hook into it: more files, and more of the JSON of those above.
    pub hook: &'static [(&'static str, &'static str)],
    /// Deletes what lies behind the link: in words that the client lets pass.
    pub incident: &'static str,
    /// Uses its file tool on `notes/today.txt`: tools and their inputs as JSON.
    pub edit: &'static [(&'static str, &'static str)],
    /// Starts a sub-agent that the script leads, and waits for it; empty where it has none.
    pub delegate: &'static [(&'static str, &'static str)],
    /// A file that sets up the client itself.
    pub settings: &'static str,
    /// What happens when the hook is killed, hangs, or answers garbage.
    pub broken: [Broke; 3],
}

impl Client {
    /// The program, below `node_modules`.
    pub fn program(&self) -> String {
        for_machine(self.program)
    }

    /// Lines for its shell as steps. Where it takes no other command from a hook, the model is told the line
    /// to use, and uses it.
    pub fn lines(&self, lines: &[&str]) -> Vec<Step> {
        let one = |line: &&str| {
            let told = (!self.rewrites).then(|| Step::Told("Use exactly this line:".to_owned()));
            std::iter::once(Step::Shell((*line).to_owned())).chain(told)
        };
        lines.iter().flat_map(one).collect()
    }

    /// The key it is given: made up, and found nowhere else.
    pub fn key(&self) -> String {
        format!("sk-made-up-KEY-{}-5d41402abc4b2a76", self.name)
    }
}

/// npm's words for this machine.
pub fn for_machine(text: &str) -> String {
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    text.replace("@ARCH@", arch)
}

/// A list of tools and inputs as steps. Several names for one tool are separated by `|`.
///
/// # Panics
/// Where the table has no JSON.
pub fn steps(list: &[(&str, &str)]) -> Vec<Step> {
    let step = |(names, input): &(&str, &str)| Step::Tool {
        names: names.split('|').map(str::to_owned).collect(),
        input: serde_json::from_str::<Value>(input).unwrap_or_else(|e| panic!("{names}: {input}: {e}")),
    };
    list.iter().map(step).collect()
}
