//! Properties of layers: whatever a lower layer adds, and whatever a run found, nothing is looser for it.

use proptest::prelude::*;

use super::*;
use crate::facts::Findings;
use crate::policy::case::Case;

/// Facts that matter to some rule, each with values that do and don't.
const FACTS: &[(&str, &[&str])] = &[
    ("access.keys_added", &["0", "1"]),
    ("access.startup_added", &["0", "2"]),
    ("agent.hooks_changed", &["0", "1"]),
    ("created.files", &["0", "3"]),
    ("deleted.bytes", &["0", "9223372036854775807"]),
    ("git.repositories_lost", &["0", "1"]),
    ("gives_rights", &["0", "1"]),
    ("linked_elsewhere", &["0", "2"]),
    ("open_elsewhere.writing", &["0", "1"]),
    ("people.enrolled", &["0", "1", "2", "5"]),
    ("proof.age_hours", &["1", "24", "9000000"]),
    ("proof.level", &["none", "restore", "application"]),
    ("session.repeats_denied", &["false", "true"]),
    ("sqlite.databases", &["0", "1"]),
    ("surprise.links_crossed", &["0", "1"]),
    ("terraform.stateful_removed", &["0", "1"]),
    ("undoable", &["true", "true", "true", "false"]),
    ("workspace_lost", &["false", "false", "true"]),
];

const CLASSES: &[&str] = &[
    "workspace",
    "scratch",
    "cache",
    "regenerable",
    "outside",
    "credentials",
    "system",
    "database",
    "backup",
    "other-repository",
    "agent-config",
    "mount",
    "payroll",
    "guard",
];

/// Conditions of rules: plain ones, ones that look at approvals in odd ways, and ones that err.
const CONDITIONS: &[&str] = &[
    "true",
    "context.classes.contains(\"workspace\")",
    "context.losing.contains(\"outside\")",
    "context.deleted.bytes > 1000",
    "!context.undoable",
    "context.approvals.people < 1",
    "context.approvals.people < 2",
    "context.approvals.people == 1",
    "context.approvals.people > 1",
    "context.deleted.bytes + 9223372036854775800 > 0",
    "context.no_such_fact",
];

fn facts() -> impl Strategy<Value = Findings> {
    let subset = || proptest::sample::subsequence(CLASSES, 0..4);
    let told: Vec<_> = FACTS.iter().map(|(_, values)| 0..values.len()).collect();
    (subset(), subset(), told).prop_map(|(classes, losing, told)| {
        let mut text = format!("classes: {}; losing: {}", classes.join(" "), losing.join(" "));
        for ((path, values), at) in FACTS.iter().zip(told) {
            text.push_str(&format!("; {path}: {}", values[at]));
        }
        Findings { facts: Case::parse(&text).expect("known facts"), ..Findings::default() }
    })
}

fn forbids(name: &'static str) -> impl Strategy<Value = String> {
    let condition = 0..CONDITIONS.len();
    let rule = (condition.clone(), proptest::option::of(condition));
    proptest::collection::vec(rule, 0..4).prop_map(move |rules| {
        let mut text = String::new();
        for (n, (when, unless)) in rules.into_iter().enumerate() {
            let unless = unless.map_or(String::new(), |u| format!(" unless {{ {} }}", CONDITIONS[u]));
            text.push_str(&format!(
                "@id(\"{name}-{n}\") @reason(\"r\") forbid (principal, action, resource) when {{ {} }}{unless};\n",
                CONDITIONS[when]
            ));
        }
        text
    })
}

fn source(layer: Layer, text: String) -> Source {
    Source { layer, name: format!("{}.cedar", layer.name()), text }
}

fn loaded(sources: Vec<Source>) -> Law {
    // Not validated, so that rules that err when they are met are among them.
    Law::load(sources, Check::Known).unwrap_or_else(|r| panic!("{r:#?}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Claim 6, as far as policy files go.
    #[test]
    fn adding_a_layer_never_loosens(
        found in proptest::collection::vec(facts(), 8),
        system in forbids("s"),
        user in forbids("u"),
        project in forbids("p"),
    ) {
        for profile in Profile::ALL {
            let mut sources = vec![profile.source()];
            let mut before: Vec<_> = found.iter().map(|f| loaded(sources.clone()).judge(f, Vec::new())).collect();
            for (layer, text) in [(Layer::System, &system), (Layer::User, &user), (Layer::Project, &project)] {
                sources.push(source(layer, text.clone()));
                let law = loaded(sources.clone());
                for (found, before) in found.iter().zip(&mut before) {
                    let after = law.judge(found, Vec::new());
                    prop_assert!(after.decision >= before.decision, "{:?} -> {:?}", before, after);
                    // And what is said is what is done.
                    let strictest = after.reasons.iter().map(|r| r.decision).max();
                    prop_assert_eq!(after.decision, strictest.unwrap_or(crate::policy::Decision::Allow));
                    *before = after;
                }
            }
        }
    }

    /// Whatever a file says, it loads and only tightens, or it is refused and all is denied.
    #[test]
    fn any_text_tightens_or_is_refused(text in "\\PC{0,60}", found in facts()) {
        for wrapped in [text.clone(), format!("@id(\"x\") @reason(\"r\") forbid (principal, action, resource) when {{ {text} }};")] {
            let before = loaded(vec![Profile::Workstation.source()]).judge(&found, Vec::new()).decision;
            let after = match Law::load(vec![Profile::Workstation.source(), source(Layer::Project, wrapped)], Check::Full) {
                Ok(law) => law.judge(&found, Vec::new()).decision,
                Err(refusals) => refused(&refusals, Vec::new()).decision,
            };
            prop_assert!(after >= before);
        }
    }
}
