//! The one table: for each agent its files, for a user and for the machine, their format and what is merged;
//! how to tell that the agent is there; which of its own settings switch hooks off.

use std::path::{Path, PathBuf};

use backstop_core::hook::{Agent, quote};

use super::bytes::{Format, Piece, What};
use super::item::Item;

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// One person: the agent's own configuration.
    User,
    /// Everybody on this machine: what the agent takes from its administrator.
    System,
}

impl Scope {
    pub const fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::System => "system",
        }
    }
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct At {
    /// `$CLAUDE_CONFIG_DIR`, as that client goes by it.
    pub claude: Option<PathBuf>,
    /// `$CODEX_HOME`, as that client goes by it.
    pub codex: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, else `~/.config`.
    pub config: PathBuf,
    /// `$HOME`, as the clients go by it.
    pub home: PathBuf,
    /// The absolute path of this program.
    pub program: String,
    /// `/`, or what stands for it.
    pub root: PathBuf,
}

/// One file of an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub body: Body,
    pub calls: Calls,
    pub path: PathBuf,
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Pieces are merged into what is there.
    Merge { format: Format, pieces: Vec<Piece> },
    /// The whole file is ours.
    Whole { mode: u32, text: String },
}

/// How the client comes from the file to the hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Calls {
    /// Through the lines in these lists, by a shell; each list is asked before a tool is used.
    Lists(Vec<Vec<&'static str>>),
    /// The file is the program.
    Program,
    /// The client loads the file, which starts the program itself.
    Adapter,
    /// Not from here.
    Nothing,
}

/// A setting of the client's that switches hooks off.
pub struct Switch {
    pub at: &'static [&'static str],
    pub format: Format,
    pub off: bool,
    pub path: PathBuf,
}

/// The line that the client's shell runs.
pub fn line(agent: Agent, program: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&b);
    let word = if program.bytes().all(plain) { program.to_owned() } else { quote(program) };
    let call = format!("{word} hook {}", agent.name());
    match agent {
        // Any exit code but 2 is consent to these, and so is a program that is gone; this one says both in
        // every shell, fish included.
        Agent::Claude | Agent::Codex | Agent::Droid | Agent::Gemini => format!("{call}{OR_STOP}"),
        Agent::Kiro | Agent::Qwen | Agent::Windsurf => format!("{call}{OR_STOP}"),
        _ => call,
    }
}

const OR_STOP: &str = " || exit 2";

/// True for a line that calls the hook of `agent`, by whatever path: an earlier version's too.
pub fn is_line(agent: Agent, text: &str) -> bool {
    let text = text.trim();
    let call = text.strip_suffix(OR_STOP).unwrap_or(text).trim_end();
    let Some(word) = call.strip_suffix(agent.name()).and_then(|t| t.trim_end().strip_suffix("hook")) else {
        return false;
    };
    let program = word.trim_end().trim_end_matches(['\'', '"']);
    !program.contains("||") && program.rsplit('/').next().is_some_and(|name| name.starts_with("backstop"))
}

/// True for what an entry of ours for `agent` is known by.
pub fn is_ours(agent: Agent, at: &At, text: &str) -> bool {
    match agent {
        Agent::Amp => text.rsplit('/').next() == Some(AMP),
        _ => text == line(agent, &at.program) || is_line(agent, text),
    }
}

/// The program that Amp delegates to: it takes one without arguments.
const AMP: &str = "backstop-permission";

