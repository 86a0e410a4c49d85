//! Who may approve: the first two at once, every later change by two people. The trust store is staged, recorded,
//! then put in force; what is cut off in between, the log decides.

use backstop_core::approval::ballot::Question;
use backstop_core::approval::display;
use backstop_core::approval::matter::Matter;
use backstop_core::approval::people::{Change, Footing, People, PeopleError};
use backstop_core::approval::quorum::Quorum;
use backstop_core::audit::Body;
use backstop_core::digest::Digest;
use backstop_core::time::Timestamp;

use super::Engine;
use super::Wish;
use crate::approvals::{self, Request};
use crate::failure::Failure;
use crate::store::Lock;
use crate::{clock, host};

impl Engine {
    /// Who may approve; nobody, under this machine's name, where none were enrolled.
    pub fn people(&self) -> Result<People, Failure> {
        match approvals::people(&self.store)? {
            Some(people) => Ok(people),
            None => {
                People::new(&host::name(&self.store)?).map_err(|e| Failure::because("this machine can't be named", &e))
            }
        }
    }

    /// How many may approve.
    pub(super) fn enrolled(&self) -> Result<i64, Failure> {
        Ok(i64::try_from(self.people()?.enrolled()).unwrap_or(i64::MAX))
    }

    /// Wishes a change of who may approve: done at once where nobody could be asked, else two people are.
    pub fn change_people(&mut self, change: &Change) -> Result<Wish<People>, Failure> {
        self.sound()?;
        let lock = self.lock_runs()?;
        self.settle_people(&lock)?;
        let people = self.people()?;
        let now = clock::now();
        if !people.founded {
            let next = people.with(change, Footing::Founding, now).map_err(|e| unfit(&e))?;
            self.put_people(change, &next, None, now)?;
            return Ok(Wish::Done(next));
        }
        // Said now what is wrong with it, not when two people have agreed.
        people.would(change, now).map_err(|e| unfit(&e))?;
        let same = |matter: &Matter| matches!(matter, Matter::People { change: asked, .. } if asked == change);
        let by = self.caller();
        let matter = people.matter(change, by, now);
        let display = |question: &Question| display::change(question, &people, change, by);
        let shown = (display::change_summary(change), display);
        self.wish((&people, &lock), same, (matter, Quorum::TWO), shown, |engine, request| {
            engine.change_approved(request, change)
        })
    }

    /// Makes a change that a quorum agreed to.
    pub(super) fn change_approved(&mut self, request: Request, change: &Change) -> Result<People, Failure> {
        let people = self.people()?;
        let (mut claim, digest, right) = self.claim_right(request, &people)?;
        let now = clock::now();
        let next = match people.with(change, Footing::Approved(&right), now) {
            Ok(next) => next,
            Err(error) => return Err(self.came_to_nothing(&mut claim, unfit(&error))),
        };
        // Where this fails, nobody knows here whether it is on record; whoever looks next finds out.
        self.put_people(change, &next, Some(digest), now)?;
        match self.executed(&mut claim, true) {
            // It is made, whether or not that could be noted: the next look at the request finds it in the log.
            Ok(()) | Err(_) => Ok(next),
        }
    }

    /// Staged, recorded, in force, in this order: whatever is cut off in between, the log says which it is.
    fn put_people(
        &mut self,
        change: &Change,
        next: &People,
        request: Option<Digest>,
        made_at: Timestamp,
    ) -> Result<(), Failure> {
        let entry = Body::PeopleChanged {
            change: change.clone(),
            digest: next.digest(),
            host: next.host.clone(),
            made_at,
            request,
            revision: next.revision,
            uid: self.caller(),
        };
        self.catch_up()?;
        approvals::stage_people(&self.store, next)?;
        self.records.write(&[entry])?;
        approvals::settle_people(&self.store, true)
            .map_err(|failure| failure.next("it is on record: the next start of Backstop puts it in force"))
    }

    /// A trust store that was staged and cut off is in force where the log says so, and else was never.
    pub(super) fn settle_people(&mut self, _lock: &Lock) -> Result<(), Failure> {
        let Some(staged) = approvals::staged_people(&self.store)? else { return Ok(()) };
        let staged = staged.digest();
        let in_force = self.records.says(|b| matches!(b, Body::PeopleChanged { digest, .. } if *digest == staged))?;
        approvals::settle_people(&self.store, in_force)
    }
}

fn unfit(error: &PeopleError) -> Failure {
    Failure::usage(error.to_string()).next("see who may approve: backstop people list")
}
