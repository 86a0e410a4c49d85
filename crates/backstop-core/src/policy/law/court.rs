//! The court: asks the law with nobody's approval, one person's, and the full quorum's. The first answer
//! that permits is the tier; none is Deny, and so is anything that could not be evaluated. Cedar passes
//! over a rule that errs, so an erring forbid would let through: errors are looked at every time.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision as Answer, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use serde_json::Value;

use super::rule::{Rule, told};
use super::{Law, Refusal};
use crate::facts::{Evidence, Facts, Findings, Places};
use crate::policy::schema::{COMMIT, HOST, REQUESTER};
use crate::policy::{Decision, Judgement, Reason};

/// How many approvals the law is asked with, and the decision that each stands for.
const LEVELS: [(i64, Decision); 3] = [(0, Decision::Allow), (1, Decision::Ask), (2, Decision::TwoPerson)];

/// What Cedar said at one level.
pub(super) struct Asked {
    /// True when something permits and nothing forbids.
    permitted: bool,
    /// The rules behind the answer, by name.
    pub spoke: BTreeSet<String>,
    /// What could not be evaluated: rule and why.
    pub errors: BTreeMap<String, String>,
}

impl Law {
    /// Judges what a rehearsal found. `floor` are the reasons that no law can outweigh.
    pub fn judge(&self, findings: &Findings, floor: Vec<Reason>) -> Judgement {
        let mut answers = Vec::new();
        for (people, _) in LEVELS {
            match asked(&self.set, &findings.facts, people) {
                Ok(answer) => answers.push(answer),
                Err(error) => return finish(vec![plain(Decision::Deny, "policy-error", error)], floor),
            }
        }
        let mut reasons: Vec<Reason> = Vec::new();
        for (id, why) in answers.iter().flat_map(|a| &a.errors) {
            if reasons.iter().all(|r| !r.why.starts_with(&format!("{id} can't"))) {
                let why = format!("{id} can't be evaluated, so it is taken to forbid: {why}");
                let source = self.rules.get(id).map(|r| r.at.clone());
                let next = Some("mend the rule: backstop policy check".to_owned());
                reasons.push(Reason { source, next, ..plain(Decision::Deny, "policy-error", why) });
            }
        }
        let tier = if reasons.is_empty() { answers.iter().position(|a| a.permitted) } else { None };
        let below = &answers[..tier.unwrap_or(answers.len())];
        // A rule asks for the first level above all at which it spoke, so that the strictest reason is
        // the decision, for rules that fall silent in between too.
        let mut levels: BTreeMap<&str, usize> = BTreeMap::new();
        for (level, answer) in below.iter().enumerate() {
            let silent = answer.spoke.is_empty() && answer.errors.is_empty();
            let names = answer.spoke.iter().map(String::as_str).filter(|_| !answer.permitted);
            for id in names.chain(silent.then_some("nothing-permits")) {
                levels.insert(id, level + 1);
            }
        }
        for (id, level) in levels {
            let decision = LEVELS.get(level).map_or(Decision::Deny, |(_, decision)| *decision);
            reasons.push(match self.rules.get(id) {
                Some(rule) => speaks(rule, decision, findings),
                None => plain(decision, id, "no rule permits this".to_owned()),
            });
        }
        finish(reasons, floor)
    }
}

/// The judgement where the law could not be loaded: Deny, with the cause.
pub fn refused(refusals: &[Refusal], floor: Vec<Reason>) -> Judgement {
    let mut reasons: Vec<Reason> = refusals
        .iter()
        .map(|r| Reason {
            next: Some(r.next.clone()),
            source: Some(r.at.clone()),
            ..plain(Decision::Deny, "policy-not-loaded", format!("{} ({})", r.why, r.rule))
        })
        .collect();
    if reasons.is_empty() {
        reasons.push(plain(Decision::Deny, "policy-not-loaded", "there are no rules to judge by".to_owned()));
    }
    finish(reasons, floor)
}

/// Asks the rules of `set` about `facts`, as if so many people had approved.
pub(super) fn asked(set: &PolicySet, facts: &Facts, people: i64) -> Result<Asked, String> {
    let request = request(facts, people)?;
    let response = Authorizer::new().is_authorized(&request, set, &Entities::empty());
    let diagnostics = response.diagnostics();
    let mut errors = BTreeMap::new();
    for error in diagnostics.errors() {
        let cedar_policy::AuthorizationError::PolicyEvaluationError(inner) = error;
        let id: &str = inner.policy_id().as_ref();
        errors.insert(id.to_owned(), told(error));
    }
    Ok(Asked {
        permitted: response.decision() == Answer::Allow,
        spoke: diagnostics.reason().map(|id| AsRef::<str>::as_ref(id).to_owned()).collect(),
        errors,
    })
}

