//! `policy …`: looks at rules, checks them, tries them. Lets nothing through.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use backstop_core::bytes::Bytes;
use backstop_core::policy::law::{Law, Profile, Refusal};
use backstop_core::policy::trial::{Expected, Trial};
use backstop_core::policy::{Decision, Judgement, Reason};
use backstop_core::run::RunRecord;
use backstop_engine::law::{Kinds, Places, Standing, standing, tried};
use backstop_engine::porch::{self, Caller};
use backstop_engine::{Failure, Filter, House};

use crate::args::{self, Policy};
use crate::document::{
    ChangedRun, PolicyCheckDocument, PolicyExplainDocument, PolicyShowDocument, PolicySimulateDocument,
    PolicyTestDocument, TrialDocument, VERSION,
};
use crate::out::{self, Done, Trouble};
use crate::screen::policy as screen;
use crate::screen::style::Style;
use crate::{exit, inside};

/// Does what was asked for.
pub fn dispatch(what: &Policy) -> Done {
    match what {
        Policy::Check { files, profile, json } => check(files, *profile, *json),
        Policy::Explain(one) => explain(&one.run, one.json),
        Policy::Test { files, json } => test(files, *json),
        Policy::Simulate { policy, json } => simulate(policy.as_deref(), *json),
        Policy::Show { profile, json } => show(*profile, *json),
    }
}

/// What a run from here would be judged by: the places of its files, the classes, what is kept of both.
struct Here {
    places: Places,
    kinds: Kinds,
    state: PathBuf,
}

impl Here {
    fn new() -> Result<Self, Failure> {
        super::roots()?;
        let caller = Caller::of_this_process();
        let (settings, accounts) = porch::settings(caller)?;
        let workspace = porch::workspace_here(caller, &accounts, &settings.kinds.classes)?.map(Bytes::from);
        let places = Places::of(settings.home.as_ref(), workspace.as_ref());
        Ok(Self { places, kinds: settings.kinds, state: settings.state })
    }

    fn standing(&self, profile: Profile) -> Standing {
        standing(profile, &self.places, &self.kinds, &self.state)
    }
}

/// The profile that is meant; whichever may be looked at, the settings bind runs only.
fn meant(typed: Option<args::Profile>) -> Result<Profile, Trouble> {
    match typed {
        Some(profile) => Ok(profile.law()),
        None => Ok(porch::machine()?.profile),
    }
}

fn check(files: &[PathBuf], profile: Option<args::Profile>, json: bool) -> Done {
    inside::people_only("policy check")?;
    let (here, profile) = (Here::new()?, meant(profile)?);
    let mut rules = 0;
    let mut refusals: Vec<Refusal> = Vec::new();
    if files.is_empty() {
        for profile in Profile::ALL {
            let standing = here.standing(profile);
            rules += standing.law().map_or(0, |l| l.rules().count() as u64);
            refusals.extend(standing.refusals().iter().cloned());
        }
    }
    for file in files {
        match tried(profile, &here.places, file) {
            Ok(law) => rules += law.rules().count() as u64,
            Err(more) => refusals.extend(more),
        }
    }
    refusals.sort();
    refusals.dedup();
    let found = PolicyCheckDocument { ok: refusals.is_empty(), refusals, rules, version: VERSION };
    if json {
        out::document(&found)?;
    } else {
        out::print(&screen::check(&found, Style::of(&io::stdout())))?;
    }
    Ok(if found.ok { exit::OK } else { exit::FOUND })
}

fn explain(run: &str, json: bool) -> Done {
    inside::records_needed("policy explain")?;
    let house = super::house()?;
    let id = house.engine.find(run)?;
    let record = house.engine.record(id)?;
    let findings = house.engine.findings(id)?;
    let today = standing_of(&house, &record);
    let judgement = record.judgement.clone();
    let spoke: BTreeSet<&str> = judgement.iter().flat_map(|j| &j.reasons).map(|r| r.rule.as_str()).collect();
    let rules = today.law().into_iter().flat_map(Law::rules).filter(|r| spoke.contains(r.id.as_str()));
    let found = PolicyExplainDocument {
        rules: rules.map(|r| (r.id.clone(), r.clone())).collect(),
        same_rules: judgement.as_ref().is_some_and(|j| j.law == Some(today.digest())),
        findings,
        judgement,
        run: id,
        version: VERSION,
    };
    if json {
        out::document(&found)?;
    } else {
        out::print(&screen::explain(&found, Style::of(&io::stdout())))?;
    }
    Ok(exit::OK)
}

/// What the run of `record` would be judged by today.
fn standing_of(house: &House, record: &RunRecord) -> Standing {
    let settings = house.engine.settings();
    let (profile, places) = of(house, record);
    standing(profile, &places, &settings.kinds, &settings.state)
}

fn of(house: &House, record: &RunRecord) -> (Profile, Places) {
    let home = house.engine.settings().home.as_ref();
    let profile = Profile::ALL.into_iter().find(|p| p.name() == record.request.profile).unwrap_or_default();
    (profile, Places::of(home, record.request.workspace.as_ref()))
}

/// The law for a recorded run: with `policy`, or as it is in force today.
fn law_of(house: &House, record: &RunRecord, policy: Option<&Path>) -> Result<Law, Vec<Refusal>> {
    match policy {
        Some(path) => {
            let (profile, places) = of(house, record);
            tried(profile, &places, path)
        }
        None => {
            let standing = standing_of(house, record);
            standing.law().cloned().ok_or_else(|| standing.refusals().to_vec())
        }
    }
}

