//! A rules file: TOML, of which nothing is taken where a line is wrong. A rule that could never be raised is an error.

use serde::Deserialize;
use toml::Spanned;

use super::program::Call;
use super::{Rule, When};
use crate::approval::is_name;
use crate::audit::{Body, Severity};
use crate::classes::Pattern;
use crate::notice::Notice;
use crate::policy::Decision;

/// More rules nobody looks after.
const MOST: usize = 256;

/// The longest text that people are told, in bytes.
const LONGEST: usize = 200;

/// Nothing is kept back for longer than this, in minutes: what is older than a day nobody is told any more.
const LONGEST_AGAIN: u64 = 12 * 60;

/// Why a file is not gone by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct RulesError {
    /// Which line of it.
    pub line: usize,
    /// What is wrong there.
    pub what: String,
}

pub(super) struct File {
    /// Rules of Backstop's own that are not wanted, with their line.
    pub off: Vec<(usize, String)>,
    pub rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    off: Vec<Spanned<String>>,
    #[serde(default)]
    rule: Vec<Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: String,
    says: String,
    severity: Severity,
    #[serde(default = "hour")]
    again_minutes: u64,
    #[serde(default)]
    entries: Vec<String>,
    #[serde(default)]
    programs: Vec<String>,
    #[serde(default)]
    decisions: Vec<Decision>,
    #[serde(default)]
    policies: Vec<String>,
    #[serde(default)]
    classes: Vec<String>,
    deletes: Option<u64>,
    #[serde(default)]
    users: Vec<u32>,
    #[serde(default)]
    agents: Vec<String>,
}

const fn hour() -> u64 {
    60
}

pub(super) fn read(text: &str) -> Result<File, RulesError> {
    let line = |at: usize| text.get(..at).unwrap_or_default().matches('\n').count() + 1;
    let raw: Raw = toml::from_str(text).map_err(|e| RulesError {
        line: line(e.span().map_or(0, |span| span.start)),
        what: e.message().replace('\n', " "),
    })?;
    if raw.rule.len() > MOST {
        return Err(RulesError { line: 1, what: format!("more than {MOST} rules") });
    }
    let mut rules: Vec<Rule> = Vec::new();
    for spanned in raw.rule {
        let at = line(spanned.span().start);
        let wrong = |what: String| RulesError { line: at, what };
        let rule = rule(spanned.into_inner()).map_err(wrong)?;
        if rules.iter().any(|other| other.name == rule.name) {
            return Err(wrong(format!("there is a rule {} already", rule.name)));
        }
        rules.push(rule);
    }
    let off = raw.off.into_iter().map(|name| (line(name.span().start), name.into_inner())).collect();
    Ok(File { off, rules })
}

fn rule(raw: RawRule) -> Result<Rule, String> {
    let RawRule { name, says, severity, again_minutes: again, users, agents, .. } = &raw;
    if !is_name(name) {
        return Err(format!("{name:?} is no name: letters, digits and . _ - @"));
    }
    if says.is_empty() || says.len() > LONGEST || !says.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(format!("`says` of {name} is to be one line of at most {LONGEST} plain characters"));
    }
    if *again > LONGEST_AGAIN {
        return Err(format!("`again_minutes` of {name} is more than 720, half a day"));
    }
    let when = when(&raw).map_err(|why| format!("{name}: {why}"))?;
    Ok(Rule {
        name: name.clone(),
        says: says.clone(),
        severity: *severity,
        again: *again,
        when,
        users: users.clone(),
        agents: patterns(agents)?,
    })
}

fn when(raw: &RawRule) -> Result<When, String> {
    let RawRule { entries, programs, decisions, policies, classes, deletes, .. } = raw;
    let effect = !(decisions.is_empty() && policies.is_empty() && classes.is_empty() && deletes.is_none());
    match (!entries.is_empty(), !programs.is_empty(), effect) {
        (true, false, false) => {
            let types = patterns(entries)?;
            let of = |pattern: &Pattern| {
                Body::NAMES.into_iter().filter(|name| pattern.covers(name.as_bytes())).collect::<Vec<_>>()
            };
            for (pattern, spelling) in types.iter().zip(entries) {
                let all = of(pattern);
                if all.is_empty() {
                    return Err(format!("no entry is of the type {spelling:?}"));
                }
                if all.iter().all(|name| Notice::ALWAYS.contains(name)) {
                    return Err(format!("{spelling:?} has a notice of its own, and is told by that"));
                }
                let of_run = |name: &&str| name.starts_with("run.") || name.starts_with("exec.");
                let asks_whose = !raw.users.is_empty() || !raw.agents.is_empty();
                if asks_whose && !all.iter().any(of_run) {
                    return Err(format!("{spelling:?} is of no run, so of no user and no agent"));
                }
            }
            // They would be told of what they are told, for ever.
            if types.iter().any(|pattern| pattern.covers(b"notice.delivered") || pattern.covers(b"notice.failed")) {
                return Err("of what became of notices nobody is told by one".to_owned());
            }
            Ok(When::Entries(types))
        }
        (false, true, false) => {
            programs.iter().map(|spelling| Call::new(spelling)).collect::<Result<_, _>>().map(When::Program)
        }
        (false, false, true) => Ok(When::Effect {
            decisions: decisions.clone(),
            policies: patterns(policies)?,
            classes: classes.clone(),
            deletes: *deletes,
        }),
        (false, false, false) => {
            Err("it says neither `entries`, nor `programs`, nor what is judged (decisions, policies, classes, deletes)"
                .to_owned())
        }
        _ => {
            Err("`entries`, `programs`, and what is judged (decisions, policies, classes, deletes) are three things; \
                  write a rule for each"
                .to_owned())
        }
    }
}

fn patterns(all: &[String]) -> Result<Vec<Pattern>, String> {
    all.iter().map(|text| Pattern::parse(text)).collect()
}