/// The agent's files, none where it has no place for this scope.
pub fn targets(agent: Agent, scope: Scope, at: &At) -> Vec<Target> {
    let user = scope == Scope::User;
    let (home, root) = (&at.home, &at.root);
    let line = line(agent, &at.program);
    match agent {
        Agent::Claude => {
            let own = at.claude.clone().unwrap_or_else(|| home.join(".claude"));
            let path =
                if user { own.join("settings.json") } else { root.join("etc/claude-code/managed-settings.json") };
            let mut pieces = if user { vec![] } else { vec![missing(&["allowManagedHooksOnly"], true.into())] };
            let stop = call(&line, 30, &[("onFailure", "block".into())]);
            pieces.extend([
                last(&["hooks", "PreToolUse"], group("*", stop)),
                last(&["hooks", "PostToolUse"], group("Write|Edit|MultiEdit|NotebookEdit", call(&line, 30, &[]))),
                last(&["hooks", "SessionStart"], all(call(&line, 30, &[]))),
                last(&["hooks", "SessionEnd"], all(call(&line, 30, &[]))),
            ]);
            vec![lists(path, Format::Json, pieces, &["hooks", "PreToolUse"])]
        }
        Agent::Codex => vec![codex(scope, at, &line)],
        Agent::Gemini => {
            let path =
                if user { home.join(".gemini/settings.json") } else { root.join("etc/gemini-cli/settings.json") };
            let mut pieces = if user { vec![] } else { vec![missing(&["hooksConfig", "enabled"], true.into())] };
            let entry = || call(&line, 30_000, &[("name", "backstop".into())]);
            pieces.extend([
                last(&["hooks", "BeforeTool"], group(".*", entry())),
                last(&["hooks", "AfterTool"], group("write_file|replace", entry())),
                last(&["hooks", "SessionStart"], all(entry())),
                last(&["hooks", "SessionEnd"], all(entry())),
            ]);
            vec![lists(path, Format::Jsonc, pieces, &["hooks", "BeforeTool"])]
        }
        Agent::Qwen => {
            let path = if user { home.join(".qwen/settings.json") } else { root.join("etc/qwen-code/settings.json") };
            let entry = || call(&line, 30_000, &[("name", "backstop".into())]);
            let pieces = vec![
                last(&["hooks", "PreToolUse"], group("*", entry())),
                last(&["hooks", "PostToolUse"], group("write_file|edit|replace", entry())),
                last(&["hooks", "SessionStart"], all(entry())),
                last(&["hooks", "SessionEnd"], all(entry())),
            ];
            vec![lists(path, Format::Jsonc, pieces, &["hooks", "PreToolUse"])]
        }
        Agent::Copilot => {
            let folder = if user { home.join(".copilot/hooks") } else { root.join("etc/github-copilot/policy.d") };
            // Its own spelling: only there does a denial keep its reason.
            let entry =
                || map(vec![("type", "command".into()), ("bash", text(&line)), ("timeoutSec", Item::Number(30))]);
            let hooks = map(vec![("preToolUse", list(vec![entry()])), ("postToolUse", list(vec![entry()]))]);
            let whole = map(vec![("version", Item::Number(1)), ("hooks", hooks)]);
            vec![document(folder.join("backstop.json"), &whole, &["hooks", "preToolUse"])]
        }
        Agent::Cursor => {
            let path = if user { home.join(".cursor/hooks.json") } else { root.join("etc/cursor/hooks.json") };
            let entry = || vec![("command", text(&line)), ("timeout", Item::Number(30))];
            let closed = || map([entry(), vec![("failClosed", true.into())]].concat());
            let before: [&'static [&'static str]; 3] =
                [&["hooks", "preToolUse"], &["hooks", "beforeShellExecution"], &["hooks", "beforeMCPExecution"]];
            let mut pieces = vec![missing(&["version"], Item::Number(1))];
            pieces.extend(before.iter().map(|place| last(place, closed())));
            for event in ["postToolUse", "sessionStart", "sessionEnd"] {
                pieces.push(Piece { at: vec!["hooks", event], what: What::Last(map(entry())) });
            }
            let calls = Calls::Lists(before.iter().map(|place| place.to_vec()).collect());
            vec![Target { path, body: Body::Merge { format: Format::Json, pieces }, calls }]
        }
        Agent::Windsurf => {
            let path =
                if user { home.join(".codeium/windsurf/hooks.json") } else { root.join("etc/windsurf/hooks.json") };
            let entry = || map(vec![("command", text(&line)), ("show_output", true.into())]);
            let before: [&'static [&'static str]; 3] =
                [&["hooks", "pre_run_command"], &["hooks", "pre_write_code"], &["hooks", "pre_mcp_tool_use"]];
            let mut pieces: Vec<Piece> = before.iter().map(|place| last(place, entry())).collect();
            pieces.push(last(&["hooks", "post_write_code"], entry()));
            let calls = Calls::Lists(before.iter().map(|place| place.to_vec()).collect());
            vec![Target { path, body: Body::Merge { format: Format::Json, pieces }, calls }]
        }
        Agent::Droid if user => droid(at, &line),
        Agent::Kiro if user => kiro(at, &line),
        Agent::Goose if user => goose(at, &line),
        Agent::Cline if user => cline(at, &line),
        Agent::Amp => amp(scope, at, &line),
        Agent::OpenCode if user => {
            vec![adapter(at.config.join("opencode/plugins/backstop.js"), OPENCODE, at)]
        }
        Agent::Pi if user => vec![adapter(home.join(".pi/agent/extensions/backstop.ts"), PI, at)],
        Agent::Droid | Agent::Kiro | Agent::Goose | Agent::Cline | Agent::OpenCode | Agent::Pi => vec![],
    }
}

