//! What holds while the machine's rules can't be loaded. Takes the last set of them that could, and what
//! is wrong with today's, gives a set that is provably not looser, or nothing.
//!
//! The proof: in Cedar a forbid always wins, so a set with at least the forbids of another, and no permit
//! that the other lacks, lets nothing through that the other stops. The set given here has
//! - every forbid of the last good set,
//! - every forbid of the built-in profile,
//! - every forbid of today's files that can be loaded,
//! - the permits of the last good set, and those only where today's files have the very same.
//!
//! What can't be read today could be a rule that nobody has an earlier form of. So each rule that is
//! refused has to be a forbid of the last good set, known by its name; else nothing falls back, and
//! everything is denied.

use cedar_policy::{Policy, PolicyId};

use super::{Check, Law, Layer, Profile, Refusal, Rule, Source, Verdict, readable};

impl Law {
    /// The law to go by while `today` (the profile's and the system's files) can't be loaded for
    /// `refusals`: made from `good`, the last of those that could, and `below`, the user's and the
    /// project's files of today.
    ///
    /// # Errors
    /// The refusals, with the reason why nothing falls back; then all is denied.
    pub fn fall_back(
        profile: Profile,
        good: Vec<Source>,
        today: &[Source],
        below: Vec<Source>,
        refusals: &[Refusal],
    ) -> Result<Self, Vec<Refusal>> {
        let no = |why: String| {
            let mut all = refusals.to_vec();
            all.push(Refusal {
                at: refusals.first().map_or_else(String::new, |r| r.at.clone()),
                id: None,
                next: "mend what is wrong; see it with: backstop policy check".to_owned(),
                rule: "the last good rules hold only where they are provably not looser".to_owned(),
                why,
            });
            all
        };
        if good.is_empty() {
            return Err(no("no earlier rules are known to fall back to".to_owned()));
        }
        let mut sources = good;
        sources.extend(below);
        let mut law = Self::load(sources, Check::Full)?;
        for refusal in refusals {
            let earlier = refusal.id.as_ref().and_then(|id| law.rules.get(id));
            match earlier {
                Some(rule) if rule.verdict == Verdict::Forbid && rule.layer.may_permit() => {}
                Some(_) => return Err(no(format!("{} is no forbid of the last good rules", told(refusal)))),
                None => return Err(no(format!("there is no earlier form of {}", told(refusal)))),
            }
        }
        let refused = |rule: &Rule| refusals.iter().any(|r| r.id.as_ref() == Some(&rule.id));
        let fresh: Vec<Rule> = today.iter().flat_map(|s| readable(s).0).filter(|r| !refused(r)).collect();
        let same = |a: &Rule, b: &Rule| a.verdict == b.verdict && a.text == b.text;
        let lost =
            law.rules.values().filter(|r| r.verdict == Verdict::Permit).find(|r| !fresh.iter().any(|f| same(f, r)));
        if let Some(permit) = lost {
            return Err(no(format!("the permit {} is not the same in today's rules", permit.id)));
        }
        for rule in fresh.into_iter().chain(readable(&profile.source()).0) {
            let known = law.rules.values().any(|r| same(r, &rule));
            if rule.verdict == Verdict::Forbid && !known {
                law.tighten(rule)?;
            }
        }
        let wrong = law.check();
        if wrong.is_empty() { Ok(law) } else { Err(wrong) }
    }

    /// Adds a forbid, by another name where its own is taken.
    fn tighten(&mut self, mut rule: Rule) -> Result<(), Vec<Refusal>> {
        let own = rule.id.clone();
        let free = (2..).map(|n| format!("{own}-{n}")).find(|id| !self.rules.contains_key(id));
        if self.rules.contains_key(&own) {
            rule.id = free.unwrap_or(own);
        }
        let policy = Policy::parse(Some(PolicyId::new(&rule.id)), &rule.text)
            .map_err(|e| vec![rule.refuse("it can't be read", &e)])?;
        self.set.add(policy).map_err(|e| vec![rule.refuse("it can't be added", &e)])?;
        self.rules.insert(rule.id.clone(), rule);
        Ok(())
    }
}

/// The sources of a set that only root can write: what is kept as the last good one.
pub fn machines(sources: &[Source]) -> impl Iterator<Item = &Source> {
    sources.iter().filter(|s| matches!(s.layer, Layer::Profile | Layer::System))
}

