//! The part of the story that is about the red button: nothing takes effect while everything stands, and it goes on by the
//! word of those who were said to have to agree when it began.

use super::Question as Asks;
use super::approvals::Approvals;
use crate::approval::matter::Matter;
use crate::audit::Body;
use crate::freeze::Freeze;

/// What stands, as far as it has been told.
#[derive(Clone, Debug, Default)]
pub(super) struct Freezes {
    now: Option<Freeze>,
}

impl Freezes {
    /// True while everything stands.
    pub const fn stands(&self) -> bool {
        self.now.is_some()
    }

    /// Takes the next entry.
    pub fn tell(&mut self, body: &Body, approvals: &mut Approvals) -> Result<(), (Asks, String)> {
        match body {
            Body::HostFrozen { freeze, .. } => match self.now.replace(freeze.clone()) {
                // Pressed again, it is the same.
                Some(before) if before != *freeze => {
                    Err((Asks::Completeness, "frozen anew, and nobody had thawed it".to_owned()))
                }
                _ => Ok(()),
            },
            Body::HostThawed { freeze, request, .. } => {
                let Some(ends) = self.now.take_if(|now| now.digest() == *freeze) else {
                    return Err((Asks::Completeness, "thawed, and the log does not show what was frozen".to_owned()));
                };
                let is_it = |matter: &Matter| matches!(matter, Matter::Thaw { freeze: asked, .. } if asked == freeze);
                approvals
                    .ended("thawed", *request, is_it, ends.quorum.as_ref())
                    .map_err(|what| (Asks::Authorisation, what))
            }
            Body::RunCommitting { .. } | Body::RunRedoing { .. } if self.now.is_some() => {
                Err((Asks::Authorisation, format!("{} while everything was frozen", body.name())))
            }
            _ => Ok(()),
        }
    }
}
