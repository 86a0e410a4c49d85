//! A checked law in the form that needs no parser: what a run loads in a fraction of the time that Cedar's
//! text takes. Made only of sets that passed every check; whoever keeps it keeps it where no command
//! reaches.

use std::collections::BTreeMap;

use cedar_policy::PolicySet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Law, Rule, Source};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ready {
    digest: String,
    rules: BTreeMap<String, Rule>,
    set: Value,
    version: u32,
}

/// Raised where the form changes; another is not read.
const VERSION: u32 = 1;

impl Law {
    /// This law, ready to be loaded again by [`Law::of_ready`]; none where Cedar can't write it.
    pub fn ready(&self) -> Option<Vec<u8>> {
        let set = self.set.clone().to_json().ok()?;
        let ready = Ready { digest: self.digest.hex(), rules: self.rules.clone(), set, version: VERSION };
        serde_json::to_vec(&ready).ok()
    }

    /// The law of `sources` from what [`Law::ready`] gave; none where it is of other sources, or damaged:
    /// then they are loaded from their text.
    pub fn of_ready(bytes: &[u8], sources: Vec<Source>) -> Option<Self> {
        let digest = super::digest(&sources);
        let ready: Ready = serde_json::from_slice(bytes).ok()?;
        if ready.version != VERSION || ready.digest != digest.hex() {
            return None;
        }
        let set = PolicySet::from_json_value(ready.set).ok()?;
        // Each rule with its policy, and none without: a reason must never lack its rule.
        let whole = set.num_of_policies() == ready.rules.len()
            && set.num_of_templates() == 0
            && set.policies().all(|p| ready.rules.contains_key(AsRef::<str>::as_ref(p.id())));
        whole.then_some(Self { set, rules: ready.rules, sources, digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Findings;
    use crate::policy::case::Case;
    use crate::policy::law::{Check, Profile, Verdict};

    #[test]
    fn what_is_loaded_ready_judges_the_same() {
        for profile in Profile::ALL {
            let law = Law::load(vec![profile.source()], Check::Known).unwrap_or_else(|r| panic!("{r:#?}"));
            let again =
                Law::of_ready(&law.ready().expect("it can be written"), vec![profile.source()]).expect("it is whole");
            assert_eq!(law.rules, again.rules);
            for rule in law.rules().filter(|r| r.verdict == Verdict::Forbid) {
                let both = [&rule.stops, &rule.allows].into_iter().flatten();
                for facts in both.flat_map(|text| Case::all(text).expect("checked")) {
                    let found = Findings { facts, ..Findings::default() };
                    assert_eq!(law.judge(&found, Vec::new()), again.judge(&found, Vec::new()), "{}", rule.id);
                }
            }
        }
    }

    #[test]
    fn what_is_damaged_or_of_others_is_not_taken() {
        let source = Profile::Workstation.source();
        let law = Law::load(vec![source.clone()], Check::Known).unwrap_or_else(|r| panic!("{r:#?}"));
        let bytes = law.ready().expect("it can be written");
        assert!(Law::of_ready(&bytes, vec![Profile::Production.source()]).is_none());
        assert!(Law::of_ready(&bytes[1..], vec![source.clone()]).is_none());
        let mut less: Value = serde_json::from_slice(&bytes).expect("JSON");
        less["set"]["staticPolicies"].as_object_mut().expect("policies").remove("guard");
        assert!(Law::of_ready(&serde_json::to_vec(&less).expect("JSON"), vec![source]).is_none());
    }
}
