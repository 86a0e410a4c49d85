//! The caller's terminal: which it is, and that it comes back to the caller afterwards.

use std::io;
use std::os::fd::AsFd;

use backstop_sys::devices;

/// The terminal's number below `/dev/pts`, by the first standard stream that is one.
pub(super) fn number() -> Option<u32> {
    [io::stdin().as_fd(), io::stdout().as_fd(), io::stderr().as_fd()].into_iter().find_map(devices::terminal_number)
}

/// Remembers whether the caller had the terminal's foreground.
#[derive(Debug)]
pub(super) struct Foreground(bool);

impl Foreground {
    pub(super) fn remember() -> Self {
        Self(devices::foreground() == Some(devices::own_group()))
    }

    /// An interactive shell inside makes its own group the foreground, and when it ends it can't name
    /// ours, which has no number in its process namespace; so we take it back.
    pub(super) fn restore(&self) -> io::Result<()> {
        if self.0 && devices::foreground() != Some(devices::own_group()) { devices::take_foreground() } else { Ok(()) }
    }
}
