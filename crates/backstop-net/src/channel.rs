//! Sends one notice by one way, once. Knows protocols; when to try again is not decided here.

mod alarm;
mod command;
pub mod mail;
pub(crate) mod web;

use std::time::Duration;

use crate::config::{self, Way};
use crate::deliver::Miss;
use crate::message::{Item, Message};

/// One attempt takes no longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A channel that is ready: its secrets are read.
pub struct Channel {
    /// What the settings say of it.
    pub config: config::Channel,
    sender: Box<dyn Sender>,
}

/// Sends.
trait Sender: Send + Sync {
    fn send(&self, message: &Message) -> Result<(), Miss>;
}

/// Tells it one by one, as programs and services want it.
fn each(message: &Message, send: impl Fn(&Item) -> Result<(), Miss>) -> Result<(), Miss> {
    message.items().iter().try_for_each(send)
}

impl Channel {
    /// Makes a channel ready.
    ///
    /// # Errors
    /// A secret that can't be read or used, as a sentence fragment.
    pub fn new(config: config::Channel) -> Result<Self, String> {
        let sender: Box<dyn Sender> = match &config.way {
            Way::Webhook(webhook) => Box::new(web::Webhook::new(webhook)?),
            Way::Slack(slack) => Box::new(web::Slack::new(slack)?),
            Way::Discord(to) => Box::new(alarm::Discord::new(to)?),
            Way::Teams(to) => Box::new(alarm::Teams::new(to)?),
            Way::Pagerduty(to) => Box::new(alarm::Pagerduty::new(to)?),
            Way::Alertmanager(to) => Box::new(alarm::Alertmanager::new(to)?),
            Way::Ntfy(ntfy) => Box::new(web::Ntfy::new(ntfy)?),
            Way::Mail(mail) => Box::new(mail::Mail::new(mail)?),
            Way::Command(command) => Box::new(command::Command::new(command)),
        };
        Ok(Self { config, sender })
    }

    /// Tries to tell people once.
    ///
    /// # Errors
    /// Why it did not arrive.
    pub fn send(&self, message: &Message) -> Result<(), Miss> {
        self.sender.send(message)
    }
}
