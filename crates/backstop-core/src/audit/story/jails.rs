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
    bans: BTreeMap<Key, Told>,
    made: u64,
}

#[derive(Clone, Debug)]
struct Told {
    ban: Ban,
    /// It ended by itself, and stays so when the clock is set back.
    over: bool,
    /// The same when it is raised, and another when it is made anew.
    nth: u64,
}

/// That somebody was banned at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Banned {
    key: Key,
    nth: u64,
}

impl Jails {
    /// Takes the next entry.
    pub fn tell(&mut self, at: Timestamp, body: &Body, approvals: &mut Approvals) -> Result<(), (Asks, String)> {
        for told in self.bans.values_mut() {
            told.over |= !told.ban.stands(at);
        }
        match body {
            Body::JailBanned { ban, .. } => {
                let before = self.bans.get(&ban.key).filter(|told| !told.over);
                let milder = before.is_some_and(|b| b.ban.level > ban.level || !b.ban.classes.is_subset(&ban.classes));
                self.made += u64::from(before.is_none());
                let nth = before.map_or(self.made, |told| told.nth);
                self.bans.insert(ban.key.clone(), Told { ban: ban.clone(), over: !ban.stands(at), nth });
                if milder {
                    return Err((Asks::Authorisation, "a ban was made milder, and nobody had ended it".to_owned()));
                }
                Ok(())
            }
            Body::JailCleared { ban, request, .. } => {
                let named = self.bans.values().find(|told| told.ban.digest() == *ban).map(|told| told.ban.key.clone());
                let Some(Told { ban: ends, .. }) = named.and_then(|key| self.bans.remove(&key)) else {
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

    /// True while one of these very bans stands, raised or not.
    pub fn stands(&self, banned: &[Banned]) -> bool {
        let stands = |b: &Banned| self.bans.get(&b.key).is_some_and(|told| told.nth == b.nth && !told.over);
        banned.iter().any(stands)
    }

    /// By what whoever asks for a run is banned, as far as the entry tells: one that names neither session nor agent may be
    /// a person's.
    pub fn on(&self, body: &Body) -> Vec<Banned> {
        let Body::RunRequested { asker, by, session, uid, workspace, .. } = body else { return Vec::new() };
        if self.bans.is_empty() || session.is_none() && asker.is_none() {
            return Vec::new();
        }
        let who = by.unwrap_or(*uid);
        let agent = asker.as_ref().map(|a| a.agent.clone()).unwrap_or_default();
        let place = workspace.clone().unwrap_or_default();
        let is_it = |key: &&Key| match key {
            Key::Account { uid } => *uid == who,
            Key::Session { session: s, uid } => session.as_ref() == Some(s) && *uid == who,
            Key::Agent { agent: a, uid } => *a == agent && *uid == who,
            Key::Workspace { uid, workspace } => *workspace == place && *uid == who,
            // Who had logged in is in no entry.
            Key::Starter { .. } => false,
        };
        let its = self.bans.iter().filter(|(key, told)| is_it(key) && !told.over);
        its.map(|(key, told)| Banned { key: key.clone(), nth: told.nth }).collect()
    }
}
