//! Speaks to networks, and decides nothing. Tells people what waits for their approval, and copies the audit log to where
//! others look at it; each by the doors alone, at least once, and says what became of it.
#![forbid(unsafe_code)]

pub mod channel;
pub mod config;
pub mod deliver;
pub mod desk;
pub mod export;
pub mod heartbeat;
pub mod http;
pub mod message;
pub mod metrics;
pub mod payload;
pub mod place;
pub mod secret;
pub mod serve;
pub mod settings;
pub mod silence;
pub mod trust;
