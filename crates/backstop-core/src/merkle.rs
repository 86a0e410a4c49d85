//! The Merkle tree of RFC 6962 (Certificate Transparency), section 2.1: leaf hash
//! SHA-256(0x00 ‖ entry), node hash SHA-256(0x01 ‖ left ‖ right). Proofs are made from
//! leaf hashes that the caller has at hand, and checked from the two roots alone.

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

    /// A frontier from what `size` and `peaks` gave; none where their number doesn't fit.
    pub fn from_parts(size: u64, peaks: Vec<Digest>) -> Option<Self> {
        (peaks.len() == size.count_ones() as usize).then_some(Self { size, peaks })
    }

    /// The roots of the perfect subtrees, biggest first: one per set bit of `size`.
    pub fn peaks(&self) -> &[Digest] {
        &self.peaks
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

/// The root over leaf hashes.
pub fn root(leaves: &[Digest]) -> Digest {
    let mut tree = Frontier::default();
    leaves.iter().for_each(|leaf| tree.push(*leaf));
    tree.root()
}

/// The greatest power of two below `n`, which is at least 2: where the RFC splits a tree.
fn split(n: u64) -> u64 {
    1 << (u64::BITS - 1 - (n - 1).leading_zeros())
}

/// The audit path of leaf `index` (RFC 6962, 2.1.1), nearest neighbour first; none where there is no
/// such leaf.
pub fn inclusion_proof(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut leaves, mut index, mut path) = (leaves, index, Vec::new());
    while leaves.len() > 1 {
        let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
        if index < left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            index -= left.len();
            leaves = right;
        }
    }
    path.reverse();
    Some(path)
}

/// True when `proof` shows that `leaf` stands at `index` of the tree of `size` leaves with `root`
/// (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: Digest, index: u64, size: u64, root: &Digest, proof: &[Digest]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for neighbour in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(neighbour, &hash);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node(&hash, neighbour);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The proof that the tree over all of `leaves` only appends to the tree over the first `old` of them
/// (RFC 6962, 2.1.2); empty where `old` is 0 or all; none where `old` is more than there are.
pub fn consistency_proof(leaves: &[Digest], old: usize) -> Option<Vec<Digest>> {
    if old > leaves.len() {
        return None;
    }
    let (mut leaves, mut old, mut whole, mut path) = (leaves, old, true, Vec::new());
    while old != 0 && old != leaves.len() {
        let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
        if old <= left.len() {
            path.push(root(right));
            leaves = left;
        } else {
            path.push(root(left));
            old -= left.len();
            leaves = right;
            whole = false;
        }
    }
    if old != 0 && !whole {
        path.push(root(leaves));
    }
    path.reverse();
    Some(path)
}

