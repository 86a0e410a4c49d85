//! Turns: file locks do not reach from one view into another, so two builds side by side would both
//! believe they hold the lock. Runs in one workspace go one after the other.

use std::time::{Duration, Instant};

use backstop_core::bytes::Bytes;
use backstop_core::digest::Digest;
use backstop_core::id::RunId;
use backstop_core::request::Request;

use super::{Engine, Person};
use crate::failure::{Failure, FailureKind};
use crate::store::Lock;

/// After this long, who is waited for is told.
const TELL_AFTER: Duration = Duration::from_secs(2);

impl Engine {
    /// Waits for the request's turn; none where it needs none.
    pub(super) fn turn(&self, request: &Request, person: &mut dyn Person) -> Result<Option<Lock>, Failure> {
        if request.parallel {
            return Ok(None);
        }
        let place: &Bytes = request.workspace.as_ref().unwrap_or(&request.cwd);
        // Behind a daemon each user takes turns with himself: nobody keeps others waiting by naming their workspace.
        let whose = self.settings.stand_in.as_ref().map_or(String::new(), |_| request.asked_by().to_string());
        let name = Digest::of("backstop turn v2", &[place.as_slice(), whose.as_bytes()]);
        let name = format!("turn-{}", &name.hex()[..32]);
        let start = Instant::now();
        let (mut pause, mut told) = (Duration::from_millis(2), false);
        loop {
            let holder = match self.store.try_lock(&name, "")? {
                Ok(lock) => return Ok(Some(lock)),
                Err(holder) => Holder::parse(&holder),
            };
            // `backstop run -- a | backstop run -- b`: the one that has its turn may wait for us.
            if holder.as_ref().is_some_and(Holder::is_piped_to_us) {
                return Ok(None);
            }
            let holder = holder.map(|h| h.id);
            // One that stands by a ban may do so for days, and nobody else is to wait for that.
            if holder.is_some_and(|id| self.stands_by_a_ban(id)) {
                return Ok(None);
            }
            if !told && start.elapsed() >= TELL_AFTER {
                person.waiting(holder);
                told = true;
            }
            if start.elapsed() >= self.settings.turn_limit {
                let whom = holder.map_or_else(|| "another run".to_owned(), |id| id.to_string());
                let what = format!("waited {} s for {whom} in the same workspace", start.elapsed().as_secs());
                return Err(Failure::new(FailureKind::Conflict, what)
                    .next("wait for it to end, or run beside it: backstop run --parallel"));
            }
            if let Some(signal) = self.interrupted() {
                let what = format!("interrupted by signal {signal}; nothing was run");
                return Err(Failure::new(FailureKind::Interrupted(signal), what));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }
}

/// Who has the turn, as written into its lock: the run, and the process id of its Backstop.
struct Holder {
    id: RunId,
    pid: u32,
}

impl Holder {
    fn parse(text: &str) -> Option<Self> {
        let (id, pid) = text.trim().split_once(' ')?;
        Some(Self { id: RunId::parse(id)?, pid: pid.parse().ok()? })
    }

    /// True when its standard output is our standard input, or the other way round.
    fn is_piped_to_us(&self) -> bool {
        let pipe = |process: &str, fd: u32| {
            let end = std::fs::read_link(format!("/proc/{process}/fd/{fd}")).ok()?;
            end.as_os_str().as_encoded_bytes().starts_with(b"pipe:").then_some(end)
        };
        let theirs = self.pid.to_string();
        let same = |ours: u32, other: u32| pipe("self", ours).is_some_and(|p| Some(p) == pipe(&theirs, other));
        same(0, 1) || same(1, 0) || same(0, 2)
    }
}
