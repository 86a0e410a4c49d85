//! Takes a real PostgreSQL server in a throw-away root, puts its data directory behind the link that a
//! clean-up follows, and runs the incident's command: by plain bash, which loses the database, and under
//! Backstop in both profiles, with and without a backup that was restored and compared: nothing goes, the
//! server goes on answering, and what is said is a snapshot.

use std::path::{Path, PathBuf};
use std::time::Duration;

use backstop_e2e::arena::{Arena, Plan, Who};
use backstop_e2e::bounded::watchdog;
use backstop_e2e::trial::claim;
use backstop_e2e::{Broken, guard};
use libtest_mimic::{Arguments, Failed};
use regex::Regex;

const INCIDENT: &str = include_str!("../postgres/incident.sh");
const APPROVED: &str = include_str!("../postgres/approved.sh");
/// The steps of two people who let it go, with their exit codes.
const STEPS: &str = "enrol-anna 0\nenrol-ben 0\nheld 75\none 0\none-is-not-enough 77\nsame-person-again 77\n\
    nothing-gone 0\ntwo 0\ngone 0\nverified 0\nundone 0\nverified-again 0\n";
const STEP: Duration = Duration::from_secs(120);
/// How the database is when nothing was lost.
const WHOLE: &str = "rows 2000\ntakes a row\nchecksums hold\nrows after a new start 2001\n";

fn main() {
    let args = Arguments::from_args();
    let missing = guard::missing().or_else(no_server);
    if !args.list && missing.is_none() {
        guard::enter_own_mounts();
        watchdog(Duration::from_secs(400));
    }
    let mut trials = vec![claim("plain-bash-loses-the-database", &missing, plain_bash_loses_it)];
    for who in [Who::Root, Who::User] {
        let name = format!("{}::two-people-let-a-database-go-and-it-comes-back", who.name());
        trials.push(claim(name, &missing, move || goes_by_two_people_and_comes_back(who)));
    }
    for profile in ["workstation", "production"] {
        for (proof, with) in [("", "without"), ("fresh", "with")] {
            for who in [Who::Root, Who::User] {
                let name = format!(
                    "{}::a-running-database-behind-a-link-stays-in-{profile}-{with}-a-proven-backup",
                    who.name()
                );
                trials.push(claim(name, &missing, move || stays(profile, who, proof)));
            }
        }
    }
    libtest_mimic::run(&args, trials).exit();
}

fn no_server() -> Option<String> {
    let found = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let there = found.map(|e| e.path().join("bin/postgres")).any(|p| p.is_file());
    (!there).then(|| "PostgreSQL is not installed (`cargo xtask test` brings it)".to_owned())
}

/// What the incident left behind.
struct After {
    arena: Arena,
}

impl After {
    fn of(profile: &str, who: Who, how: &str, proof: &str) -> Result<Self, Broken> {
        Self::script(who, &format!("PROFILE={profile} GUARD={how} PROOF={proof}\n{INCIDENT}"))
    }

    fn script(who: Who, script: &str) -> Result<Self, Broken> {
        let arena = Arena::new(Plan { who, guard: Some(guard::binary()), borrowed: Vec::new() })?;
        let uid = if who == Who::Root { 0 } else { 1000 };
        let script = format!("UIDN={uid}\n{script}");
        arena.sh_as(Who::Root, &script, &[], STEP)?.must("the incident")?;
        Ok(Self { arena })
    }

    fn read(&self, name: &str) -> Result<String, Broken> {
        let path: PathBuf = self.arena.at(Path::new("/w").join(name).to_str().unwrap_or_default());
        std::fs::read_to_string(&path).map_err(Broken::io(format!("read {name}")))
    }
}

fn plain_bash_loses_it() -> Result<(), Failed> {
    let after = After::of("workstation", Who::Root, "plain", "")?;
    let database = after.read("database")?;
    if after.read("code")? == "0\n" && database.contains("does not start again") {
        return Ok(());
    }
    Err(format!("plain bash loses nothing, so the case proves nothing:\n{database}").into())
}

fn goes_by_two_people_and_comes_back(who: Who) -> Result<(), Failed> {
    let after = After::script(who, APPROVED)?;
    let (steps, database) = (after.read("steps")?, after.read("database")?);
    let same = after.read("names.before")? == after.read("names.after")?;
    if steps == STEPS && database == "checksums hold\nrows 2000\n" && same {
        return Ok(());
    }
    Err(format!("{steps}\n{database}\nthe same names: {same}\n{}", after.read("transcript")?).into())
}

fn stays(profile: &str, who: Who, proof: &str) -> Result<(), Failed> {
    let after = After::of(profile, who, "guarded", proof)?;
    // Where data of a server would be lost without a proof, no number of people is enough.
    let (expected, state) = if (profile, proof) == ("production", "") { ("77", "denied") } else { ("75", "held") };
    let said = format!("{}{}", after.read("said.out")?, after.read("said.err")?);
    let code = after.read("code")?;
    if code.trim() != expected {
        return Err(format!("exit code {}, where {expected} means {state}:\n{said}", code.trim()).into());
    }
    let (before, now) = (after.read("names.before")?, after.read("names.after")?);
    let database = after.read("database")?;
    if database != WHOLE || before != now {
        return Err(format!("the database is not as before:\n{database}\n{said}").into());
    }
    let show: serde_json::Value =
        serde_json::from_str(&after.read("show.json")?).map_err(|e| format!("`show --json` gives no document: {e}"))?;
    let record = &show["record"];
    if record["state"] != state {
        return Err(format!("the state is {} and not {state}", record["state"]).into());
    }
    let tier = record["judgement"]["decision"].as_str().unwrap_or("none");
    let rules: Vec<&str> =
        record["judgement"]["reasons"].as_array().into_iter().flatten().filter_map(|r| r["rule"].as_str()).collect();
    let text = format!("decision {tier}\nrules {}\n\n{}", rules.join(", "), without_chance(&said));
    // The same words for both users.
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let name = format!("postgres-{profile}{}", if proof.is_empty() { "" } else { "-proven" });
    settings.bind(|| insta::assert_snapshot!(name, text));
    Ok(())
}

/// The words with everything that is never twice the same written as its kind.
fn without_chance(said: &str) -> String {
    let kinds = [
        (r"\br-[0-9a-z]{6,}", "RUN"),
        (r"\d[\d.,]* ?([KMGT]i?B|B|bytes)\b", "SIZE"),
        (r"\d[\d,]* (files|directories|folders|entries|places)", "N $1"),
        (r"postgres\[\d+\] has \d+ of", "postgres[PID] has N of"),
        // Which of the server's processes has what open is its own affair.
        (r"(?m)(\n +postgres\[PID\][^\n]*)+", ""),
    ];
    kinds.iter().fold(said.to_owned(), |text, (pattern, kind)| {
        Regex::new(pattern).map(|r| r.replace_all(&text, *kind).into_owned()).unwrap_or(text)
    })
}
