//! The shell reader against its corpus, against anything at all, and against bash itself. One binary,
//! since core's tests link fast that way.
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    clippy::unwrap_used,
    reason = "tests read the corpus and start bash; core itself does neither"
)]

mod bash;
mod corpus;
mod lane;
mod props;
mod seeds;
mod shapes;
mod show;
