//! What a hook can't do for each client, as measured or documented: one line a hole, and what helps.

use backstop_core::hook::Agent;

use super::table::Scope;

/// A way around the hook that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// What gets by.
    pub what: &'static str,
    /// What helps.
    pub remedy: &'static str,
    /// Closed by the machine's own installation.
    managed: bool,
}

const SYSTEM: &str = "sudo backstop install --system closes it";
const SANDBOX: &str = "run the whole agent in a sandbox; Backstop's own comes with a later version";
const WATCH: &str = "update the client, and look at `backstop runs` now and then";

const fn hole(what: &'static str, remedy: &'static str) -> Hole {
    Hole { what, remedy, managed: false }
}

/// A hole that the machine's own installation closes.
const fn user(what: &'static str) -> Hole {
    Hole { what, remedy: SYSTEM, managed: true }
}

/// The holes of an agent that is installed for `scope`.
pub fn holes(agent: Agent, scope: Scope) -> Vec<Hole> {
    table(agent).into_iter().filter(|h| scope == Scope::User || !h.managed).collect()
}

fn table(agent: Agent) -> Vec<Hole> {
    match agent {
        Agent::Amp => vec![
            hole("only the shell is delegated: file tools are not judged, and undo does not cover them", SANDBOX),
            hole("permissions are the older of Amp's two ways; a plugin could answer before them", WATCH),
        ],
        Agent::Claude => vec![
            user("`claude --bare` and `--settings '{\"disableAllHooks\":true}'` leave a user's hooks out"),
            user("a project's own hooks run beside ours, and may give the tool another input"),
            hole("versions before 2.1.295 don't know `onFailure`: a hook past its time is taken for consent", WATCH),
            hole("text that is no answer, with exit code 0, is taken for consent", SANDBOX),
        ],
        Agent::Cline => vec![
            hole("the agent's user owns the hook's file, and the client reads no exit codes", SANDBOX),
            hole("Cline in an editor may look for its hooks elsewhere", SANDBOX),
        ],
        Agent::Codex => vec![
            user("a user's hook is called only as long as its entry is trusted, and an agent could change that"),
            user("`codex --disable hooks` leaves a user's hooks out"),
            hole("what `write_stdin` types into a shell that runs already is not shown to hooks", SANDBOX),
            hole("a hook past its time is taken for consent", SANDBOX),
        ],
        Agent::Copilot => vec![
            user("`disableAllHooks` in the settings leaves a user's hooks out"),
            hole("a hook past its time (30 s) is taken for consent, the policy's too", SANDBOX),
            hole("hooks may be missed by background agents, and are ignored by some editors", WATCH),
        ],
        Agent::Cursor => {
            vec![user("the agent's user owns the file"), hole("cloud agents read only the project's hooks", SANDBOX)]
        }
        Agent::Droid => vec![
            hole("the agent's user owns the file; an organisation's Hooks Policy can leave it out", SANDBOX),
            hole("a hook past its time is taken for consent", SANDBOX),
        ],
        Agent::Gemini => vec![
            user("`hooksConfig` in a project's settings can switch hooks off"),
            hole("GEMINI_CLI_SYSTEM_SETTINGS_PATH in the environment replaces the machine's settings", SANDBOX),
            hole("a hook past its time is taken for consent", SANDBOX),
        ],
        Agent::Goose => vec![hole("the agent's user owns the plugin; nothing on the machine stands above it", SANDBOX)],
        Agent::Kiro => vec![
            hole("version 2 takes hooks from each agent's own file: its built-in agent has none", SANDBOX),
            hole("agents made later have no hook until `backstop install kiro` runs again", SANDBOX),
            hole("a hook past its time is taken for consent", SANDBOX),
        ],
        Agent::OpenCode => vec![
            hole("`opencode --pure` leaves plugins out", SANDBOX),
            hole("the agent's user owns the plugin's file", SANDBOX),
            hole("version 2 loads plugins in another way; this one is for version 1", WATCH),
        ],
        Agent::Pi => vec![
            hole("`pi --no-extensions` leaves extensions out", SANDBOX),
            hole("the agent's user owns the extension's file", SANDBOX),
        ],
        Agent::Qwen => vec![
            hole("QWEN_CODE_SYSTEM_SETTINGS_PATH in the environment replaces the machine's settings", SANDBOX),
            user("`disableAllHooks` in a project's settings leaves a user's hooks out"),
            hole("a hook past its time is taken for consent", SANDBOX),
        ],
        Agent::Windsurf => {
            vec![user("the agent's user owns the file"), hole("a hook past its time is taken for consent", SANDBOX)]
        }
    }
}
