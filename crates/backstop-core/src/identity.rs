//! A user with his groups: with whose rights something is done or looked at. Plain values; who becomes whom, and what
//! the kernel says to it, is the engine's.

use serde::{Deserialize, Serialize};

use crate::effect::Node;

/// A user, as the kernel tells him apart where files are opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Identity {
    /// True where the owner and the mode of a file let him read it: what he may take away may be closed to him all
    /// the same. The first class that he is of decides, as in the kernel (`path_resolution(7)`); ACLs are not seen.
    pub fn reads(&self, node: &Node) -> bool {
        let bit = if self.uid == 0 {
            return true;
        } else if node.uid == self.uid {
            0o400
        } else if node.gid == self.gid || self.groups.contains(&node.gid) {
            0o040
        } else {
            0o004
        };
        node.mode & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effect::FileType;
    use crate::time::Timestamp;

    #[test]
    fn the_first_class_that_somebody_is_of_decides() {
        let him = Identity { uid: 1000, gid: 100, groups: vec![7] };
        let root = Identity { uid: 0, gid: 0, groups: Vec::new() };
        for (uid, gid, mode, reads) in [
            (1000, 0, 0o400, true),
            (1000, 100, 0o044, false),
            (1, 100, 0o040, true),
            (1, 7, 0o040, true),
            (1, 7, 0o404, false),
            (1, 1, 0o440, false),
            (1, 1, 0o004, true),
        ] {
            let at = Timestamp::default();
            let node = Node {
                content: None,
                ctime: at,
                dev: 1,
                gid,
                ino: 1,
                mode,
                mtime: at,
                nlink: 1,
                rdev: None,
                size: 0,
                target: None,
                file_type: FileType::File,
                uid,
            };
            assert_eq!(him.reads(&node), reads, "{uid}:{gid} {mode:o}");
            assert!(root.reads(&node));
        }
    }
}
