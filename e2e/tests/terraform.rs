//! Takes an infrastructure whose old state lies in an archive, swaps that state in and destroys what it
//! names: by plain bash, which loses a database and its snapshots, and under Backstop, which lets
//! nothing of it through and shows both, the state of another lineage and the data that would go. With real Terraform
//! where it is installed, and always with recorded states.

use std::time::Duration;

use backstop_e2e::arena::{Arena, Plan, Who, quote};
use backstop_e2e::bounded::watchdog;
use backstop_e2e::tree::{DiffOpts, Tree};
use backstop_e2e::trial::claim;
use backstop_e2e::{Broken, guard};
use libtest_mimic::{Arguments, Failed};
use serde_json::Value;

const STEP: Duration = Duration::from_secs(120);
/// What the infrastructure holds: made by root, given to whoever runs Terraform.
const DATA: &str = "set -e; mkdir -p /srv/database/base /srv/snapshots; cd /srv\n\
    for i in $(seq 20); do seq $((i * 100)) > database/base/$i; done; echo 15 > database/PG_VERSION\n\
    for d in mon tue wed; do tar cf snapshots/$d.tar database; done; chown -R $UIDN:$UIDN database snapshots; chown $UIDN /srv\n";
const STATE: &str = "/w/work/infra/terraform.tfstate";

/// Which Terraform.
#[derive(Clone, Copy)]
struct Flavour {
    name: &'static str,
    fixture: &'static str,
    command: &'static str,
}

