//! The Merkle tree of RFC 6962 (Certificate Transparency), section 2.1: leaf hash
//! SHA-256(0x00 ‖ entry), node hash SHA-256(0x01 ‖ left ‖ right).

use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// The hash of one entry.
pub fn leaf(entry: &[u8]) -> Digest {
    let mut h = Sha256::new();
    h.update([0]);
    h.update(entry);
    Digest(h.finalize().into())
}

/// The hash of two neighbours.
pub fn node(left: &Digest, right: &Digest) -> Digest {
    let mut h = Sha256::new();
    h.update([1]);
    h.update(left.0);
    h.update(right.0);
    Digest(h.finalize().into())
}

/// A tree that only grows: the roots of its perfect subtrees, biggest first. O(log n) memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Digest>,
}

impl Frontier {
    /// Appends a leaf hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one peak per set bit of size");
            hash = node(&left, &hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// How many leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root; SHA-256 of nothing for the empty tree.
    pub fn root(&self) -> Digest {
        let mut peaks = self.peaks.iter().rev();
        match peaks.next() {
            None => Digest(Sha256::digest([]).into()),
            Some(last) => peaks.fold(*last, |right, left| node(left, &right)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, straight from the RFC.
    fn slow(leaves: &[Digest]) -> Digest {
        match leaves.len() {
            0 => Digest(Sha256::digest([]).into()),
            1 => leaves[0],
            n => {
                let k = 1 << (usize::BITS - 1 - (n - 1).leading_zeros());
                node(&slow(&leaves[..k]), &slow(&leaves[k..]))
            }
        }
    }

    #[test]
    fn growing_gives_the_root_of_the_definition() {
        let leaves: Vec<_> = (0..70u8).map(|n| leaf(&[n])).collect();
        let mut tree = Frontier::default();
        for n in 0..=leaves.len() {
            assert_eq!(tree.root(), slow(&leaves[..n]), "{n}");
            if n < leaves.len() {
                tree.push(leaves[n]);
            }
        }
    }
}
