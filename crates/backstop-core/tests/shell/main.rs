//! The shell reader against its corpus, against anything at all, and against bash itself. One binary,
//! since core's tests link fast that way.

mod bash;
mod corpus;
mod lane;
mod props;
mod seeds;
mod show;
