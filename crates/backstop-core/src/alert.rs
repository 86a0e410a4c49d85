//! Which entries of the audit log people are told of though nothing waits for them: by rules, of which Backstop brings some
//! and an administrator writes others. Takes the text of a rules file, an entry and its run's record; gives what is raised.
//!
//! What people are told is the rule's own words and the pattern that matched, never what an agent wrote.

mod file;
mod program;

use crate::audit::{Body, Entry, Severity};
use crate::classes::Pattern;
use crate::digest::Digest;
use crate::policy::Decision;
use crate::run::RunRecord;
pub use file::RulesError;
use program::Call;

/// What Backstop brings.
const BUILT_IN: &str = include_str!("alert/default.toml");

/// The rules that are in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What people are told, as a sentence fragment.
    pub says: String,
    /// How much it matters.
    pub severity: Severity,
    /// For so many minutes what is the same is counted and not told again.
    pub again: u64,
    /// What it is about.
    when: When,
    /// Whose runs; of everybody where there are none.
    users: Vec<u32>,
    /// Which coding agents', as they call themselves; of all where there are none.
    agents: Vec<Pattern>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum When {
    /// Entries of these types.
    Entries(Vec<Pattern>),
    /// A program that ran.
    Program(Vec<Call>),
    /// What a run would do, as it was judged. What is empty, or none, is not asked.
    Effect { decisions: Vec<Decision>, policies: Vec<Pattern>, classes: Vec<String>, deletes: Option<u64> },
}

/// That an entry is one of those that people should hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised<'r> {
    /// By which rule.
    pub rule: &'r Rule,
    /// What of the rule it was, in the rule's spelling.
    pub what: String,
    /// Names what is the same: this of this rule, for this account. A session is a name that whoever asks makes up.
    pub same: String,
}

impl Rules {
    /// Those that Backstop brings.
    pub fn built_in() -> Self {
        Self(file::read(BUILT_IN).expect("a test reads what is shipped").rules)
    }

    /// Those that Backstop brings, but for what an administrator's file turns off, and those of the file.
    ///
    /// # Errors
    /// The line that is wrong; nothing of the file is taken then.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let file::File { off, rules } = file::read(text)?;
        let Self(mut all) = Self::built_in();
        for (line, name) in off {
            if !all.iter().any(|rule| rule.name == name) {
                return Err(RulesError { line, what: format!("no rule of Backstop's own is called {name:?}") });
            }
            all.retain(|rule| rule.name != name);
        }
        // One of the same name takes the place of Backstop's own.
        all.retain(|own| rules.iter().all(|rule| rule.name != own.name));
        all.extend(rules);
        Ok(Self(all))
    }

    /// The rules, Backstop's own first.
    pub fn all(&self) -> &[Rule] {
        &self.0
    }

    /// The gravest of the rules that an entry is about, the first among equals; `run` is the record of its run. What a rule
    /// asks of a record that is not kept any more is taken to hold: silence would be worse.
    pub fn raised(&self, entry: &Entry, run: Option<&RunRecord>) -> Option<Raised<'_>> {
        let matching = self.0.iter().filter_map(|rule| Some((rule, rule.what(entry, run)?)));
        let (rule, what) = matching.min_by_key(|(rule, _)| rule.severity)?;
        let whose = run.map_or_else(String::new, |run| run.request.asked_by().to_string());
        let parts = [rule.name.as_bytes(), what.as_bytes(), whose.as_bytes()];
        let same = Digest::of("backstop/alert/1", &parts).hex()[..16].to_owned();
        Some(Raised { rule, what, same })
    }
}

impl Rule {
    /// What of it an entry is; none where that is nothing.
    fn what(&self, entry: &Entry, run: Option<&RunRecord>) -> Option<String> {
        if entry.body.run().is_some() && run.is_some_and(|run| !self.is_of(run)) {
            return None;
        }
        // Whose it is can be asked of a run alone.
        if entry.body.run().is_none() && !(self.users.is_empty() && self.agents.is_empty()) {
            return None;
        }
        match (&self.when, &entry.body) {
            (When::Entries(types), body) => {
                types.iter().any(|name| name.covers(body.name().as_bytes())).then(|| body.name().to_owned())
            }
            (When::Program(calls), Body::ExecRan { program, .. }) => {
                calls.iter().find(|call| call.is(program)).map(|call| call.spelling.clone())
            }
            (When::Effect { decisions, policies, classes, deletes }, Body::RunJudged { judgement, .. }) => {
                if !decisions.is_empty() && !decisions.contains(&judgement.decision) {
                    return None;
                }
                let spoke = judgement.reasons.iter().map(|reason| reason.rule.as_str());
                let policy = spoke.into_iter().find(|rule| policies.iter().any(|p| p.covers(rule.as_bytes())));
                if !policies.is_empty() && policy.is_none() {
                    return None;
                }
                let touched = run.and_then(|run| run.meaning.as_ref()).map(|meaning| &meaning.kinds);
                let class = touched.and_then(|kinds| kinds.iter().map(|k| &k.class).find(|c| classes.contains(c)));
                if !classes.is_empty() && touched.is_some() && class.is_none() {
                    return None;
                }
                let gone = run.and_then(|run| run.totals.as_ref()).map(|totals| totals.deleted.entries());
                if deletes.zip(gone).is_some_and(|(least, gone)| gone < least) {
                    return None;
                }
                Some(class.cloned().unwrap_or_else(|| judgement.decision.name().to_owned()))
            }
            _ => None,
        }
    }

    fn is_of(&self, run: &RunRecord) -> bool {
        let agent = run.request.asker.as_ref().map(|asker| asker.agent.as_slice());
        (self.users.is_empty() || self.users.contains(&run.request.asked_by()))
            && (self.agents.is_empty() || agent.is_some_and(|name| self.agents.iter().any(|a| a.covers(name))))
    }
}

#[cfg(test)]
mod tests;
