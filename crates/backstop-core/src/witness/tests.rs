use proptest::prelude::*;

use super::*;
use crate::note::Signer;

fn leaves(n: usize, kind: u8) -> Vec<Digest> {
    (0..n).map(|at| merkle::leaf(&[kind, u8::try_from(at % 250).expect("small")])).collect()
}

fn log() -> Signer {
    Signer::of_host(&[7; 32])
}

fn checkpoint(leaves: &[Digest]) -> Checkpoint {
    let origin = log().verifier().name().to_owned();
    Checkpoint { origin, root: merkle::root(leaves), size: leaves.len() as u64 }
}

fn seen(leaves: &[Digest]) -> Seen {
    Seen { root: merkle::root(leaves), size: leaves.len() as u64 }
}

fn proposal(leaves: &[Digest], old: usize) -> Proposal {
    let proof = merkle::consistency_proof(leaves, old).expect("as many");
    Proposal { old: old as u64, proof, note: checkpoint(leaves).signed(&log()) }
}

#[test]
fn what_goes_on_is_cosigned_and_nothing_else() {
    let all = leaves(23, 0);
    let (log, other) = (log().verifier(), Signer::of_host(&[8; 32]));
    let at = Some(seen(&all[..9]));
    assert_eq!(proposal(&all, 9).admit(at, &log), Ok(checkpoint(&all)));
    assert_eq!(proposal(&all, 0).admit(None, &log), Ok(checkpoint(&all)));
    // Asked again, nothing new.
    assert_eq!(proposal(&all[..9], 9).admit(at, &log), Ok(checkpoint(&all[..9])));
    let mut changed = all.clone();
    changed[3] = merkle::leaf(b"another");
    let mut begun = proposal(&all, 9);
    begun.proof.truncate(1);
    let seen = seen(&all[..9]);
    let from_nine = |proposal: Proposal| Proposal { old: 9, ..proposal };
    for (proposal, refusal) in [
        (proposal(&all, 8), Refusal::Elsewhere { old: 8, seen }),
        (proposal(&all[..8], 8), Refusal::Elsewhere { old: 8, seen }),
        (from_nine(proposal(&all[..8], 0)), Refusal::Shorter { now: 8, seen }),
        (proposal(&all[..8], 0), Refusal::Elsewhere { old: 0, seen }),
        (proposal(&changed, 9), Refusal::Changed { seen }),
        (proposal(&changed[..9], 9), Refusal::Changed { seen }),
        (proposal(&changed[..9], 0), Refusal::Elsewhere { old: 0, seen }),
        (begun, Refusal::Changed { seen }),
    ] {
        assert_eq!(proposal.admit(at, &log), Err(refusal));
    }
    assert_eq!(proposal(&all, 9).admit(at, &other.verifier()), Err(Refusal::Note(NoteError::Unsigned)));
    let nothing = Seen { root: merkle::root(&[]), size: 0 };
    assert_eq!(proposal(&all, 9).admit(None, &log), Err(Refusal::Elsewhere { old: 9, seen: nothing }));
    // Of the empty tree there is one root.
    let lies = Checkpoint { root: all[0], ..checkpoint(&[]) }.signed(&self::log());
    let empty = |note: String| Proposal { old: 0, proof: Vec::new(), note }.admit(None, &log).is_ok();
    assert!(empty(checkpoint(&[]).signed(&self::log())) && !empty(lies));
    let more = Proposal { proof: vec![all[0]], ..proposal(&all, 0) };
    assert_eq!(more.admit(None, &log), Err(Refusal::Malformed));
}

