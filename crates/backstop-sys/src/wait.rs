//! Waits for the first of several handles. Takes no data from any.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// What can be said of a handle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ready {
    /// Something can be read from it.
    pub data: bool,
    /// Its other end is closed: nothing will come any more.
    pub closed: bool,
}

impl Ready {
    /// Either.
    pub const fn any(self) -> bool {
        self.data || self.closed
    }
}

/// Which of these can be read from, or are closed at their other end; none after `limit`.
pub fn readable<const N: usize>(handles: &[Option<BorrowedFd<'_>>; N], limit: Duration) -> io::Result<[Ready; N]> {
    let mut fds = Vec::with_capacity(N);
    for handle in handles.iter().flatten() {
        fds.push(PollFd::from_borrowed_fd(*handle, PollFlags::IN));
    }
    let limit = Timespec { tv_sec: limit.as_secs() as _, tv_nsec: i64::from(limit.subsec_nanos()) as _ };
    match poll(&mut fds, Some(&limit)) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok([Ready::default(); N]),
        Err(e) => return Err(e.into()),
    }
    let mut ready = fds.iter();
    let mut out = [Ready::default(); N];
    for (n, handle) in handles.iter().enumerate() {
        if handle.is_some() {
            let got = ready.next().map_or(PollFlags::empty(), PollFd::revents);
            out[n] =
                Ready { data: got.contains(PollFlags::IN), closed: got.intersects(PollFlags::HUP | PollFlags::ERR) };
        }
    }
    Ok(out)
}
