//! The tools as they are declared: names, what a model is told of them, arguments, what they do to the
//! machine. None of them lets anything through.

use rmcp::model::{Tool, ToolAnnotations};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the model is told at the start.
pub const NOTE: &str = "Shell commands here run through Backstop: the tool `shell` runs each once on a copy-on-write \
                        view, and what it would really change is judged. Changes in the workspace take effect at once \
                        and can be undone (`undo`). State held (exit code 75): nothing took effect, and a person \
                        decides; go on with other work, or wait (`wait`). State denied (exit code 77): nothing took \
                        effect, and the same effect in other words is denied as well. `show` tells what a run would \
                        change, or changed.";

const SHELL: &str = "Runs a command line with bash, in a rehearsal first. What it changes in the workspace takes effect \
                     when it is done. Where the answer's state is `held`, nothing took effect: a person decides, and \
                     `wait` tells how. Where it is `denied`, nothing took effect, and the same effect in other words \
                     is denied as well. Standard input is empty. Of long output the beginning and the end are given.";

/// Arguments of `shell`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shell {
    /// The command line, for bash.
    pub command: String,
    /// The directory to run it in: absolute, there, and in the server's workspace. Default: the server's own.
    pub cwd: Option<String>,
    /// Why, for the person who may have to decide; it is recorded.
    pub reason: Option<String>,
    /// End it after this many milliseconds; then nothing of it takes effect, unless that had begun.
    #[schemars(range(min = 1))]
    pub timeout_ms: Option<u64>,
}

/// What became of a command.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Ran {
    /// The code that the command ended with; of one that took no effect 75 (held), 77 (denied) and others.
    pub exit_code: u8,
    /// The run, for `show`, `undo`, `wait` and `discard`; absent where no record could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// committed, no-effect, held, denied, discarded, failed; absent where no record could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Standard error, and Backstop's own words at its end.
    pub stderr: String,
    /// True where bytes were left out.
    pub stderr_truncated: bool,
    /// Standard output.
    pub stdout: String,
    /// True where bytes were left out.
    pub stdout_truncated: bool,
    /// True where it was ended because its time was up.
    pub timed_out: bool,
}

/// Arguments of `show` and `discard`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct One {
    /// The run's id, as `shell` and `runs` give it.
    pub run: String,
}

/// Arguments of `runs`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Arguments of `wait`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// The run's id.
    pub run: String,
    /// How long to wait, in seconds.
    #[schemars(range(min = 1, max = 3600))]
    pub at_most_seconds: u32,
}

/// Arguments of `undo`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// The run's id; or
    pub run: Option<String>,
    /// true for all runs of this session, newest first.
    pub session: Option<bool>,
}

/// Every tool.
pub fn all() -> Vec<Tool> {
    let looks = || ToolAnnotations::new().read_only(true).open_world(false);
    let takes_back = || ToolAnnotations::new().read_only(false).destructive(true).idempotent(true).open_world(false);
    let runs = ToolAnnotations::new().read_only(false).destructive(true).idempotent(false).open_world(true);
    vec![
        tool("shell", SHELL, runs).with_input_schema::<Shell>().with_output_schema::<Ran>(),
        tool("show", "Tells what a run would change, or changed, and why it was held or denied.", looks())
            .with_input_schema::<One>(),
        tool("runs", "Lists the runs of this session, newest first.", looks()).with_input_schema::<Nothing>(),
        tool("wait", "Waits until a person has decided a held run, and tells what became of it.", looks())
            .with_input_schema::<Wait>(),
        tool(
            "undo",
            "Takes back what a run of this session changed, or all of them. It stops where somebody changed the same \
             files since.",
            takes_back(),
        )
        .with_input_schema::<Undo>(),
        tool("discard", "Gives up a held run of this session; nothing of it takes effect.", takes_back())
            .with_input_schema::<One>(),
    ]
}

fn tool(name: &'static str, text: &'static str, annotations: ToolAnnotations) -> Tool {
    Tool::new(name, text, serde_json::Map::new()).with_annotations(annotations)
}