#[test]
fn a_cosignature_is_over_this_checkpoint_by_this_witness() {
    let cosigner = Cosigner::new("laptop.example/anna", &[3; 32]).expect("a name");
    let witness = cosigner.witness();
    let checkpoint = checkpoint(&leaves(5, 0));
    let line = cosigner.cosign(&checkpoint, 1_679_315_147);
    let note = checkpoint.signed(&log()) + &line;
    assert_eq!(witness.cosigned(&note), Ok(1_679_315_147));
    assert_eq!(Checkpoint::open(&note, &log().verifier()), Ok(checkpoint.clone()), "the log's own still holds");
    assert_eq!(witness.cosigned(&checkpoint.signed(&log())), Err(NoteError::Uncosigned));
    let other = Checkpoint { size: 4, ..checkpoint.clone() }.signed(&log()) + &line;
    assert_eq!(witness.cosigned(&other), Err(NoteError::Forged));
    for at in 0..line.len() - 1 {
        let mut bytes = line.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        assert!(witness.cosigned(&(checkpoint.signed(&log()) + &changed)).is_err(), "byte {at}");
    }
    // The same name and another key, and the log's key under another algorithm.
    let double = Cosigner::new("laptop.example/anna", &[4; 32]).expect("a name").witness();
    assert_eq!(double.cosigned(&note), Err(NoteError::Uncosigned));
    for text in [cosigner.secret(), format!("{}\n", cosigner.secret())] {
        assert_eq!(Cosigner::parse(&text).expect("a key").witness(), witness);
    }
    assert_eq!(Witness::parse(&witness.to_string()), Ok(witness.clone()));
    assert!(Witness::parse(&log().verifier().to_string()).is_err() && Verifier::parse(&witness.to_string()).is_err());
    assert!(Cosigner::new("two words", &[0; 32]).is_err() && Cosigner::new("", &[0; 32]).is_err());
}

#[test]
fn a_proposal_has_the_form_of_tlog_witness() {
    let all = leaves(23, 0);
    let text = proposal(&all, 9).text();
    assert!(text.starts_with("old 9\n") && text.contains("\n\nbackstop/"), "{text}");
    assert_eq!(Proposal::parse(&text), Ok(proposal(&all, 9)));
    for bad in [
        text.replace("old 9", "old 09"),
        text.replace("old 9", "old +9"),
        text.replace("old 9", "new 9"),
        text.replace("\n\n", "\n"),
        text.replace("old 9\n", "old 9\nnonsense\n"),
        text.replace("old 9\n", &format!("old 9\n{}", format!("{}\n", STANDARD.encode([0; 32])).repeat(64))),
        "x".repeat(LONGEST + 1),
    ] {
        assert_eq!(Proposal::parse(&bad), Err(Refusal::Malformed), "{bad}");
    }
    assert_eq!(proposal(&all, 9).origin(), Ok(log().verifier().name().to_owned()));
}

proptest! {
    /// Whatever proof comes along, a witness cosigns only what has all it has seen at its beginning.
    #[test]
    fn no_other_proof_will_do(first in 1..20usize, more in 0..20usize, lines in proptest::collection::vec(0..40usize, 0..7)) {
        let all = leaves(first + more, 0);
        let mut other = all.clone();
        other[0] = merkle::leaf(b"another");
        let proof: Vec<Digest> = lines.into_iter().map(|at| all[at % all.len()]).collect();
        let made_up = Proposal { proof, ..proposal(&other, first) };
        prop_assert!(made_up.admit(Some(seen(&all[..first])), &log().verifier()).is_err());
    }

    /// Whatever becomes of a log, a witness cosigns only what has all it has seen at its beginning.
    #[test]
    fn no_history_is_rewritten(first in 0..40usize, more in 0..40usize, cut in 0..40usize, change in 0..40usize) {
        let all = leaves(first + more, 0);
        let at = (first > 0).then(|| seen(&all[..first]));
        let mut other = all.clone();
        other.truncate(other.len().saturating_sub(cut));
        if change < other.len() {
            other[change] = merkle::leaf(b"another");
        }
        let keeps = other.len() >= first && other[..first] == all[..first];
        for old in [first.min(other.len()), 0] {
            let admitted = proposal(&other, old).admit(at, &log().verifier()).is_ok();
            prop_assert_eq!(admitted, keeps && old == first, "{} {} {} {}", first, more, cut, change);
        }
    }

    #[test]
    fn anything_is_read_or_refused(text in "[ -~\n]{0,200}") {
        if let Ok(proposal) = Proposal::parse(&text) {
            prop_assert_eq!(proposal.text(), text);
        }
    }
}
