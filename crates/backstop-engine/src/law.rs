//! The law that a request is judged by: the rules of its profile.

use backstop_core::policy::law::{Law, Profile, Refusal};
use backstop_core::request::Request;

/// The rules for `request`, or why there are none; then nothing is let through.
pub(crate) fn of(request: &Request) -> Result<Law, Vec<Refusal>> {
    let profile = Profile::ALL.into_iter().find(|p| p.name() == request.profile);
    profile.map_or_else(
        || {
            Err(vec![Refusal {
                at: format!("profile {:?}", request.profile),
                id: None,
                next: "--profile workstation, or --profile production".to_owned(),
                rule: "a run is judged by the rules of a profile that is known".to_owned(),
                why: "there is no profile of this name".to_owned(),
            }])
        },
        Law::of,
    )
}
