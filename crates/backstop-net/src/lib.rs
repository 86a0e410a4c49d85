//! Speaks to networks, and decides nothing. Tells people what waits for their approval: reads notices at the doors,
//! sends each by every channel that wants it, at least once, and says what became of it.
#![forbid(unsafe_code)]

pub mod channel;
pub mod config;
pub mod deliver;
pub mod payload;
pub mod place;
pub mod serve;