const REAL: Flavour = Flavour {
    name: "real",
    fixture: include_str!("../terraform/real.sh"),
    command: "cp ../archive/old.tfstate terraform.tfstate && terraform destroy -auto-approve",
};
const RECORDED: Flavour = Flavour {
    name: "recorded",
    fixture: include_str!("../terraform/recorded.sh"),
    command: "cp ../archive/old.tfstate terraform.tfstate && python3 destroy.py",
};

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing();
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(400));
    }
    let mut trials = Vec::new();
    for flavour in [REAL, RECORDED] {
        // No distribution packages it; where it is missing the recorded states stand for it.
        let absent = || (!guard::installed("terraform")).then(|| "terraform is not installed".to_owned());
        let missing = missing.clone().or_else(|| if flavour.name == "real" { absent() } else { None });
        let name = format!("{}::plain-bash-loses-the-database", flavour.name);
        trials.push(claim(name, &missing, move || plain_bash_loses_it(flavour)));
        for profile in ["workstation", "production"] {
            for who in [Who::Root, Who::User] {
                let name = format!(
                    "{}::{}::a-state-swapped-in-and-the-destroy-are-both-seen-in-{profile}",
                    flavour.name,
                    who.name()
                );
                trials.push(claim(name, &missing, move || held(flavour, profile, who)));
            }
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

/// The infrastructure of today, with an older state at hand.
fn today(flavour: Flavour, who: Who) -> Result<Arena, Broken> {
    let arena = Arena::new(Plan { who, guard: Some(guard::binary()), borrowed: Vec::new() })?;
    let uid = if who == Who::Root { 0 } else { 1000 };
    arena.sh_as(Who::Root, &format!("UIDN={uid}\n{DATA}"), &[], STEP)?.must("making the data")?;
    arena.sh(flavour.fixture, &[], STEP)?.must("making the infrastructure")?;
    let (old, new) = (state(&arena, "/w/work/archive/old.tfstate")?, state(&arena, STATE)?);
    if old["lineage"] == new["lineage"] || old["serial"].as_u64() >= new["serial"].as_u64() {
        let what = "the archive's state has to be of another lineage and older".to_owned();
        return Err(Broken::Case { file: flavour.name.to_owned(), what });
    }
    Ok(arena)
}

fn state(arena: &Arena, path: &str) -> Result<Value, Broken> {
    let text = std::fs::read(arena.at(path)).map_err(Broken::io(format!("read {path}")))?;
    serde_json::from_slice(&text).map_err(|e| Broken::Case { file: path.to_owned(), what: e.to_string() })
}

fn trees(arena: &Arena) -> (Tree, Tree) {
    (arena.tree_at("/w/work"), arena.tree_at("/srv"))
}

fn plain_bash_loses_it(flavour: Flavour) -> Result<(), Failed> {
    let arena = today(flavour, Who::Root)?;
    let said = arena.sh(&format!("cd /w/work/infra && bash -c {}", quote(flavour.command)), &[], STEP)?;
    if said.code == 0 && !arena.at("/srv/database").exists() && !arena.at("/srv/snapshots").exists() {
        return Ok(());
    }
    Err(format!("plain bash loses nothing, so the case proves nothing\n  {}", said.words()).into())
}

fn held(flavour: Flavour, profile: &str, who: Who) -> Result<(), Failed> {
    let arena = today(flavour, who)?;
    let before = trees(&arena);
    let line = quote(flavour.command);
    let said =
        arena.sh(&format!("cd /w/work/infra && backstop run --profile {profile} --json -c {line}"), &[], STEP)?;
    let words = String::from_utf8_lossy(&said.err).into_owned();
    let document: Value = serde_json::from_slice(&said.out).map_err(|e| format!("no document: {e}\n{words}"))?;
    // In production no number of people makes up for the backup that nobody has restored.
    let (code, state) = if profile == "production" { (77, "denied") } else { (75, "held") };
    if said.code != code || document["record"]["state"] != state {
        return Err(format!(
            "exit code {}, state {}, and not {state}\n{words}",
            said.code, document["record"]["state"]
        )
        .into());
    }
    // It ran to its end on the view, so what is shown is the whole of what it would do.
    if document["record"]["exit"] != serde_json::json!({"code": 0}) {
        return Err(format!("the rehearsal ended with {}\n{words}", document["record"]["exit"]).into());
    }
    let after = trees(&arena);
    let lines = [before.0.diff(&after.0, &DiffOpts::default()), before.1.diff(&after.1, &DiffOpts::default())].concat();
    if !lines.is_empty() {
        return Err(format!("{} differences to the tree before:\n    {}", lines.len(), lines.join("\n    ")).into());
    }
    let effects = document["effects"]["effects"].as_array().cloned().unwrap_or_default();
    for (place, kinds) in
        [(STATE, &["change", "replace"][..]), ("/srv/database", &["delete"]), ("/srv/snapshots", &["delete"])]
    {
        let seen = effects.iter().any(|e| e["path"] == place && kinds.iter().any(|k| e["kind"] == *k));
        if !seen {
            let all: Vec<String> = effects.iter().map(|e| format!("{} {}", e["kind"], e["path"])).collect();
            return Err(format!("no effect on {place} among:\n    {}", all.join("\n    ")).into());
        }
    }
    in_the_facts(&facts(&arena)?)
}

/// That both halves of the accident are facts: what policy judges, not just places in a list.
fn in_the_facts(facts: &Value) -> Result<(), Failed> {
    let losing = facts["losing"].as_array().cloned().unwrap_or_default();
    if !["database", "outside"].iter().all(|class| losing.contains(&Value::from(*class))) {
        return Err(
            format!("a database outside is lost, and the facts say of what is lost: {}", facts["losing"]).into()
        );
    }
    // Terraform's own copy of the state before, beside it, counts as well.
    if facts["terraform"]["lineage_changed"].as_i64().is_some_and(|n| n >= 1) {
        return Ok(());
    }
    Err(format!("the swapped state is no fact: {}", facts["terraform"]).into())
}

/// What is kept of the only run's facts.
fn facts(arena: &Arena) -> Result<Value, Broken> {
    let runs = arena.at("/state/backstop/runs");
    let mut found = Vec::new();
    for run in std::fs::read_dir(&runs).map_err(Broken::io("list the runs"))? {
        let path = run.map_err(Broken::io("list the runs"))?.path().join("findings.json");
        found.push(std::fs::read(&path).map_err(Broken::io(format!("read {}", path.display())))?);
    }
    let wrong = |what: String| Broken::Case { file: "findings.json".to_owned(), what };
    let [one] = found.as_slice() else { return Err(wrong(format!("{} runs and not one", found.len()))) };
    let findings: Value = serde_json::from_slice(one).map_err(|e| wrong(e.to_string()))?;
    Ok(findings["facts"].clone())
}
