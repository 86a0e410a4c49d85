use super::*;
use crate::approval::quorum::Quorum;
use crate::effect::Totals;
use crate::facts::{Facts, Findings};
use crate::policy::Judgement;
use crate::policy::case::Case;
use crate::policy::{Decision, Reason};

fn of(profile: Profile) -> Law {
    Law::of(profile).unwrap_or_else(|r| panic!("{r:#?}"))
}

fn findings(case: &str) -> Findings {
    Findings { facts: Case::parse(case).unwrap_or_else(|e| panic!("{case}: {e}")), ..Findings::default() }
}

fn project(text: &str) -> Source {
    Source { layer: Layer::Project, name: ".backstop/p.cedar".to_owned(), text: text.to_owned() }
}

fn with(further: Source) -> Result<Law, Vec<Refusal>> {
    Law::load(vec![Profile::Workstation.source(), further], Check::Full)
}

#[test]
fn every_profile_passes_its_own_cases() {
    for profile in Profile::ALL {
        let law = Law::load(vec![profile.source()], Check::Full).unwrap_or_else(|r| panic!("{r:#?}"));
        for rule in law.rules() {
            assert!(rule.stops.is_some() || rule.verdict == Verdict::Permit, "{} has no @stops", rule.id);
            assert!(rule.allows.is_some(), "{} has no @allows", rule.id);
            assert!(rule.next.is_some() || rule.verdict == Verdict::Permit, "{} has no @next", rule.id);
        }
    }
}

