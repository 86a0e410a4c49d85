//! Whose a run is: with whose rights its command ran, by whose rules and in whose home it is judged, for whom it is
//! committed, and who waits for it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;
use backstop_core::id::RunId;
use backstop_core::identity::Identity;
use backstop_core::request::Request;
use backstop_sys::process::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, Signals, own_ids};

use super::{Engine, RIGHTS};
use crate::commit::Rights;
use crate::failure::{Failure, FailureKind};
use crate::law::{self, Kinds, Places, Reader, Standing};

impl Engine {
    /// Only with his rights could it be told what a command of his does.
    pub(super) fn is_his_own(&self, request: &Request) -> Result<(), Failure> {
        let own = self.settings.stand_in.as_ref().map_or_else(|| own_ids().0, |him| him.who.uid);
        if own == request.uid {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Refused, format!("refused: that command is user {}'s", request.uid))
            .next("whoever it is runs it again, by his own account: backstop run -- CMD")
            .by("a command runs with the rights of whoever asks for it"))
    }

    /// The rules that are in force for a request, today; of a run that waits, with the rights that it ran with.
    pub(super) fn standing(&self, request: &Request, kept: Option<&Rights>) -> Standing {
        let reader = self.reader_for(request, kept);
        let (home, kinds) = (self.home_for(request), self.kinds_for(request, &reader));
        law::of(request, (home, reader), &kinds, &self.settings.state)
    }

    /// With whose rights is read what the user of a run, or its project, brings along.
    fn reader_for(&self, request: &Request, kept: Option<&Rights>) -> Reader {
        let him = self.settings.stand_in.as_ref().map(|him| &him.who).filter(|who| who.uid == request.uid);
        match kept.map(|rights| &rights.who).or(him) {
            Some(who) => Reader::of(who),
            None => Reader::of(&Identity { uid: request.uid, gid: request.gid, groups: Vec::new() }),
        }
    }

    /// The home of whom a run is for: somebody else may look at it, and it is judged as when it was his alone.
    pub(super) fn home_for(&self, request: &Request) -> Option<&Bytes> {
        if request.uid == self.settings.uid {
            self.settings.home.as_ref()
        } else {
            self.settings.homes_of.get(&request.uid)
        }
    }

    fn kinds_for(&self, request: &Request, reader: &Reader) -> Cow<'_, Kinds> {
        if request.uid == self.settings.uid {
            Cow::Borrowed(&self.settings.kinds)
        } else {
            Cow::Owned(Kinds::of(&self.settings.homes, self.home_for(request), reader))
        }
    }

    /// The kinds of places as whom a run is for has them.
    pub(super) fn classes_for(&self, request: &Request) -> Classes {
        self.kinds_for(request, &self.reader_for(request, None)).into_owned().classes
    }

    /// What a command must not see of Backstop's: also of the user that it runs as.
    pub(super) fn hidden_from(&self, request: &Request) -> Vec<Bytes> {
        let home = self.settings.homes_of.get(&request.uid).filter(|_| request.by.is_some());
        let his = home.iter().flat_map(|h| [h.join(b".config/backstop"), h.join(b".local/state/backstop")]);
        self.settings.hide.iter().cloned().chain(his).collect()
    }

    /// Where rules of users and projects are, found with the rights of whom the run is for.
    pub(super) fn rules_below(&self, request: &Request) -> Vec<Bytes> {
        let places = Places::of(self.home_for(request), request.workspace.as_ref());
        // What can't be looked at is one of those places all the same.
        let bare = places.user.iter().chain(&places.project).map(|p| Bytes::from(p.as_path())).collect();
        self.reader_for(request, None).read(|| places.below()).unwrap_or(bare)
    }

    /// For whom a run is committed and taken back; none: for this process' user.
    pub(super) fn rights(&self, id: RunId) -> Result<Option<Arc<Rights>>, Failure> {
        let rights = self.store.read_json::<Identity>(id, RIGHTS)?;
        let own = own_ids().0;
        if rights.is_none() && own == 0 && self.known(id)?.request.uid != own {
            let what = format!("nobody can say with whose rights {id} ran, so nothing can be done with it");
            return Err(Failure::internal(what).next("run the command again"));
        }
        Ok(rights.map(|who| Arc::new(Rights::of(who))))
    }

    /// Keeps for whom a run is: nothing is done with it later without.
    pub(super) fn keep_rights(&self, id: RunId) -> Result<(), Failure> {
        let Some(him) = &self.settings.stand_in else { return Ok(()) };
        Ok(self.store.write_json(id, RIGHTS, &him.who, true)?)
    }

    /// The signal that whoever waits elsewhere was told to end by, or that he went away.
    pub(super) fn interrupted(&self) -> Option<u8> {
        let line = &self.settings.stand_in.as_ref()?.line;
        // By his terminal's keys, which are ours while the command has not begun.
        if let Some(signal) = Signals::of(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM]).take(Duration::ZERO) {
            return Some(signal as u8);
        }
        let ready = backstop_sys::wait::readable(&[Some(line.handle())], Duration::ZERO).ok()?[0];
        if !ready.any() {
            return None;
        }
        match line.signal() {
            Ok(signal) => signal.filter(|s| [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&i32::from(*s))),
            Err(_) => Some(SIGHUP as u8),
        }
    }
}
