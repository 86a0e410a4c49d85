//! Takes the documents of `policy …`, gives the pages that people read. Nothing is left out without its
//! count; what came from outside is tamed.

use std::collections::BTreeMap;

use backstop_core::effect::Totals;
use backstop_core::facts::{Facts, Findings};
use backstop_core::policy::Decision;
use backstop_core::policy::law::{Refusal, Rule, Verdict};
use backstop_core::policy::trial::Expected;
use serde_json::Value;

use super::message::{line, quoted};
use super::size;
use super::style::{Ink, Style, pad};
use crate::document::{
    PolicyCheckDocument, PolicyExplainDocument, PolicyShowDocument, PolicySimulateDocument, PolicyTestDocument,
};

const fn ink(decision: Decision) -> Ink {
    match decision {
        Decision::Allow => Ink::Made,
        Decision::Ask | Decision::TwoPerson => Ink::Changed,
        Decision::Deny => Ink::Lost,
    }
}

/// `policy check`.
pub fn check(found: &PolicyCheckDocument, style: Style) -> String {
    if found.ok {
        return format!("backstop: {} rules are sound\n", size::count(found.rules));
    }
    let what = size::counted(found.refusals.len() as u64, "rule or file is refused", "rules or files are refused");
    let mut out = format!("backstop: {}\n", style.ink(Ink::Lost, what));
    refused(&mut out, &found.refusals, style);
    out
}

fn refused(out: &mut String, refusals: &[Refusal], style: Style) {
    for r in refusals {
        line(out, style, "refused", &format!("{}: {}", quoted(&r.at), quoted(&r.why)));
        line(out, style, "rule", &quoted(&r.rule));
        line(out, style, "next", &quoted(&r.next));
    }
}

/// `policy explain`.
pub fn explain(found: &PolicyExplainDocument, style: Style) -> String {
    let mut out = String::new();
    let Some(judgement) = &found.judgement else {
        return format!("backstop: {} was not judged\n", found.run);
    };
    let decision = style.ink(ink(judgement.decision), judgement.decision.name());
    out.push_str(&format!("{} {decision}\n", style.ink(Ink::Strong, found.run)));
    if judgement.reasons.is_empty() {
        line(&mut out, style, "rule", "none spoke against it");
    }
    for r in &judgement.reasons {
        let at = r.source.as_deref().map_or_else(|| "compiled in".to_owned(), quoted);
        let name = style.ink(ink(r.decision), pad(&quoted(&r.rule), 22));
        line(&mut out, style, r.decision.name(), &format!("{name} {}", quoted(&r.why)));
        line(&mut out, style, "", &style.ink(Ink::Faint, at).to_string());
        for path in &r.paths {
            line(&mut out, style, "", &path.quoted().to_string());
        }
        if r.count > r.paths.len() as u64 {
            line(&mut out, style, "", &format!("… {} places in all", size::count(r.count)));
        }
        if let Some(words) = &r.words {
            line(&mut out, style, "words", &quoted(words));
        }
        if let Some(quorum) = &r.quorum {
            line(&mut out, style, "quorum", &quorum.in_words());
        }
        if let Some(next) = &r.next {
            line(&mut out, style, "next", &quoted(next));
        }
    }
    match &found.findings {
        None => line(&mut out, style, "facts", "they were not kept, or are those of another version of Backstop"),
        Some(findings) => facts(&mut out, findings, style),
    }
    if judgement.law.is_some() && !found.same_rules {
        line(&mut out, style, "note", "other rules are in force today: backstop policy simulate");
    }
    out
}

/// The facts that differ from those of a run that changed nothing, and what the lenses saw.
fn facts(out: &mut String, findings: &Findings, style: Style) {
    let plain = flat(&Facts::of(&Totals::default()));
    let mut key = "facts";
    for (path, value) in flat(&findings.facts) {
        if plain.get(&path) != Some(&value) {
            line(out, style, key, &format!("{} {}", pad(&path, 26), quoted(&value)));
            key = "";
        }
    }
    for told in &findings.told {
        line(out, style, &quoted(&told.lens), &format!("{}: {}", told.path.quoted(), quoted(&told.text)));
    }
}

