//! `install` and `uninstall`: people's verbs over the configuration of coding agents. Each agent is planned
//! whole before its first file is written; one that can't be done stops no other.

use std::io;
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::hook::Agent;
use backstop_engine::Failure;
use backstop_engine::porch::{self, Caller};

use super::hook::program;
use crate::args::Install;
use crate::document::{AgentDocument, FileDocument, HoleDocument, InstallDocument, ProofDocument, VERSION};
use crate::install::{self, At, Scope, Step, Work};
use crate::out::{self, Done};
use crate::screen::install as screen;
use crate::screen::style::Style;
use crate::{exit, inside};

/// What is done with each agent.
type Plan = fn(Agent, &Work<'_>) -> Result<Vec<Step>, Failure>;

/// `backstop install`: exit 1 where a hook is not proven, 125 where one could not be installed.
pub fn install(typed: &Install) -> Done {
    inside::people_only("install")?;
    each(typed, install::install, true)
}

/// `backstop uninstall`: exit 125 where a hook could not be taken out.
pub fn uninstall(typed: &Install) -> Done {
    inside::people_only("uninstall")?;
    each(typed, install::uninstall, false)
}

fn each(typed: &Install, plan: Plan, prove: bool) -> Done {
    let at = at(typed.root.clone())?;
    let (settings, _) = porch::settings(Caller::of_this_process())?;
    let scope = if typed.system { Scope::System } else { Scope::User };
    let work = Work::new(&at, &settings.state, scope);
    let agents = selected(typed, &at, scope)?;
    let style = Style::of(&io::stdout());
    let mut all = Vec::new();
    let mut code = exit::OK;
    for agent in agents {
        let mut document = empty(agent, scope);
        match one(typed, agent, &work, plan) {
            Ok(steps) => {
                document.files = steps.iter().map(FileDocument::of).collect();
                if prove && !typed.dry_run {
                    fill(&mut document, agent, scope, &at);
                    if document.proof.as_ref().is_some_and(|p| !p.ok) {
                        code = code.max(exit::FOUND);
                    }
                }
                if !typed.json {
                    out::print(&screen::steps(agent, &steps, typed.dry_run, style))?;
                    out::print(&screen::proof(&document, style))?;
                }
            }
            Err(failure) => {
                code = code.max(exit::of_failure(failure.kind));
                out::failure(&failure);
                document.failed = Some(failure.what);
            }
        }
        all.push(document);
    }
    if typed.json {
        out::document(&InstallDocument { agents: all, dry_run: typed.dry_run, version: VERSION })?;
    }
    Ok(code)
}

fn one(typed: &Install, agent: Agent, work: &Work<'_>, plan: Plan) -> Result<Vec<Step>, Failure> {
    let steps = plan(agent, work)?;
    if typed.dry_run {
        return Ok(steps);
    }
    for step in &steps {
        install::act(agent, work, step)?;
    }
    Ok(steps)
}

/// The agents that were named, or found.
fn selected(typed: &Install, at: &At, scope: Scope) -> Result<Vec<Agent>, Failure> {
    let has_place = |agent: &Agent| scope == Scope::User || !install::targets(*agent, scope, at).is_empty();
    let mut agents = if typed.all {
        Agent::ALL.into_iter().filter(has_place).collect()
    } else if typed.detect {
        let found: Vec<Agent> =
            Agent::ALL.into_iter().filter(|a| install::detected(*a, at)).filter(has_place).collect();
        if found.is_empty() {
            let names: Vec<&str> = Agent::ALL.iter().map(|a| a.name()).collect();
            return Err(Failure::usage("no agent that Backstop knows was found here")
                .next(format!("name it: {}", names.join(", "))));
        }
        found
    } else {
        typed.agents.clone()
    };
    agents.sort();
    agents.dedup();
    Ok(agents)
}

/// Where things are, for the caller of this process.
fn at(root: Option<PathBuf>) -> Result<At, Failure> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let home = absolute("HOME").ok_or_else(|| {
        Failure::usage("agents look for their configuration in $HOME, which is not set").next("set HOME to your home")
    })?;
    let root = match root {
        None => PathBuf::from("/"),
        Some(dir) => dir.canonicalize().map_err(|e| {
            Failure::because(format!("cannot take {} for /", Bytes::from(dir.as_path()).quoted()), &e)
                .next("name a directory that exists")
        })?,
    };
    let program = program().map_err(|why| Failure::internal(format!("cannot install: {why}")))?;
    Ok(At {
        claude: absolute("CLAUDE_CONFIG_DIR"),
        codex: absolute("CODEX_HOME"),
        config: absolute("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config")),
        home,
        program,
        root,
    })
}

fn empty(agent: Agent, scope: Scope) -> AgentDocument {
    AgentDocument {
        agent: agent.name().to_owned(),
        failed: None,
        files: Vec::new(),
        holes: Vec::new(),
        proof: None,
        scope: scope.name(),
    }
}

fn fill(document: &mut AgentDocument, agent: Agent, scope: Scope, at: &At) {
    document.proof = Some(ProofDocument::of(&install::prove(agent, scope, at)));
    document.holes = install::holes(agent, scope).iter().map(HoleDocument::of).collect();
}

/// The agents that have Backstop's hook, or had it by the notes of `state`, each proven anew; for `doctor`.
pub fn proven(state: &Path) -> Result<Vec<AgentDocument>, Failure> {
    let at = at(None)?;
    let pairs = Agent::ALL.into_iter().flat_map(|a| [(a, Scope::User), (a, Scope::System)]);
    Ok(pairs
        .filter(|(agent, scope)| install::installed(*agent, &Work::new(&at, state, *scope)))
        .map(|(agent, scope)| {
            let mut document = empty(agent, scope);
            fill(&mut document, agent, scope, &at);
            document
        })
        .collect())
}
