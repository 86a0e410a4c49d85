//! With whose rights files are read that a user or a project brings along: rules, classes. A daemon that read them
//! with its own would tell, by what it says of a broken rule, what stands in files that he may not read.

use std::io;

use backstop_core::identity::Identity;
use backstop_sys::{process, rights};

/// Whose rights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reader {
    /// This process' own.
    #[default]
    Own,
    /// Another user's.
    Of(Identity),
}

impl Reader {
    /// That user's, where they are not this process' anyway.
    pub fn of(who: &Identity) -> Self {
        if process::is_root() && who.uid != 0 { Self::Of(who.clone()) } else { Self::Own }
    }

    /// Does `work` with these rights.
    pub fn read<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        match self {
            Self::Own => Ok(work()),
            Self::Of(who) => rights::with_files_of(who.uid, who.gid, &who.groups, work),
        }
    }
}
