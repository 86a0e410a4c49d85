//! Drills: accidents on scratch data, with the way back.

use backstop_engine::Failure;

use crate::args::Incident;
use crate::out::Done;

/// `backstop drill incident`.
pub fn incident(typed: &Incident) -> Done {
    let _unbuilt = (typed.commit, typed.files);
    Err(Failure::internal("not built yet").into())
}