fn flat(facts: &Facts) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut todo = vec![(String::new(), serde_json::to_value(facts).unwrap_or_default())];
    while let Some((path, value)) = todo.pop() {
        match value {
            Value::Object(below) => {
                let dot = if path.is_empty() { "" } else { "." };
                todo.extend(below.into_iter().map(|(name, v)| (format!("{path}{dot}{name}"), v)));
            }
            Value::Array(words) => {
                let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
                all.insert(path, words.join(" "));
            }
            Value::String(word) => {
                all.insert(path, word);
            }
            value => {
                all.insert(path, value.to_string());
            }
        }
    }
    all
}

/// `policy test`.
pub fn test(found: &PolicyTestDocument, style: Style) -> String {
    let mut out = String::new();
    let wrong: Vec<_> = found.cases.iter().filter(|c| c.expected != c.got).collect();
    for case in &wrong {
        out.push_str(&format!("{} {}\n", style.ink(Ink::Lost, "differs"), quoted(&case.file)));
        line(&mut out, style, "expects", &told(&case.profile, &case.expected));
        line(&mut out, style, "got", &told(&case.profile, &case.got));
    }
    let all = size::counted(found.cases.len() as u64, "case", "cases");
    out.push_str(&match wrong.len() as u64 {
        0 => format!("backstop: {all}, each as expected\n"),
        n => format!("backstop: {all}, {} otherwise\n", size::count(n)),
    });
    out
}

fn told(profile: &str, expected: &Expected) -> String {
    let list = |all: &std::collections::BTreeSet<String>| all.iter().map(|s| quoted(s)).collect::<Vec<_>>().join(" ");
    let words = if expected.words.is_empty() { String::new() } else { format!("  words {}", list(&expected.words)) };
    format!("{} {}  {}{words}", quoted(profile), expected.tier.name(), list(&expected.rules))
}

/// `policy simulate`.
pub fn simulate(found: &PolicySimulateDocument, style: Style) -> String {
    let mut out = String::new();
    for c in &found.changed {
        let (before, now) = (style.ink(ink(c.before), c.before.name()), style.ink(ink(c.now), c.now.name()));
        let signed =
            |sign: &str, all: &[String]| all.iter().map(|r| format!(" {sign}{}", quoted(r))).collect::<String>();
        let (lost, gained) = (signed("-", &c.lost), signed("+", &c.gained));
        out.push_str(&format!("{} {before} -> {now} {lost}{gained}\n", style.ink(Ink::Strong, c.run)));
    }
    let runs = size::counted(found.judged, "run", "runs");
    out.push_str(&format!("backstop: {runs} judged anew, {} would differ\n", size::count(found.changed.len() as u64)));
    for (moved, n) in &found.moves {
        line(&mut out, style, "", &format!("{} {moved}", size::count(*n)));
    }
    if found.skipped > 0 {
        let skipped = size::counted(found.skipped, "run has no facts kept", "runs have no facts kept");
        line(&mut out, style, "note", &format!("{skipped}, or changed nothing"));
    }
    out
}

/// `policy show`.
pub fn show(found: &PolicyShowDocument, style: Style) -> String {
    let mut out = String::new();
    if !found.refusals.is_empty() {
        let what = if found.rules.is_empty() { "everything is denied" } else { "the last good rules hold" };
        out.push_str(&format!("{}\n", style.ink(Ink::Lost, format!("today's rules can't be loaded: {what}"))));
        refused(&mut out, &found.refusals, style);
    }
    let mut layer = None;
    for rule in &found.rules {
        if layer.replace(rule.layer) != Some(rule.layer) {
            out.push_str(&format!("{}\n", style.ink(Ink::Strong, rule.layer.name())));
        }
        out.push_str(&row(rule, style));
    }
    for file in found.files.iter().filter(|f| f.name.ends_with(".toml")) {
        line(&mut out, style, "classes", &format!("{}  ({})", quoted(&file.name), file.layer.name()));
    }
    out.push_str(&format!("{}\n", style.ink(Ink::Faint, format!("law {}", found.law.short()))));
    out
}

fn row(rule: &Rule, style: Style) -> String {
    let (word, colour) = match rule.verdict {
        Verdict::Permit => ("permit", Ink::Made),
        Verdict::Forbid => ("forbid", Ink::Changed),
    };
    let at = style.ink(Ink::Faint, quoted(&rule.at));
    format!("  {} {} {}  {at}\n", style.ink(colour, word), pad(&quoted(&rule.id), 24), quoted(&rule.reason))
}
