//! The part of the story that is about the jail: what is banned lets nothing take effect by rules alone, and a ban that
//! people end is ended by those who were said to have to agree.

use std::collections::BTreeMap;

use super::Question as Asks;
use super::approvals::Approvals;
use crate::approval::matter::Matter;
use crate::audit::Body;
use crate::jail::{Ban, Key};
use crate::time::Timestamp;

/// The bans, as far as they have been told.
#[derive(Clone, Debug, Default)]
pub(super) struct Jails {
    bans: BTreeMap<Key, Ban>,
}

impl Jails {
    /// Takes the next entry.
    pub fn tell(&mut self, at: Timestamp, body: &Body, approvals: &mut Approvals) -> Result<(), (Asks, String)> {
        match body {
            Body::JailBanned { ban, .. } => {
                let before = self.bans.insert(ban.key.clone(), ban.clone());
                let stricter = |b: Ban| b.stands(at) && (b.level > ban.level || !b.classes.is_subset(&ban.classes));
                if before.is_some_and(stricter) {
                    return Err((Asks::Authorisation, "a ban was made milder, and nobody had ended it".to_owned()));
                }
                Ok(())
            }
            Body::JailCleared { ban, request, .. } => {
                let named = self.bans.values().find(|b| b.digest() == *ban).map(|b| b.key.clone());
                let Some(ends) = named.and_then(|key| self.bans.remove(&key)) else {
                    let what = "a ban was ended that the log does not show";
                    return Err((Asks::Completeness, what.to_owned()));
                };
                let is_it = |matter: &Matter| matches!(matter, Matter::Clear { ban: asked, .. } if asked == ban);
                approvals
                    .ended("a ban was ended", *request, is_it, ends.quorum.as_ref())
                    .map_err(|what| (Asks::Authorisation, what))
            }
            _ => Ok(()),
        }
    }

    /// True while a ban on this stands.
    pub fn stands(&self, at: Timestamp, key: &Key) -> bool {
        self.bans.get(key).is_some_and(|ban| ban.stands(at))
    }

    /// By what whoever asks for a run is banned, as far as the entry tells: of one that names neither session nor agent a
    /// person may have asked.
    pub fn on(&self, at: Timestamp, body: &Body) -> Option<Key> {
        let Body::RunRequested { asker, by, session, uid, workspace, .. } = body else { return None };
        let who = by.unwrap_or(*uid);
        let named = session.is_some() || asker.is_some();
        let agent = asker.as_ref().map(|a| a.agent.clone()).unwrap_or_default();
        let is_it = |key: &&Key| match key {
            Key::Account { uid } => *uid == who,
            Key::Session { session: s, uid } => session.as_ref() == Some(s) && *uid == who,
            Key::Agent { agent: a, uid } => named && *a == agent && *uid == who,
            Key::Workspace { uid, workspace: w } => named && workspace.clone().unwrap_or_default() == *w && *uid == who,
            Key::Starter { .. } => false,
        };
        self.bans.keys().filter(is_it).find(|key| self.stands(at, key)).cloned()
    }
}