const OPENCODE: &str = include_str!("../../../../integrations/opencode/backstop.js");
const PI: &str = include_str!("../../../../integrations/pi/backstop.ts");

/// Stands in the adapters for the path of this program, between double quotes.
const PLACE: &str = "@BACKSTOP@";

fn adapter(path: PathBuf, source: &str, at: &At) -> Target {
    let quoted = serde_json::to_string(&at.program).expect("a text is JSON");
    let text = source.replace(PLACE, quoted.trim_matches('"'));
    Target { path, body: Body::Whole { mode: 0o644, text }, calls: Calls::Adapter }
}

/// The program that an adapter starts.
pub fn started_by(adapter: &str) -> Option<String> {
    let literal = adapter.lines().find_map(|l| l.strip_prefix("const PROGRAM = "))?;
    serde_json::from_str(literal.trim_end_matches(';')).ok()
}

fn codex(scope: Scope, at: &At, line: &str) -> Target {
    let entry = || call(line, 30, &[]);
    let mut pieces = vec![
        last(&["hooks", "PreToolUse"], group(".*", entry())),
        last(&["hooks", "PostToolUse"], group("apply_patch", entry())),
        last(&["hooks", "SessionStart"], all(entry())),
        last(&["hooks", "SessionEnd"], all(entry())),
    ];
    let own = at.codex.clone().unwrap_or_else(|| at.home.join(".codex"));
    let (path, format) = match scope {
        Scope::System => {
            let place = Path::new(&at.program).parent().and_then(Path::to_str).unwrap_or("/");
            let mut first = vec![
                missing(&["allow_managed_hooks_only"], true.into()),
                missing(&["features", "hooks"], true.into()),
                missing(&["hooks", "managed_dir"], text(place)),
            ];
            first.append(&mut pieces);
            pieces = first;
            (at.root.join("etc/codex/requirements.toml"), Format::Toml)
        }
        // Codex warns where one layer has its hooks in both files, so they go where hooks are already.
        Scope::User if !own.join("hooks.json").exists() && has_hooks(&own.join("config.toml")) => {
            (own.join("config.toml"), Format::Toml)
        }
        Scope::User => (own.join("hooks.json"), Format::Json),
    };
    lists(path, format, pieces, &["hooks", "PreToolUse"])
}

/// Further files that an earlier installation may have used; only to be taken out of.
pub fn earlier(agent: Agent, scope: Scope, at: &At) -> Vec<Target> {
    let now = targets(agent, scope, at);
    let beside = |target: &Target, name: &str, format: Format| {
        let Body::Merge { pieces, .. } = &target.body else { return None };
        let path = target.path.with_file_name(name);
        let body = Body::Merge { format, pieces: pieces.clone() };
        (path != target.path).then_some(Target { body, calls: Calls::Nothing, path })
    };
    let others: &[(&str, Format)] = match (agent, scope) {
        (Agent::Codex, Scope::User) => &[("hooks.json", Format::Json), ("config.toml", Format::Toml)],
        (Agent::Amp, Scope::User) => &[("settings.json", Format::Jsonc), ("settings.jsonc", Format::Jsonc)],
        _ => &[],
    };
    now.iter().flat_map(|t| others.iter().filter_map(move |(name, format)| beside(t, name, *format))).collect()
}