fn request(facts: &Facts, people: i64) -> Result<Request, String> {
    let Value::Object(facts_by_name) = serde_json::to_value(facts).map_err(|e| told(&e))? else {
        return Err("the facts are no record".to_owned());
    };
    let mut pairs = Vec::with_capacity(facts_by_name.len() + 1);
    for (name, value) in facts_by_name {
        pairs.push((name, expression(value)?));
    }
    let approvals = [("people".to_owned(), RestrictedExpression::new_long(people))];
    pairs.push(("approvals".to_owned(), RestrictedExpression::new_record(approvals).map_err(|e| told(&e))?));
    let context = Context::from_pairs(pairs).map_err(|e| told(&e))?;
    let (who, what, host) = (
        entity(REQUESTER, &facts.principal.uid.to_string())?,
        entity("Action", COMMIT)?,
        entity(HOST, &facts.host.role)?,
    );
    Request::new(who, what, host, context, None).map_err(|e| told(&e))
}

fn entity(kind: &str, id: &str) -> Result<EntityUid, String> {
    let kind = EntityTypeName::from_str(kind).map_err(|e| told(&e))?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// A fact as Cedar has it. No fact is a fraction or null; were one, nothing could be judged.
fn expression(value: Value) -> Result<RestrictedExpression, String> {
    match value {
        Value::Bool(b) => Ok(RestrictedExpression::new_bool(b)),
        Value::Number(n) => n.as_i64().map(RestrictedExpression::new_long).ok_or(format!("the fact {n} is no integer")),
        Value::String(s) => Ok(RestrictedExpression::new_string(s)),
        Value::Array(all) => {
            Ok(RestrictedExpression::new_set(all.into_iter().map(expression).collect::<Result<Vec<_>, _>>()?))
        }
        Value::Object(all) => {
            let pairs =
                all.into_iter().map(|(name, v)| Ok((name, expression(v)?))).collect::<Result<Vec<_>, String>>()?;
            RestrictedExpression::new_record(pairs).map_err(|e| told(&e))
        }
        Value::Null => Err("a fact is null".to_owned()),
    }
}

/// What a rule says, with the places it speaks of.
fn speaks(rule: &Rule, decision: Decision, findings: &Findings) -> Reason {
    let mut places = Places::default();
    for key in &rule.about {
        gather(&mut places, &findings.evidence, key);
    }
    let named = names(rule, &findings.facts);
    let why = if named.is_empty() { rule.reason.clone() } else { format!("{}: {}", rule.reason, named.join(", ")) };
    Reason {
        count: places.count,
        decision,
        next: rule.next.clone(),
        paths: places.paths,
        rule: rule.id.clone(),
        source: Some(rule.at.clone()),
        why,
        // Two people read each other's reasons; one alone has to stop and read.
        words: rule.words.clone().filter(|_| decision == Decision::Ask),
    }
}

fn gather(places: &mut Places, evidence: &Evidence, key: &str) {
    let Some(found) = evidence.get(key) else { return };
    places.count += found.count;
    places.bytes += found.bytes;
    for path in &found.paths {
        if places.paths.len() < Reason::SHOWN && !places.paths.contains(path) {
            places.paths.push(path.clone());
        }
    }
}

/// The words of the sets that the rule speaks about (`incomplete`: `git`, `sqlite`).
fn names(rule: &Rule, facts: &Facts) -> Vec<String> {
    if rule.about.is_empty() {
        return Vec::new();
    }
    let all = serde_json::to_value(facts).unwrap_or_default();
    let sets = rule.about.iter().filter_map(|key| all.pointer(&format!("/{}", key.replace('.', "/")))?.as_array());
    sets.flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
}

/// A reason of the court's own.
fn plain(decision: Decision, rule: &str, why: String) -> Reason {
    Reason { why, ..Reason::new(decision, rule) }
}

fn finish(mut reasons: Vec<Reason>, floor: Vec<Reason>) -> Judgement {
    reasons.splice(0..0, floor);
    Judgement::of(reasons)
}
