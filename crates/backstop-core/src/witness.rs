//! A witness of a log: somebody elsewhere who remembers how far the log was, and cosigns nothing that does not go on
//! from there. Whoever can write a log's directory can write another log there, key and all; not what a witness has
//! seen. Takes texts, gives texts; keeps nothing.
//!
//! Formats: [C2SP tlog-witness](https://c2sp.org/tlog-witness) and
//! [tlog-cosignature](https://c2sp.org/tlog-cosignature), Ed25519 (`cosignature/v1`).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::merkle;
use crate::note::{
    COSIGNATURE, Checkpoint, DASH, NoteError, Verifier, encoded, hex, is_name, key_hash, parse_key, parts,
};

/// More lines no proof has.
const LONGEST_PROOF: usize = 63;
/// Nobody's proposal is longer, in bytes: proof, checkpoint and a few signatures.
pub const LONGEST: usize = 16 * 1024;

/// A witness's public key, and its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Witness {
    name: String,
    key: VerifyingKey,
}

/// A witness's secret key, and its name.
pub struct Cosigner {
    name: String,
    key: SigningKey,
}

/// What a witness has cosigned last of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// The root over the first `size` entries.
    pub root: Digest,
    /// How many entries.
    pub size: u64,
}

/// What a log asks a witness to cosign: the body of `add-checkpoint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// How many entries the witness has seen.
    pub old: u64,
    /// That the log goes on from there (RFC 6962, 2.1.2).
    pub proof: Vec<Digest>,
    /// The checkpoint, signed by the log.
    pub note: String,
}

/// Why a witness does not cosign.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such text.
    #[error("it is no proposal to a witness (\"old …\", a proof, an empty line, a signed checkpoint)")]
    Malformed,
    /// A log that nobody told the witness to look at.
    #[error("this witness does not look at the log {0:?}")]
    Stranger(String),
    /// Not signed by the log's key, as the witness knows it.
    #[error("the log's checkpoint is not to be trusted: {0}")]
    Note(#[from] NoteError),
    /// It goes on from elsewhere.
    #[error("the proof begins at {old} entries, and the witness has seen {}: prove it from there", seen.size)]
    Elsewhere {
        /// Where it begins.
        old: u64,
        /// What the witness has seen.
        seen: Seen,
    },
    /// Entries are gone.
    #[error("THE LOG IS SHORTER than what was seen: {now} entries, and there were {}", seen.size)]
    Shorter {
        /// How many there are now.
        now: u64,
        /// What the witness has seen.
        seen: Seen,
    },
    /// The entries that were seen are not those.
    #[error("THE LOG WAS CHANGED: what it has now does not go on from the {} entries that were seen", seen.size)]
    Changed {
        /// What the witness has seen.
        seen: Seen,
    },
}

impl Refusal {
    /// True where the log is not what it was: somebody has to be told at once.
    pub const fn alarms(&self) -> bool {
        matches!(self, Self::Shorter { .. } | Self::Changed { .. })
    }
}

impl Proposal {
    /// The text that a log sends.
    pub fn text(&self) -> String {
        let proof: String = self.proof.iter().map(|d| format!("{}\n", STANDARD.encode(d.0))).collect();
        format!("old {}\n{proof}\n{}", self.old, self.note)
    }

    /// Reads it.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let (head, note) = text.split_once("\n\n").filter(|_| text.len() <= LONGEST).ok_or(Refusal::Malformed)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|l| l.strip_prefix("old ")).ok_or(Refusal::Malformed)?;
        let size = old.parse::<u64>().ok().filter(|size| size.to_string() == old).ok_or(Refusal::Malformed)?;
        let proof: Option<Vec<Digest>> =
            lines.map(|l| Some(Digest(STANDARD.decode(l).ok()?.try_into().ok()?))).collect();
        let proof = proof.filter(|proof| proof.len() <= LONGEST_PROOF).ok_or(Refusal::Malformed)?;
        Ok(Self { old: size, proof, note: note.to_owned() })
    }

    /// The checkpoint with the log's own signature and this one: of what others signed a witness knows nothing.
    pub fn cosigned(&self, log: &Verifier, line: &str) -> String {
        let at = self.note.rfind("\n\n").map_or(self.note.len(), |at| at + 2);
        let (checkpoint, signatures) = self.note.split_at(at);
        let its = |line: &&str| log.open(&format!("{checkpoint}{line}\n")).is_ok();
        let own: String = signatures.lines().find(its).map(|line| format!("{line}\n")).unwrap_or_default();
        format!("{checkpoint}{own}{line}")
    }

    /// Which log it says that it is, of which nothing is believed yet.
    ///
    /// # Errors
    /// Where it has no checkpoint.
    pub fn origin(&self) -> Result<String, Refusal> {
        Ok(Checkpoint::of_note(&self.note).map_err(|_| Refusal::Malformed)?.origin)
    }

    /// What a witness that has `seen` so much of the log with the key `log` may cosign.
    ///
    /// # Errors
    /// Why nothing.
    pub fn admit(&self, seen: Option<Seen>, log: &Verifier) -> Result<Checkpoint, Refusal> {
        let checkpoint = Checkpoint::open(&self.note, log)?;
        let new = checkpoint.size;
        let Some(seen) = seen else {
            let empty = Seen { root: merkle::root(&[]), size: 0 };
            return if self.old != 0 {
                Err(Refusal::Elsewhere { old: self.old, seen: empty })
            } else if self.proof.is_empty() && (new > 0 || checkpoint.root == empty.root) {
                Ok(checkpoint)
            } else {
                Err(Refusal::Malformed)
            };
        };
        // Whoever asks from elsewhere may not know how far it was: an old proposal is no shorter log.
        if self.old != seen.size {
            return Err(Refusal::Elsewhere { old: self.old, seen });
        }
        if new < seen.size {
            return Err(Refusal::Shorter { now: new, seen });
        }
        let goes_on = merkle::verify_consistency((seen.size, &seen.root), (new, &checkpoint.root), &self.proof);
        if goes_on { Ok(checkpoint) } else { Err(Refusal::Changed { seen }) }
    }
}