fn test(files: &[PathBuf], json: bool) -> Done {
    inside::people_only("policy test")?;
    let here = Here::new()?;
    let mut laws = BTreeMap::new();
    for profile in Profile::ALL {
        let standing = here.standing(profile);
        let Some(law) = standing.law() else {
            let why = standing.refusals().first().map(|r| format!("{}: {}", r.at, r.why)).unwrap_or_default();
            return Err(Failure::usage(format!("the rules can't be loaded: {why}"))
                .next("backstop policy check")
                .into());
        };
        laws.insert(profile.name(), (profile, law.clone()));
    }
    let mut cases = Vec::new();
    for file in case_files(files)? {
        let shown = Bytes::from(file.as_path()).quoted().to_string();
        let text = std::fs::read_to_string(&file).map_err(|e| Failure::because(format!("cannot read {shown}"), &e))?;
        let trial = Trial::parse(&text).map_err(|why| {
            Failure::usage(format!("{shown} is no case: {why}")).next("what a case looks like: docs/policy.md")
        })?;
        for (name, expected) in &trial.expect {
            let Some((profile, law)) = laws.get(name.as_str()) else { continue };
            let got = Expected::of(&trial.judged(law, *profile));
            cases.push(TrialDocument { expected: expected.clone(), file: shown.clone(), got, profile: name.clone() });
        }
    }
    let ok = cases.iter().all(|c| c.expected == c.got);
    let found = PolicyTestDocument { cases, ok, version: VERSION };
    if json {
        out::document(&found)?;
    } else {
        out::print(&screen::test(&found, Style::of(&io::stdout())))?;
    }
    Ok(if ok { exit::OK } else { exit::FOUND })
}

/// The files, and those with `.toml` in the directories among them.
fn case_files(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for path in given {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let failed =
            |e: io::Error| Failure::because(format!("cannot read {}", Bytes::from(path.as_path()).quoted()), &e);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|e| e == "toml") {
                found.push(file);
            }
        }
        found.sort();
        all.extend(found);
    }
    Ok(all)
}

fn simulate(policy: Option<&Path>, json: bool) -> Done {
    inside::people_only("policy simulate")?;
    let house = super::house()?;
    let mut laws: BTreeMap<(String, Option<Bytes>), Law> = BTreeMap::new();
    let mut found =
        PolicySimulateDocument { changed: Vec::new(), judged: 0, moves: BTreeMap::new(), skipped: 0, version: VERSION };
    for record in house.engine.runs(&Filter::default())?.runs {
        let (Some(before), Some(findings)) = (&record.judgement, house.engine.findings(record.id)?) else {
            found.skipped += 1;
            continue;
        };
        let key = (record.request.profile.clone(), record.request.workspace.clone());
        if !laws.contains_key(&key) {
            let law = law_of(&house, &record, policy).map_err(|refusals| {
                let why = refusals.first().map(|r| format!("{}: {}", r.at, r.why)).unwrap_or_default();
                Failure::usage(format!("with these rules, everything would be denied: {why}"))
                    .next("see all that is wrong: backstop policy check")
            })?;
            laws.insert(key.clone(), law);
        }
        let Some(law) = laws.get(&key) else { continue };
        // The floor is in code: what it said then, it says again.
        let floor: Vec<Reason> = before.reasons.iter().filter(|r| r.source.is_none()).cloned().collect();
        let floor = floor.into_iter().filter(|r| r.rule.starts_with("floor-")).collect();
        let now = law.judge(&findings, floor);
        found.judged += 1;
        if let Some(changed) = differs(&record, before, &now) {
            let moved = format!("{} -> {}", changed.before.name(), changed.now.name());
            *found.moves.entry(moved).or_default() += u64::from(changed.before != changed.now);
            found.changed.push(changed);
        }
    }
    found.moves.retain(|_, n| *n > 0);
    if json {
        out::document(&found)?;
    } else {
        out::print(&screen::simulate(&found, Style::of(&io::stdout())))?;
    }
    Ok(exit::OK)
}

fn differs(record: &RunRecord, before: &Judgement, now: &Judgement) -> Option<ChangedRun> {
    let names = |j: &Judgement| -> BTreeSet<String> {
        j.reasons.iter().filter(|r| r.decision != Decision::Allow).map(|r| r.rule.clone()).collect()
    };
    let (old, new) = (names(before), names(now));
    (before.decision != now.decision || old != new).then(|| ChangedRun {
        before: before.decision,
        gained: new.difference(&old).cloned().collect(),
        lost: old.difference(&new).cloned().collect(),
        now: now.decision,
        run: record.id,
    })
}

fn show(profile: Option<args::Profile>, json: bool) -> Done {
    inside::records_needed("policy show")?;
    let standing = Here::new()?.standing(meant(profile)?);
    let mut rules: Vec<_> = standing.law().into_iter().flat_map(Law::rules).cloned().collect();
    rules.sort_by(|a, b| (a.layer, &a.id).cmp(&(b.layer, &b.id)));
    let found = PolicyShowDocument {
        files: standing.files(),
        law: standing.digest(),
        refusals: standing.refusals().to_vec(),
        rules,
        version: VERSION,
    };
    if json {
        out::document(&found)?;
    } else {
        out::print(&screen::show(&found, Style::of(&io::stdout())))?;
    }
    Ok(exit::OK)
}
