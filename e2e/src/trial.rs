//! One test result a corpus file, or a claim. Takes a case and what to do with it, gives a trial; what can't be
//! tried here is ignored, and says why.

use libtest_mimic::{Completion, Failed, Trial};

/// A trial of a case; ignored where something is `missing`.
pub fn trial<C: Clone + Send + 'static>(
    name: String,
    missing: &Option<String>,
    case: &C,
    test: impl Fn(&C) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let case = case.clone();
    claim(name, missing, move || test(&case))
}

/// A trial without one.
pub fn claim(
    name: impl Into<String>,
    missing: &Option<String>,
    test: impl FnOnce() -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let (name, missing) = (name.into(), missing.clone());
    Trial::ignorable_test(name.clone(), move || match missing {
        Some(why) => {
            eprintln!("SKIPPED {name}: {why}");
            Ok(Completion::ignored_with(why))
        }
        None => test().map(|()| Completion::Completed),
    })
}
