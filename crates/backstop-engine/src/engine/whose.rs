//! Whose a run is: with whose rights its command ran, by whose rules and in whose home it is judged, for whom it is
//! committed, and who waits for it.

use std::sync::Arc;
use std::time::Duration;

use backstop_core::bytes::Bytes;
use backstop_core::classes::Classes;
use backstop_core::id::RunId;
use backstop_core::request::Request;
use backstop_sys::process::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, Signals, own_ids};

use super::{Engine, RIGHTS};
use crate::commit::Rights;
use crate::failure::{Failure, FailureKind};
use crate::law::{self, Kinds, Places, Reader, Standing};

impl Engine {
    /// Only with his rights could it be told what a command of his does.
    pub(super) fn is_his_own(&self, request: &Request) -> Result<(), Failure> {
        let own = self.settings.stand_in.as_ref().map_or_else(|| own_ids().0, |him| him.uid);
        if own == request.uid {
            return Ok(());
        }
        Err(Failure::new(FailureKind::Refused, format!("refused: that command is user {}'s", request.uid))
            .next("whoever it is runs it again, by his own account: backstop run -- CMD")
            .by("a command runs with the rights of whoever asks for it"))
    }

    /// The rules that are in force for a request, today; of a run that waits, with the rights that it ran with.
    pub(super) fn standing(&self, request: &Request, kept: Option<&Rights>) -> Standing {
        let groups = match (kept, &self.settings.stand_in) {
            (Some(kept), _) => kept.groups.as_slice(),
            (None, Some(him)) if him.uid == request.uid => him.groups.as_slice(),
            _ => &[],
        };
        let reader = Reader::of(request.uid, request.gid, groups);
        if request.uid == self.settings.uid {
            let home = self.settings.home.as_ref();
            return law::of(request, (home, reader), &self.settings.kinds, &self.settings.state);
        }
        // Somebody else looks at it: it is judged as when it was his alone.
        let home = self.settings.homes_of.get(&request.uid);
        let kinds = Kinds::of(&self.settings.homes, home, &reader);
        law::of(request, (home, reader), &kinds, &self.settings.state)
    }

    /// What a command must not see of Backstop's: also of the user that it runs as.
    pub(super) fn hidden_from(&self, request: &Request) -> Vec<Bytes> {
        let home = self.settings.homes_of.get(&request.uid).filter(|_| request.by.is_some());
        let his = home.iter().flat_map(|h| [h.join(b".config/backstop"), h.join(b".local/state/backstop")]);
        self.settings.hide.iter().cloned().chain(his).collect()
    }

    /// The home of whom a run is for, and the kinds of places as he has them.
    pub(super) fn home_and_classes(&self, request: &Request) -> (Option<Bytes>, Classes) {
        if request.uid == self.settings.uid {
            return (self.settings.home.clone(), self.settings.kinds.classes.clone());
        }
        let home = self.settings.homes_of.get(&request.uid);
        let him = self.settings.stand_in.as_ref().filter(|him| him.uid == request.uid);
        let reader = Reader::of(request.uid, request.gid, him.map_or(&[], |him| &him.groups));
        (home.cloned(), Kinds::of(&self.settings.homes, home, &reader).classes)
    }

    /// Where rules of users and projects are, found with the rights of whom the run is for.
    pub(super) fn rules_below(&self, request: &Request) -> Vec<Bytes> {
        let him = self.settings.stand_in.as_ref().filter(|him| him.uid == request.uid);
        let groups = him.map_or(&[][..], |him| &him.groups);
        let reader = Reader::of(request.uid, request.gid, groups);
        let (home, _) = self.home_and_classes(request);
        let places = Places::of(home.as_ref(), request.workspace.as_ref());
        // What can't be looked at is one of those places all the same.
        let bare = places.user.iter().chain(&places.project).map(|p| Bytes::from(p.as_path())).collect();
        reader.read(|| places.below()).unwrap_or(bare)
    }

    /// For whom a run is committed and taken back; none: for this process' user.
    pub(super) fn rights(&self, id: RunId) -> Result<Option<Arc<Rights>>, Failure> {
        let rights = self.store.read_json::<Rights>(id, RIGHTS)?;
        let own = own_ids().0;
        if rights.is_none() && own == 0 && self.known(id)?.request.uid != own {
            let what = format!("nobody can say with whose rights {id} ran, so nothing can be done with it");
            return Err(Failure::internal(what).next("run the command again"));
        }
        Ok(rights.map(Arc::new))
    }

    /// Keeps for whom a run is: nothing is done with it later without.
    pub(super) fn keep_rights(&self, id: RunId) -> Result<(), Failure> {
        let Some(him) = &self.settings.stand_in else { return Ok(()) };
        Ok(self.store.write_json(id, RIGHTS, &Rights::new(him.uid, him.gid, him.groups.clone()), true)?)
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