#[test]
fn rules_read_at_once_are_those_read_one_by_one() {
    for profile in Profile::ALL {
        let source = profile.source();
        let statements = text::statements(&source.text).expect("statements");
        let together = whole(&source, &statements).expect("read at once");
        assert_eq!(together.len(), statements.len());
        for (statement, policy) in statements.iter().zip(together) {
            let alone = Rule::read(&source, *statement).expect("read alone");
            let (rule, policy) = Rule::of(&source, *statement, policy).expect("a rule");
            assert_eq!(rule, alone.0);
            assert_eq!(policy.to_json().expect("json"), alone.1.to_json().expect("json"), "{}", rule.id);
        }
    }
    let slot = project(r#"forbid(principal == ?principal, action, resource); forbid(principal, action, resource);"#);
    let both = text::statements(&slot.text).expect("statements");
    assert_eq!(both.len(), 2);
    assert!(whole(&slot, &both).is_none() && whole(&slot, &both[..1]).is_none(), "a template is no rule");
    let returned = project("//\r@id(\"a\")@reason(\"\nx\")forbid(principal,action,resource);//\";;\n");
    let one = text::statements(&returned.text).expect("statements");
    let read = whole(&returned, &one).expect("cut where Cedar cuts");
    assert_eq!(read.iter().map(ToString::to_string).collect::<Vec<_>>(), [one[0].text]);
    let elsewhere = text::Statement { text: &one[0].text[1..], ..one[0] };
    assert!(whole(&returned, &[elsewhere]).is_none(), "another text than Cedar's is not its rule");
}

#[test]
fn the_tier_comes_out_of_cedar() {
    use Decision::{Allow, Ask, Deny, TwoPerson};
    let law = of(Profile::Workstation);
    for (case, decision, rules) in [
        ("classes: workspace; deleted.files: 9; losing: workspace", Allow, &[][..]),
        ("classes: outside; created.files: 1", Ask, &["outside-workspace"]),
        ("classes: outside system; created.files: 1", Ask, &["system", "outside-workspace"]),
        ("classes: outside system; created.files: 1; people.enrolled: 2", TwoPerson, &["system", "outside-workspace"]),
        ("classes: guard; created.files: 1", Deny, &["guard"]),
    ] {
        let j = law.judge(&findings(case), Vec::new());
        let names: Vec<_> = j.reasons.iter().map(|r| r.rule.as_str()).collect();
        assert_eq!((j.decision, names.as_slice()), (decision, rules), "{case}");
        assert_eq!(j.reasons.iter().map(|r| r.decision).max().unwrap_or(Allow), decision, "{case}");
    }
}

#[test]
fn words_are_for_one_person_only() {
    let law = of(Profile::Workstation);
    let case = "classes: outside credentials database; losing: outside database";
    assert_eq!(law.judge(&findings(case), Vec::new()).words(), ["change credentials", "lose a database"]);
    let two = format!("{case}; people.enrolled: 3");
    assert_eq!(law.judge(&findings(&two), Vec::new()).words(), Vec::<&str>::new());
}

#[test]
fn a_reason_shows_the_places_it_is_about() {
    let mut found = findings("classes: outside; losing: outside; incomplete: git sqlite; surprise.links_crossed: 1");
    found.evidence.note("outside", &"/srv/a".into(), 3);
    found.evidence.note("outside", &"/srv/b".into(), 4);
    let j = of(Profile::Workstation).judge(&found, Vec::new());
    let of = |id: &str| j.reasons.iter().find(|r| r.rule == id).expect("it spoke");
    let outside = of("outside-workspace");
    assert_eq!((outside.count, outside.paths.as_slice()), (2, &["/srv/a".into(), "/srv/b".into()][..]));
    assert!(outside.source.as_ref().is_some_and(|s| s.starts_with("workstation.cedar:")));
    assert!(of("incomplete").why.ends_with(": git, sqlite"), "{}", of("incomplete").why);
}

#[test]
fn the_floor_stands_under_every_law() {
    let floor = vec![Reason::new(Decision::Deny, "floor-home")];
    let j = of(Profile::Workstation).judge(&findings("classes: workspace"), floor);
    assert_eq!((j.decision, j.reasons[0].rule.as_str()), (Decision::Deny, "floor-home"));
}

#[test]
fn facts_that_no_rule_permits_are_denied() {
    let system = Source {
        layer: Layer::Profile,
        name: "x.cedar".to_owned(),
        text: r#"@id("one") @reason("x") permit (principal, action, resource) when { context.approvals.people == 1 };"#
            .to_owned(),
    };
    let law = Law::load(vec![system.clone()], Check::Full).unwrap_or_else(|r| panic!("{r:#?}"));
    let j = law.judge(&findings("classes: workspace"), Vec::new());
    assert_eq!((j.decision, j.reasons[0].rule.as_str()), (Decision::Ask, "nothing-permits"));
    let never = Source { text: system.text.replace("== 1", "== 7"), ..system };
    let law = Law::load(vec![never], Check::Full).unwrap_or_else(|r| panic!("{r:#?}"));
    let j = law.judge(&findings("classes: workspace"), Vec::new());
    assert_eq!((j.decision, j.reasons[0].rule.as_str()), (Decision::Deny, "nothing-permits"));
    let empty = Law::load(Vec::new(), Check::Full).unwrap_or_else(|r| panic!("{r:#?}"));
    assert_eq!(empty.judge(&findings("classes: workspace"), Vec::new()).decision, Decision::Deny);
}

/// A forbid that falls silent and speaks again still makes the strictest reason the decision.
#[test]
fn a_rule_that_speaks_at_one_level_only_is_told() {
    let odd = project(
        r#"@id("a") @reason("x") forbid (principal, action, resource) when { context.approvals.people == 0 };
           @id("b") @reason("x") forbid (principal, action, resource) when { context.approvals.people == 1 };"#,
    );
    let j = with(odd).unwrap_or_else(|r| panic!("{r:#?}")).judge(&findings("classes: workspace"), Vec::new());
    let told: Vec<_> = j.reasons.iter().map(|r| (r.rule.as_str(), r.decision)).collect();
    assert_eq!(told, [("b", Decision::TwoPerson), ("a", Decision::Ask)]);
}

#[test]
fn what_errs_denies_and_says_so() {
    // Not validated, as if the facts had changed under a set that was known: a missing fact, a wrong
    // type, an overflow; each in a forbid, which Cedar would pass over.
    for (condition, why) in [
        ("context.no_such_fact > 1", "no_such_fact"),
        ("context.deleted > 1", "type error"),
        ("context.deleted.files + 9223372036854775807 > 1", "overflow"),
        ("context.approvals.people > 0 && context.classes", "type error"),
    ] {
        let text = format!(r#"@id("bad") @reason("x") forbid (principal, action, resource) when {{ {condition} }};"#);
        let sources = vec![Profile::Workstation.source(), project(&text)];
        let law = Law::load(sources, Check::Known).unwrap_or_else(|r| panic!("{r:#?}"));
        let j = law.judge(&findings("classes: workspace; deleted.files: 1"), Vec::new());
        assert_eq!((j.decision, j.reasons[0].rule.as_str()), (Decision::Deny, "policy-error"), "{condition}");
        assert!(j.reasons[0].why.contains(why), "{condition}: {}", j.reasons[0].why);
        assert_eq!(j.reasons[0].source.as_deref(), Some(".backstop/p.cedar:1"));
    }
}

#[test]
fn what_is_not_sound_is_refused_and_then_denied() {
    let forbid = "forbid (principal, action, resource)";
    for (text, at, why) in [
        (r#"@id("x") @reason("r") forbid (principal, action, resource"#.to_owned(), 1, "never ends"),
        (format!(r#"@id("x") @reason("r") {forbid} when {{ }};"#), 1, "can't be read"),
        (format!(r#"@id("x") @reason("r") {forbid} when {{ context.clases.contains("a") }};"#), 1, "clases"),
        (format!(r#"@id("x") @reason("r") {forbid} when {{ context.undoable > 1 }};"#), 1, "type"),
        (format!(r#"@id("x") @reason("r") {forbid} when {{ context.classes.contains(1) }};"#), 1, "type"),
        (format!("\n\n@id(\"x\") @reson(\"r\")\n{forbid};"), 3, "no annotation @reson"),
        (format!(r#"@id("x") @reason("") {forbid};"#), 1, "does not say why"),
        (format!(r#"@reason("r") {forbid};"#), 1, "no name"),
        (format!(r#"@id("Floor X") @reason("r") {forbid};"#), 1, "no name"),
        (format!(r#"@id("floor-x") @reason("r") {forbid};"#), 1, "no name"),
        (format!(r#"@id("guard") @reason("r") {forbid};"#), 1, "of this name already, at workstation.cedar:"),
        (format!(r#"@id("x") @reason("r") {forbid}; @id("x") @reason("r") {forbid};"#), 1, "of this name already"),
        (r#"@id("x") @reason("r") permit (principal, action, resource);"#.to_owned(), 1, "project layer permits"),
        (r#"@id("x") @reason("r") forbid (principal == ?principal, action, resource);"#.to_owned(), 1, "template"),
        (r#"@id("x") @reason("r") forbid (principal, action == Action::"undo", resource);"#.to_owned(), 1, "undo"),
        (format!(r#"@id("x") @reason("r") @about("deleted.fils") {forbid};"#), 1, "deleted.fils"),
        (format!(r#"@id("x") @reason("r") @stops("clases: a") {forbid};"#), 1, "clases"),
        (
            format!(r#"@id("x") @reason("r") @stops("undoable: true") {forbid} when {{ !context.undoable }};"#),
            1,
            "does not stop",
        ),
        (format!(r#"@id("x") @reason("r") @allows("undoable: true") {forbid};"#), 1, "it stops"),
        (format!(r#"@id("x") @reason("r") @quorum("dba") {forbid};"#), 1, "its @quorum"),
    ] {
        let refusals = with(project(&text)).map(|_| ()).expect_err(&text);
        let told = &refusals[0];
        assert_eq!(told.at, format!(".backstop/p.cedar:{at}"), "{text}");
        assert!(told.why.contains(why), "{text}: {}", told.why);
        assert!(!told.rule.is_empty() && !told.next.is_empty(), "{text}");
        let j = refused(&refusals, Vec::new());
        assert_eq!((j.decision, j.reasons[0].rule.as_str()), (Decision::Deny, "policy-not-loaded"), "{text}");
        assert_eq!(j.reasons[0].source.as_deref(), Some(told.at.as_str()));
    }
}

#[test]
fn a_refused_rule_is_known_by_its_name() {
    let (rules, refusals) = readable(&project(
        "@id(\"good\") @reason(\"r\") forbid (principal, action, resource);\n@id(\"torn\") @reason(\"r\") forbid (principal, acti);",
    ));
    assert_eq!(rules.iter().map(|r| r.id.as_str()).collect::<Vec<_>>(), ["good"]);
    assert_eq!(refusals.iter().map(|r| r.id.as_deref()).collect::<Vec<_>>(), [Some("torn")]);
}

#[test]
fn who_has_to_agree_is_what_all_rules_that_speak_ask_for() {
    let two = "unless { context.approvals.people >= 2 }";
    let rule = |id: &str, quorum: &str, when: &str| {
        format!(
            "@id(\"{id}\") @reason(\"r\") @quorum(\"{quorum}\") forbid (principal, action, resource) {when} {two};\n"
        )
    };
    let text =
        rule("a", "1 dba", "") + &rule("b", "3 people, 2 dba", "") + &rule("c", "9 ops", "when { !context.undoable }");
    let law = with(project(&text)).unwrap_or_else(|r| panic!("{r:#?}"));
    let findings = Findings { facts: Case::parse("people.enrolled: 5").expect("a case"), ..Findings::default() };
    let judgement = law.judge(&findings, Vec::new());
    assert_eq!(
        (judgement.decision, judgement.quorum().in_words().as_str()),
        (Decision::TwoPerson, "3 people (2 of dba)")
    );
    assert_eq!(Judgement::of(Vec::new()).quorum(), Quorum::TWO);
    // What gives way to one person asks for its people all the same, where there are any.
    let one = rule("a", "1 dba", "").replace(">= 2", ">= 1");
    let judged = |text: &str, enrolled: i64| {
        let law = with(project(text)).unwrap_or_else(|r| panic!("{r:#?}"));
        let facts = Case::parse(&format!("people.enrolled: {enrolled}")).expect("a case");
        let judgement = law.judge(&Findings { facts, ..Findings::default() }, Vec::new());
        (judgement.decision, judgement.quorum().in_words())
    };
    assert_eq!(judged(&one, 2), (Decision::TwoPerson, "2 people (1 of dba)".to_owned()));
    assert_eq!(judged(&one, 0), (Decision::Ask, "2 people".to_owned()));
    // Together they may not ask for more groups than anybody reads.
    let many: String = (0..9).map(|n| rule(&format!("r{n}"), &format!("1 g{n}"), "")).collect();
    assert_eq!(judged(&many, 2).0, Decision::Deny);
}

#[test]
fn the_digest_names_the_set() {
    let (a, b) = (of(Profile::Workstation), of(Profile::Production));
    assert_ne!(a.digest(), b.digest());
    let user = Source { layer: Layer::User, ..project("") };
    assert_ne!(digest(&[project("")]), digest(&[user]));
}

#[test]
fn what_is_denied_without_rules_is_said() {
    let j = refused(&[], Vec::new());
    assert_eq!((j.decision, j.reasons.len()), (Decision::Deny, 1));
    assert_eq!(Facts::of(&Totals::default()).version, crate::facts::VERSION);
}
