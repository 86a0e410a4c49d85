//! The court: asks the law with nobody's approval, one person's, and the full quorum's. The first answer
//! that permits is the tier; none is Deny, and so is anything that could not be evaluated. Cedar passes
//! over a rule that errs, so an erring forbid would let through: errors are looked at every time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use cedar_policy::{
    Authorizer, Context, Decision as Answer, Entities, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use serde_json::{Map, Value};

use super::rule::{Rule, told};
use super::{Law, Refusal};
use crate::approval::quorum::Quorum;
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
        // The same facts at every level: they are told to Cedar once.
        let facts = told_of(&findings.facts).and_then(expressions);
        self.judge_by(findings, floor, |people| answer(&self.set, &request(&findings.facts, facts.clone()?, people)?))
    }

    fn judge_by(
        &self,
        findings: &Findings,
        floor: Vec<Reason>,
        ask: impl Fn(i64) -> Result<Asked, String>,
    ) -> Judgement {
        let mut answers = Vec::new();
        for (people, _) in LEVELS {
            match ask(people) {
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
        let mut spoken: Vec<(Weight, Reason)> = Vec::new();
        for (id, level) in levels {
            let decision = LEVELS.get(level).map_or(Decision::Deny, |(_, decision)| *decision);
            spoken.push(match self.rules.get(id) {
                Some(rule) => speaks(rule, raised(rule, decision, findings), findings),
                None => (Weight::default(), plain(decision, id, "no rule permits this".to_owned())),
            });
        }
        spoken.sort_by_key(|(weight, _)| *weight);
        reasons.extend(spoken.into_iter().map(|(_, reason)| reason));
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
    answer(set, &request(facts, expressions(told_of(facts)?)?, people)?)
}

fn answer(set: &PolicySet, request: &Request) -> Result<Asked, String> {
    let response = Authorizer::new().is_authorized(request, set, &Entities::empty());
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

/// The facts by their names.
fn told_of(facts: &Facts) -> Result<Map<String, Value>, String> {
    match serde_json::to_value(facts).map_err(|e| told(&e))? {
        Value::Object(by_name) => Ok(by_name),
        _ => Err("the facts are no record".to_owned()),
    }
}

/// A fact's name, and the fact as Cedar has it.
type Named = (String, RestrictedExpression);

fn expressions(by_name: Map<String, Value>) -> Result<Vec<Named>, String> {
    by_name.into_iter().map(|(name, value)| Ok((name, expression(value)?))).collect()
}

fn request(facts: &Facts, mut pairs: Vec<Named>, people: i64) -> Result<Request, String> {
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
        Value::Object(all) => RestrictedExpression::new_record(expressions(all)?).map_err(|e| told(&e)),
        Value::Null => Err("a fact is null".to_owned()),
    }
}

/// What comes first among equally strict rules: the one behind whose places most is lost, then the one that
/// protects a kind of place, then the one that speaks of fewer places, being the more telling of the two. A
/// screen has room for a few.
type Weight = (Reverse<u64>, Reverse<bool>, u64);

/// A rule that says who has to agree asks for these, also where it gives way to one person: but not where no two could.
fn raised(rule: &Rule, decision: Decision, findings: &Findings) -> Decision {
    let some = rule.quorum.is_some() && findings.facts.people.enrolled >= i64::from(Quorum::TWO.people);
    if some && decision == Decision::Ask { Decision::TwoPerson } else { decision }
}

/// What a rule says, with the places it speaks of.
fn speaks(rule: &Rule, decision: Decision, findings: &Findings) -> (Weight, Reason) {
    let mut places = Places::default();
    for key in &rule.about {
        gather(&mut places, &findings.evidence, key);
    }
    let named = names(rule, &findings.facts);
    let why = if named.is_empty() { rule.reason.clone() } else { format!("{}: {}", rule.reason, named.join(", ")) };
    let weight = (Reverse(places.bytes), Reverse(rule.words.is_some()), places.count);
    let reason = Reason {
        count: places.count,
        decision,
        next: rule.next.clone(),
        paths: places.paths,
        quorum: rule.quorum.clone().filter(|_| decision == Decision::TwoPerson),
        rule: rule.id.clone(),
        source: Some(rule.at.clone()),
        why,
        // Two people read each other's reasons; one alone has to stop and read.
        words: rule.words.clone().filter(|_| decision == Decision::Ask),
    };
    (weight, reason)
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
    let judgement = Judgement::of(reasons);
    if judgement.quorum().is_sound() {
        return judgement;
    }
    // Each rule's own is sound: together they name too many groups.
    let why = "the rules that speak ask for people of more groups than anybody could look through".to_owned();
    let next = Some("have them ask for fewer: @quorum".to_owned());
    let reason = Reason { next, ..plain(Decision::Deny, "policy-error", why) };
    Judgement::of(judgement.reasons.into_iter().chain([reason]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::case::Case;
    use crate::policy::law::Profile;

    /// As if the fact had been forgotten, or a newer rule met older facts.
    fn judged_without(law: &Law, findings: &Findings, absent: &str) -> Judgement {
        law.judge_by(findings, Vec::new(), |people| {
            let mut by_name = told_of(&findings.facts)?;
            by_name.remove(absent).ok_or("there is no such fact")?;
            answer(&law.set, &request(&findings.facts, expressions(by_name)?, people)?)
        })
    }

    #[test]
    fn a_fact_that_is_missing_denies() {
        let findings = Findings { facts: Case::parse("classes: workspace").expect("a case"), ..Findings::default() };
        for profile in Profile::ALL {
            let law = Law::of(profile).unwrap_or_else(|r| panic!("{r:#?}"));
            for absent in ["classes", "undoable", "losing", "incomplete", "session", "git", "access"] {
                let judgement = judged_without(&law, &findings, absent);
                assert_eq!(judgement.decision, Decision::Deny, "{} without {absent}", profile.name());
                let told = judgement.reasons.iter().all(|r| r.rule != "policy-error" || r.next.is_some());
                assert!(told && judgement.reasons[0].rule == "policy-error", "{absent}: {:?}", judgement.reasons);
            }
        }
    }

    #[test]
    fn the_rule_behind_what_is_lost_comes_first_among_equals() {
        let facts = "classes: database outside; losing: database outside; linked_elsewhere: 1; people.enrolled: 1";
        let mut findings = Findings { facts: Case::parse(facts).expect("a case"), ..Findings::default() };
        for (key, bytes) in [("linked_elsewhere", 10), ("outside", 0), ("outside", 900), ("database", 900)] {
            findings.evidence.note(key, &"/x".into(), bytes);
        }
        let law = Law::of(Profile::Workstation).unwrap_or_else(|r| panic!("{r:#?}"));
        let judgement = law.judge(&findings, Vec::new());
        let equals = judgement.reasons.iter().filter(|r| r.decision == Decision::Ask);
        let names: Vec<&str> = equals.map(|r| r.rule.as_str()).collect();
        let at = |name: &str| names.iter().position(|n| *n == name).unwrap_or_else(|| panic!("{name}: {names:?}"));
        assert!(at("outside-workspace") < at("linked-elsewhere"), "{names:?}");
        assert!(names[0].contains("database"), "{names:?}");
    }
}