/// True where a Codex configuration declares hooks itself; what it trusts is no declaration.
fn has_hooks(config: &Path) -> bool {
    let Ok(bytes) = std::fs::read(config) else { return false };
    let said = super::bytes::value(Format::Toml, &bytes).ok();
    let hooks = said.as_ref().and_then(|s| s.get("hooks")?.as_object());
    hooks.is_some_and(|h| h.values().any(serde_json::Value::is_array))
}

/// Droid reads the hooks of `settings.json`, but not where `hooks.json` is there, whose keys are the events.
fn droid(at: &At, line: &str) -> Vec<Target> {
    let entry = || call(line, 30, &[]);
    let under = |way: &[&'static str]| {
        let place = |event: &'static str| [way, &[event]].concat();
        let piece = |event, item| Piece { at: place(event), what: What::Last(item) };
        vec![
            piece("PreToolUse", group("*", entry())),
            piece("PostToolUse", group("Create|Edit|MultiEdit|Write|ApplyPatch", entry())),
            piece("SessionStart", all(entry())),
            piece("SessionEnd", all(entry())),
        ]
    };
    let folder = at.home.join(".factory");
    let mut all = vec![lists(folder.join("settings.json"), Format::Jsonc, under(&["hooks"]), &["hooks", "PreToolUse"])];
    let second = folder.join("hooks.json");
    if let Ok(bytes) = std::fs::read(&second) {
        let nested = super::bytes::value(Format::Jsonc, &bytes).is_ok_and(|v| v.get("hooks").is_some());
        let (way, stop): (&[&str], &[&str]) =
            if nested { (&["hooks"], &["hooks", "PreToolUse"]) } else { (&[], &["PreToolUse"]) };
        all.push(lists(second, Format::Jsonc, under(way), stop));
    }
    all
}

/// Version 3 takes one file for all agents, version 2 one entry in each agent's own configuration.
fn kiro(at: &At, line: &str) -> Vec<Target> {
    let hook = |name: &str, trigger: &str| {
        map(vec![
            ("name", name.into()),
            ("trigger", trigger.into()),
            ("matcher", ".*".into()),
            ("action", map(vec![("type", "command".into()), ("command", text(line))])),
            ("timeout", Item::Number(30)),
            ("enabled", true.into()),
        ])
    };
    let hooks = vec![hook("backstop-before", "PreToolUse"), hook("backstop-after", "PostToolUse")];
    let whole = map(vec![("version", "v1".into()), ("hooks", list(hooks))]);
    let mut all = vec![document(at.home.join(".kiro/hooks/backstop.json"), &whole, &["hooks"])];
    let mut agents: Vec<PathBuf> = std::fs::read_dir(at.home.join(".kiro/agents"))
        .map(|entries| entries.filter_map(|e| Some(e.ok()?.path())).collect())
        .unwrap_or_default();
    agents.retain(|p| p.extension().is_some_and(|e| e == "json"));
    agents.sort();
    for path in agents {
        let entry = map(vec![("matcher", "*".into()), ("command", text(line)), ("timeout_ms", Item::Number(30_000))]);
        let pieces = vec![last(&["hooks", "preToolUse"], entry.clone()), last(&["hooks", "postToolUse"], entry)];
        all.push(lists(path, Format::Json, pieces, &["hooks", "preToolUse"]));
    }
    all
}

fn goose(at: &At, line: &str) -> Vec<Target> {
    let folder = at.home.join(".agents/plugins/backstop");
    let rule = |item| list(vec![item]);
    // A bare `*` is no regex, and the whole rule would be left out.
    let hooks = map(vec![
        ("PreToolUse", rule(group(".*", call(line, 30, &[("on_failure", "block".into())])))),
        ("PostToolUse", rule(group(".*", call(line, 30, &[])))),
        ("SessionEnd", rule(all(call(line, 30, &[])))),
    ]);
    let named = map(vec![
        ("name", "backstop".into()),
        ("version", env!("CARGO_PKG_VERSION").into()),
        ("description", "Every tool call goes through Backstop before it takes effect".into()),
    ]);
    let mut plugin = document(folder.join("plugin.json"), &named, &[]);
    plugin.calls = Calls::Nothing;
    vec![plugin, document(folder.join("hooks/hooks.json"), &map(vec![("hooks", hooks)]), &["hooks", "PreToolUse"])]
}

