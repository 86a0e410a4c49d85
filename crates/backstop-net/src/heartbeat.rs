//! A dead man's switch: an address elsewhere that hears of us now and then, and raises an alarm where it does not. It finds
//! what nobody here could tell: that the machine is gone.

use std::time::Duration;

use crate::channel::web::{Post, hidden};
use crate::config::{HeartbeatConfig, Slack};
use crate::deliver::Miss;

/// One that is ready: its address is read.
pub struct Heartbeat {
    post: Post,
    every: Duration,
}

impl Heartbeat {
    /// Makes one ready.
    ///
    /// # Errors
    /// An address that can't be read or used, as a sentence fragment.
    pub fn new(config: &HeartbeatConfig) -> Result<Self, String> {
        let post = hidden(&Slack { url_file: config.url_file.clone() })?;
        Ok(Self { post, every: Duration::from_secs(config.minutes * 60) })
    }

    /// How often it is told.
    pub const fn every(&self) -> Duration {
        self.every
    }

    /// Tells it.
    ///
    /// # Errors
    /// Why that failed.
    pub fn send(&self) -> Result<(), String> {
        self.post.send(&[], b"{}").map_err(|Miss { why, .. }| why)
    }
}