/// True when `proof` shows that the newer tree only appends to the older (RFC 9162, 2.1.4.2). Of the
/// empty tree nothing is to be shown but its root.
pub fn verify_consistency(old: (u64, &Digest), new: (u64, &Digest), proof: &[Digest]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == 0 || old_size == new_size {
        let same = old_size != new_size || old_root == new_root;
        return proof.is_empty() && same && (old_size != 0 || *old_root == root(&[]));
    }
    if old_size > new_size {
        return false;
    }
    let mut path = proof.iter();
    let first = if old_size.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (*first, *first);
    for neighbour in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            from_old = node(neighbour, &from_old);
            from_new = node(neighbour, &from_new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            from_new = node(&from_new, neighbour);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && from_old == *old_root && from_new == *new_root
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

    /// The RFC's PATH(m, D[n]), word for word.
    fn slow_path(m: usize, leaves: &[Digest]) -> Vec<Digest> {
        if leaves.len() == 1 {
            return Vec::new();
        }
        let k = split(leaves.len() as u64) as usize;
        let (mut path, other) = if m < k {
            (slow_path(m, &leaves[..k]), slow(&leaves[k..]))
        } else {
            (slow_path(m - k, &leaves[k..]), slow(&leaves[..k]))
        };
        path.push(other);
        path
    }

    /// The RFC's SUBPROOF(m, D[n], b), word for word.
    fn slow_subproof(m: usize, leaves: &[Digest], b: bool) -> Vec<Digest> {
        let n = leaves.len();
        if m == n {
            return if b { Vec::new() } else { vec![slow(leaves)] };
        }
        let k = split(n as u64) as usize;
        let (mut path, other) = if m <= k {
            (slow_subproof(m, &leaves[..k], b), slow(&leaves[k..]))
        } else {
            (slow_subproof(m - k, &leaves[k..], false), slow(&leaves[..k]))
        };
        path.push(other);
        path
    }

    fn leaves(n: usize) -> Vec<Digest> {
        (0..n).map(|n| leaf(&[n as u8])).collect()
    }

    #[test]
    fn every_leaf_of_small_trees_has_the_path_of_the_definition_and_no_other_proves_it() {
        for n in 1..=33 {
            let all = leaves(n);
            let top = slow(&all);
            for (i, this) in all.iter().enumerate() {
                let proof = inclusion_proof(&all, i).expect("within the tree");
                assert_eq!(proof, slow_path(i, &all), "{i} of {n}");
                let (index, size) = (i as u64, n as u64);
                assert!(verify_inclusion(*this, index, size, &top, &proof));
                assert!(!verify_inclusion(leaf(b"other"), index, size, &top, &proof));
                assert!(!verify_inclusion(*this, index, size, &leaf(b"other"), &proof));
                assert!(!verify_inclusion(*this, size, size, &top, &proof));
                let mut longer = proof.clone();
                longer.push(top);
                assert!(!verify_inclusion(*this, index, size, &top, &longer));
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_inclusion(*this, index, size, &top, shorter));
                }
            }
            assert_eq!(inclusion_proof(&all, n), None);
        }
    }

    #[test]
    fn growth_is_proven_as_in_the_definition_and_a_rewritten_past_is_not() {
        for n in 1..=33 {
            let all = leaves(n);
            let top = slow(&all);
            for m in 1..=n {
                let proof = consistency_proof(&all, m).expect("within the tree");
                assert_eq!(proof, slow_subproof(m, &all, true), "{m} of {n}");
                let (old, old_root) = (m as u64, slow(&all[..m]));
                assert!(verify_consistency((old, &old_root), (n as u64, &top), &proof));
                let mut past = all.clone();
                past[m / 2] = leaf(b"rewritten");
                let other = slow(&past);
                let other_proof = consistency_proof(&past, m).expect("within the tree");
                assert!(!verify_consistency((old, &old_root), (n as u64, &other), &other_proof));
                let mut longer = proof.clone();
                longer.push(top);
                assert!(!verify_consistency((old, &old_root), (n as u64, &top), &longer));
            }
            assert!(verify_consistency((0, &root(&[])), (n as u64, &top), &[]));
            assert!(!verify_consistency((n as u64 + 1, &top), (n as u64, &top), &[]));
            assert_eq!(consistency_proof(&all, n + 1), None);
        }
    }

    #[test]
    fn another_implementation_gives_the_same_roots_and_proofs() {
        use ct_merkle::mem_backed_tree::MemoryBackedTree;
        let mut tree = MemoryBackedTree::<Sha256, Vec<u8>>::new();
        let mut all = Vec::new();
        let bytes = |proof: &[Digest]| proof.iter().flat_map(|d| d.0).collect::<Vec<u8>>();
        for n in 0..70u8 {
            tree.push(vec![n]);
            all.push(leaf(&[n]));
            assert_eq!(tree.root().as_bytes().as_slice(), root(&all).0);
            for m in 0..all.len() {
                assert_eq!(
                    tree.prove_inclusion(m).as_bytes(),
                    bytes(&inclusion_proof(&all, m).expect("within the tree"))
                );
                let added = all.len() - 1 - m;
                let theirs = tree.prove_consistency(added);
                assert_eq!(
                    theirs.as_bytes(),
                    bytes(&consistency_proof(&all, m + 1).expect("within the tree")),
                    "{m} {n}"
                );
            }
        }
    }
}