fn cline(at: &At, line: &str) -> Vec<Target> {
    let script = |name: &str, otherwise: &str, calls| {
        // Cline reads no exit codes: what did not answer has to be answered for.
        let text =
            format!("#!/bin/sh\n# Backstop's hook; `backstop uninstall cline` takes it away.\n{line}{otherwise}\n");
        Target { path: at.home.join(".cline/hooks").join(name), body: Body::Whole { mode: 0o755, text }, calls }
    };
    let cancel = " || echo '{\"cancel\":true,\"errorMessage\":\"Backstop did not answer, so nothing was run\"}'";
    vec![script("PreToolUse.sh", cancel, Calls::Program), script("PostToolUse.sh", "", Calls::Nothing)]
}

fn amp(scope: Scope, at: &At, line: &str) -> Vec<Target> {
    let folder = if scope == Scope::User { at.config.join("amp") } else { at.root.join("etc/ampcode") };
    let script = folder.join(AMP);
    let Some(named) = script.to_str() else { return vec![] };
    // Written as it will be found when what stands for `/` is `/`.
    let to = match scope {
        Scope::System => format!("/etc/ampcode/{AMP}"),
        Scope::User => named.to_owned(),
    };
    let entry = map(vec![("tool", "Bash".into()), ("action", "delegate".into()), ("to", text(&to))]);
    let settings = match scope {
        Scope::User if folder.join("settings.jsonc").exists() => "settings.jsonc",
        Scope::User => "settings.json",
        Scope::System => "managed-settings.json",
    };
    let pieces = vec![Piece { at: vec!["amp.permissions"], what: What::First(entry) }];
    let text = format!("#!/bin/sh\n# Backstop's hook; `backstop uninstall amp` takes it away.\nexec {line}\n");
    vec![
        Target { path: script, body: Body::Whole { mode: 0o755, text }, calls: Calls::Program },
        Target {
            path: folder.join(settings),
            body: Body::Merge { format: Format::Jsonc, pieces },
            calls: Calls::Nothing,
        },
    ]
}

/// The settings of the client's that would switch the hooks of this scope off.
pub fn switches(agent: Agent, scope: Scope, at: &At) -> Vec<Switch> {
    let user = scope == Scope::User;
    let switch = |path: PathBuf, format, place: &'static [&'static str], off| Switch { at: place, format, off, path };
    match agent {
        Agent::Claude if user => {
            let own = at.claude.clone().unwrap_or_else(|| at.home.join(".claude"));
            vec![switch(own.join("settings.json"), Format::Json, &["disableAllHooks"], true)]
        }
        Agent::Codex if user => {
            let own = at.codex.clone().unwrap_or_else(|| at.home.join(".codex"));
            vec![switch(own.join("config.toml"), Format::Toml, &["features", "hooks"], false)]
        }
        Agent::Codex => {
            let path = at.root.join("etc/codex/requirements.toml");
            vec![switch(path, Format::Toml, &["features", "hooks"], false)]
        }
        Agent::Gemini => {
            let path =
                if user { at.home.join(".gemini/settings.json") } else { at.root.join("etc/gemini-cli/settings.json") };
            vec![switch(path, Format::Jsonc, &["hooksConfig", "enabled"], false)]
        }
        Agent::Qwen => {
            let path =
                if user { at.home.join(".qwen/settings.json") } else { at.root.join("etc/qwen-code/settings.json") };
            vec![switch(path, Format::Jsonc, &["disableAllHooks"], true)]
        }
        Agent::Copilot if user => {
            vec![switch(at.home.join(".copilot/settings.json"), Format::Jsonc, &["disableAllHooks"], true)]
        }
        _ => vec![],
    }
}

