//! The right that a ballot gives. Nothing else makes one, and nothing of one can be changed.

use super::Question;
use crate::approval::matter::Matter;
use crate::approval::people::Change;
use crate::digest::Digest;

/// The right to do what a quorum agreed to, and nothing else. Only a ballot makes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Right {
    host: String,
    matter: Matter,
}

impl Right {
    /// To what was asked.
    pub(super) fn to(question: &Question) -> Self {
        Self { host: question.host.clone(), matter: question.matter.clone() }
    }

    /// True where it is a right to this change of who may approve on this machine, of this revision.
    pub fn is_to(&self, host: &str, wanted: &Change, of: u64) -> bool {
        let this = |change: &Change, revision: u64| change == wanted && revision == of;
        self.host == host && matches!(&self.matter, Matter::People { change, revision, .. } if this(change, *revision))
    }

    /// True where it is a right to let go on, on this machine, what this names.
    pub fn is_to_thaw(&self, host: &str, named: Digest) -> bool {
        self.host == host && matches!(self.matter, Matter::Thaw { freeze, .. } if freeze == named)
    }

    /// True where it is a right to end, on this machine, the ban that this names.
    pub fn is_to_clear(&self, host: &str, named: Digest) -> bool {
        self.host == host && matches!(self.matter, Matter::Clear { ban, .. } if ban == named)
    }

    /// For tests of what needs one.
    #[cfg(test)]
    pub(crate) fn made_up(host: &str, matter: Matter) -> Self {
        Self { host: host.to_owned(), matter }
    }
}