/// The bytes that a witness signs.
fn message(checkpoint: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{checkpoint}")
}

impl Cosigner {
    /// A witness of this name from 32 random bytes.
    ///
    /// # Errors
    /// Where the name is none: empty, with spaces or a plus.
    pub fn new(name: &str, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let key = SigningKey::from_bytes(seed);
        is_name(name).then_some(Self { name: name.to_owned(), key }).ok_or(NoteError::Key)
    }

    /// Reads `PRIVATE+KEY+name+hash+base64`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or(NoteError::Key)?;
        let (name, hash, seed) = parse_key(rest, COSIGNATURE).ok_or(NoteError::Key)?;
        let read = Self::new(name, &seed)?;
        if hash == hex(read.hash()) { Ok(read) } else { Err(NoteError::Key) }
    }

    /// The secret as text, for a file that only its owner can read.
    pub fn secret(&self) -> String {
        format!("PRIVATE+KEY+{}+{}+{}", self.name, hex(self.hash()), encoded(self.key.as_bytes(), COSIGNATURE))
    }

    /// The public half.
    pub fn witness(&self) -> Witness {
        Witness { name: self.name.clone(), key: self.key.verifying_key() }
    }

    fn hash(&self) -> [u8; 4] {
        key_hash(&self.name, COSIGNATURE, self.key.verifying_key().as_bytes())
    }

    /// The line that says that this is the furthest it has seen of the log, at this second of Unix time.
    pub fn cosign(&self, checkpoint: &Checkpoint, at: u64) -> String {
        let signature = self.key.sign(message(&checkpoint.text(), at).as_bytes());
        let code = [&self.hash()[..], &at.to_be_bytes(), &signature.to_bytes()].concat();
        format!("{DASH}{} {}\n", self.name, STANDARD.encode(code))
    }
}

impl fmt::Debug for Cosigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cosigner({})", self.name)
    }
}

impl Witness {
    /// Reads `name+hash+base64`.
    ///
    /// # Errors
    /// Where it is none.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, hash, public) = parse_key(text.trim_end(), COSIGNATURE).ok_or(NoteError::Key)?;
        let key = VerifyingKey::from_bytes(&public).map_err(|_| NoteError::Key)?;
        if hash != hex(key_hash(name, COSIGNATURE, &public)) || key.is_weak() {
            return Err(NoteError::Key);
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// When this witness cosigned a note, in seconds of Unix time; that the log signed it is asked elsewhere.
    ///
    /// # Errors
    /// Where it did not, or a signature of its doesn't hold.
    pub fn cosigned(&self, note: &str) -> Result<u64, NoteError> {
        let (text, signatures) = parts(note)?;
        let hash = key_hash(&self.name, COSIGNATURE, self.key.as_bytes());
        let mut found = Err(NoteError::Uncosigned);
        for (name, code) in signatures {
            let Some(rest) = code.strip_prefix(&hash[..]).filter(|_| name == self.name) else { continue };
            let (at, signature) = rest.split_first_chunk::<8>().ok_or(NoteError::Forged)?;
            let at = Some(u64::from_be_bytes(*at)).filter(|at| i64::try_from(*at).is_ok()).ok_or(NoteError::Forged)?;
            let signature = Signature::from_slice(signature).map_err(|_| NoteError::Forged)?;
            let verified = self.key.verify_strict(message(text, at).as_bytes(), &signature);
            found = verified.map(|()| at).map_err(|_| NoteError::Forged);
            found?;
        }
        found
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = self.key.as_bytes();
        let hash = hex(key_hash(&self.name, COSIGNATURE, public));
        write!(f, "{}+{hash}+{}", self.name, encoded(public, COSIGNATURE))
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