/// What shows that the agent is there: directories, and programs on the search path.
pub fn traces(agent: Agent, at: &At) -> (Vec<PathBuf>, &'static [&'static str]) {
    let home = |name: &str| vec![at.home.join(name)];
    match agent {
        Agent::Amp => (vec![at.config.join("amp")], &["amp"]),
        Agent::Claude => (vec![at.claude.clone().unwrap_or_else(|| at.home.join(".claude"))], &["claude"]),
        Agent::Cline => (home(".cline"), &["cline"]),
        Agent::Codex => (vec![at.codex.clone().unwrap_or_else(|| at.home.join(".codex"))], &["codex"]),
        Agent::Copilot => (home(".copilot"), &["copilot"]),
        Agent::Cursor => (home(".cursor"), &["cursor", "cursor-agent"]),
        Agent::Droid => (home(".factory"), &["droid"]),
        Agent::Gemini => (home(".gemini"), &["gemini"]),
        Agent::Goose => (vec![at.config.join("goose")], &["goose"]),
        Agent::Kiro => (home(".kiro"), &["kiro", "kiro-cli"]),
        Agent::OpenCode => (vec![at.config.join("opencode")], &["opencode"]),
        Agent::Pi => (home(".pi"), &["pi"]),
        Agent::Qwen => (home(".qwen"), &["qwen"]),
        Agent::Windsurf => (home(".codeium/windsurf"), &["windsurf"]),
    }
}

impl From<bool> for Item {
    fn from(b: bool) -> Self {
        Self::Bool(b)
    }
}

fn text(text: &str) -> Item {
    Item::Text(text.to_owned())
}

const fn map(pairs: Vec<(&'static str, Item)>) -> Item {
    Item::Map(pairs)
}

const fn list(items: Vec<Item>) -> Item {
    Item::List(items)
}

/// One hook, in Claude Code's shape.
fn call(line: &str, timeout: i64, more: &[(&'static str, Item)]) -> Item {
    let mut pairs = vec![("type", "command".into()), ("command", text(line)), ("timeout", Item::Number(timeout))];
    pairs.extend_from_slice(more);
    Item::Map(pairs)
}

/// A group of one hook, for the tools that match.
fn group(matcher: &str, hook: Item) -> Item {
    map(vec![("matcher", matcher.into()), ("hooks", list(vec![hook]))])
}

/// A group of one hook, where there is nothing to match.
fn all(hook: Item) -> Item {
    map(vec![("hooks", list(vec![hook]))])
}

fn last(at: &[&'static str], item: Item) -> Piece {
    Piece { at: at.to_vec(), what: What::Last(item) }
}

fn missing(at: &[&'static str], item: Item) -> Piece {
    Piece { at: at.to_vec(), what: What::Missing(item) }
}

fn lists(path: PathBuf, format: Format, pieces: Vec<Piece>, stop: &[&'static str]) -> Target {
    Target { path, body: Body::Merge { format, pieces }, calls: Calls::Lists(vec![stop.to_vec()]) }
}

/// A JSON file of our own.
fn document(path: PathBuf, whole: &Item, stop: &[&'static str]) -> Target {
    let text = format!("{}\n", pretty(whole, 0));
    Target { path, body: Body::Whole { mode: 0o644, text }, calls: Calls::Lists(vec![stop.to_vec()]) }
}

/// JSON in the order of its author.
fn pretty(item: &Item, depth: usize) -> String {
    let (here, deeper) = ("  ".repeat(depth), "  ".repeat(depth + 1));
    let block = |open: char, close: char, lines: Vec<String>| {
        format!("{open}\n{deeper}{}\n{here}{close}", lines.join(&format!(",\n{deeper}")))
    };
    match item {
        Item::Map(pairs) => block(
            '{',
            '}',
            pairs.iter().map(|(k, v)| format!("{}: {}", Item::from(*k).json(), pretty(v, depth + 1))).collect(),
        ),
        Item::List(items) => block('[', ']', items.iter().map(|i| pretty(i, depth + 1)).collect()),
        other => other.json().to_string(),
    }
}