fn told(refusal: &Refusal) -> String {
    match &refusal.id {
        Some(id) => format!("{id} ({})", refusal.at),
        None => format!("what stands at {}", refusal.at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Findings;
    use crate::policy::Decision;
    use crate::policy::case::Case;

    const GOOD: &str = r#"@id("a") @reason("r") forbid (principal, action, resource) when { context.created.files > 9 };
@id("b") @reason("r") forbid (principal, action, resource) when { context.deleted.files > 9 };
"#;

    fn site(text: &str) -> Vec<Source> {
        let base = Profile::Workstation.source();
        vec![base, Source { layer: Layer::System, name: "site.cedar".to_owned(), text: text.to_owned() }]
    }

    fn fallen(today: &str) -> Result<Law, String> {
        let today = site(today);
        let refusals = Law::load(today.clone(), Check::Full).map(|_| ()).expect_err("it is broken");
        let law = Law::fall_back(Profile::Workstation, site(GOOD), &today, Vec::new(), &refusals);
        law.map_err(|r| r.last().map(|r| r.why.clone()).unwrap_or_default())
    }

    fn decide(law: &Law, case: &str) -> Decision {
        law.judge(&Findings { facts: Case::parse(case).expect("a case"), ..Findings::default() }, Vec::new()).decision
    }

    #[test]
    fn a_torn_rule_holds_in_its_earlier_form_and_the_rest_as_it_is_today() {
        // b is torn, a is looser than before, c is new.
        let today =
            GOOD.replace("deleted.files > 9", "deleted.files >").replace("created.files > 9", "created.files > 99")
                + r#"@id("c") @reason("r") forbid (principal, action, resource) when { context.linked.files > 0 };"#;
        let law = fallen(&today).expect("it falls back");
        for (case, decision) in [
            ("classes: workspace; deleted.files: 10", Decision::Deny),
            ("classes: workspace; created.files: 10", Decision::Deny),
            ("classes: workspace; linked.files: 1", Decision::Deny),
            ("classes: workspace; created.files: 9", Decision::Allow),
            ("classes: outside", Decision::Ask),
        ] {
            assert_eq!(decide(&law, case), decision, "{case}");
        }
    }

    #[test]
    fn what_has_no_earlier_form_denies() {
        let new = r#"@id("new") @reason("r") forbid (principal, action, resource) when { context. };"#;
        let hidden = GOOD.replace("> 9 };\n@id(\"b\")", "> 9 }\n@id(\"b\")");
        for (today, why) in [
            (format!("{GOOD}{new}"), "no earlier form of new"),
            (format!("{GOOD}forbid (principal"), "no earlier form of what stands at site.cedar:3"),
            (hidden, "no earlier form of what stands at site.cedar:1"),
            (
                GOOD.replace("@reason(\"r\") forbid", "@because(\"r\") forbid").replace("@id(\"a\")", ""),
                "no earlier form",
            ),
        ] {
            let told = fallen(&today).map(|_| ()).expect_err(&today);
            assert!(told.contains(why), "{today}: {told}");
        }
    }

    #[test]
    fn a_permit_never_falls_back_to_a_wider_one() {
        let mut today = site("@id(\"b\") @reason(\"r\") forbid (principal, acti);");
        today[0].text = today[0].text.replace(
            "permit (principal, action == Action::\"commit\", resource);",
            "permit (principal, action == Action::\"commit\", resource) when { context.principal.uid == 7 };",
        );
        let refusals = Law::load(today.clone(), Check::Full).map(|_| ()).expect_err("it is broken");
        let told = Law::fall_back(Profile::Workstation, site(GOOD), &today, Vec::new(), &refusals)
            .map(|_| ())
            .expect_err("another permit");
        assert!(told.last().is_some_and(|r| r.why.contains("the permit own-work")), "{told:?}");
    }

    #[test]
    fn a_base_that_was_replaced_by_a_looser_one_gets_the_built_in_rules_back() {
        let mut good = site(GOOD);
        good[0].text = "@id(\"own-work\") @reason(\"no rule is against it\")\n@allows(\"classes: workspace; created.files: 3\")\npermit (principal, action == Action::\"commit\", resource);".to_owned();
        let today = vec![good[0].clone(), Source { text: GOOD.replace("> 9 };\n@id", "> };\n@id"), ..good[1].clone() }];
        let refusals = Law::load(today.clone(), Check::Full).map(|_| ()).expect_err("it is broken");
        let law = Law::fall_back(Profile::Workstation, good, &today, Vec::new(), &refusals)
            .unwrap_or_else(|r| panic!("{r:#?}"));
        assert_eq!(decide(&law, "classes: outside; created.files: 1"), Decision::Ask);
    }
}
