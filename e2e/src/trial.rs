//! One test result a corpus file. Takes a case and what to do with it, gives a trial; what can't be
//! tried here is ignored, and says why.

use libtest_mimic::{Completion, Failed, Trial};

/// A trial of a case; ignored where something is `missing`.
pub fn trial<C: Clone + Send + 'static>(
    name: String,
    missing: &Option<String>,
    case: &C,
    test: impl Fn(&C) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let (missing, case) = (missing.clone(), case.clone());
    Trial::ignorable_test(name.clone(), move || match missing {
        Some(why) => {
            eprintln!("SKIPPED {name}: {why}");
            Ok(Completion::ignored_with(why))
        }
        None => test(&case).map(|()| Completion::Completed),
    })
}
