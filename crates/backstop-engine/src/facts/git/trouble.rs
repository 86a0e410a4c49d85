//! What goes wrong while a repository is read. None of it is ever taken for "nothing lost".

use std::io;

use backstop_core::bytes::Bytes;

/// Why a repository, or a part of one, could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// A file that is there can't be read.
    #[error("can't read {}: {source}", path.quoted())]
    Read { path: Bytes, source: io::Error },
    /// A file does not hold what its format says.
    #[error("{} is damaged: {what}", path.quoted())]
    Damaged { path: Bytes, what: &'static str },
    /// An object that others name is not there.
    #[error("object {0} is missing")]
    Missing(String),
    /// More than a lens may take.
    #[error("more than the lens may read: {0}")]
    Budget(&'static str),
    /// A feature of git that the lens does not read.
    #[error("{0} can't be read")]
    Unsupported(&'static str),
}

impl Trouble {
    /// A file with content that makes no sense.
    pub(super) fn damaged(path: &Bytes, what: &'static str) -> Self {
        Self::Damaged { path: path.clone(), what }
    }

    /// A failed read.
    pub(super) fn read(path: &Bytes, source: io::Error) -> Self {
        Self::Read { path: path.clone(), source }
    }
}
