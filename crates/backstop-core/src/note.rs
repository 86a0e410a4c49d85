//! Signed notes and tree checkpoints as text (C2SP signed-note and tlog-checkpoint, Ed25519): writes,
//! reads and checks them. Knows no files; never accepts a spelling it would not write itself.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::digest::Digest;

/// The algorithm byte of Ed25519 in key hashes and encoded keys.
const ED25519: u8 = 1;

/// That of a witness's Ed25519 (C2SP tlog-cosignature).
pub(crate) const COSIGNATURE: u8 = 4;

/// Begins each signature line: an em dash and a space.
pub(crate) const DASH: &str = "\u{2014} ";

/// Why a note or a key was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// The text doesn't have the shape of a signed note.
    #[error("not a signed note")]
    Shape,
    /// The note's text doesn't have the shape of a checkpoint.
    #[error("not a checkpoint")]
    Checkpoint,
    /// No signature of the key that was asked for.
    #[error("not signed by this log's key")]
    Unsigned,
    /// A signature under the key's name and hash that doesn't hold.
    #[error("the signature does not hold")]
    Forged,
    /// No signature of the witness that was asked for.
    #[error("not cosigned by this witness")]
    Uncosigned,
    /// The text is no key in the format of signed notes.
    #[error("not a key in the format of signed notes")]
    Key,
}

/// Who may be asked for a signature: a name and a public key (a *vkey*).
#[derive(Clone, PartialEq, Eq)]
pub struct Verifier {
    name: String,
    key: VerifyingKey,
}

/// Who signs: a name and a secret key.
pub struct Signer {
    name: String,
    key: SigningKey,
}

/// The first four bytes of SHA-256(name ‖ newline ‖ algorithm ‖ public key).
pub(crate) fn key_hash(name: &str, algorithm: u8, public: &[u8; 32]) -> [u8; 4] {
    let h = Sha256::new().chain_update(name).chain_update([b'\n', algorithm]).chain_update(public).finalize();
    [h[0], h[1], h[2], h[3]]
}

/// A key's name: not empty, no space, no plus, nothing that could break a line.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c.is_control() || c == '+')
}

pub(crate) fn hex(hash: [u8; 4]) -> String {
    hash.iter().map(|b| format!("{b:02x}")).collect()
}

/// Splits `name+hash+base64(algorithm ‖ 32 bytes)`.
pub(crate) fn parse_key(text: &str, kind: u8) -> Option<(&str, &str, [u8; 32])> {
    // The base64 alphabet has a plus as well: only the first two are separators.
    let mut parts = text.splitn(3, '+');
    let (name, hash, key) = (parts.next()?, parts.next()?, STANDARD.decode(parts.next()?).ok()?);
    let (&algorithm, key) = key.split_first()?;
    (is_name(name) && algorithm == kind).then_some(())?;
    Some((name, hash, key.try_into().ok()?))
}

pub(crate) fn encoded(key: &[u8; 32], kind: u8) -> String {
    let mut bytes = [kind; 33];
    bytes[1..].copy_from_slice(key);
    STANDARD.encode(bytes)
}

impl Verifier {
    /// Reads `name+hash+base64`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, hash, public) = parse_key(text, ED25519).ok_or(NoteError::Key)?;
        if hash != hex(key_hash(name, ED25519, &public)) {
            return Err(NoteError::Key);
        }
        let key = VerifyingKey::from_bytes(&public).map_err(|_| NoteError::Key)?;
        Ok(Self { name: name.to_owned(), key })
    }

    /// The key's name; for a log its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// True when the name is the one that `Signer::of_host` gives this key: nobody else's key can
    /// carry the same origin.
    pub fn names_itself(&self) -> bool {
        self.name == host_name(self.key.as_bytes())
    }

    /// The text of a note that this key signed; further signatures (of witnesses) are left alone.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let hash = key_hash(&self.name, ED25519, self.key.as_bytes());
        let mut found = Err(NoteError::Unsigned);
        let (text, signatures) = parts(note)?;
        for (name, code) in signatures {
            if name == self.name && code[..4] == hash {
                let signature = Signature::from_slice(&code[4..]).map_err(|_| NoteError::Forged)?;
                self.key.verify_strict(text.as_bytes(), &signature).map_err(|_| NoteError::Forged)?;
                found = Ok(text);
            }
        }
        found
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let public = self.key.as_bytes();
        write!(f, "{}+{}+{}", self.name, hex(key_hash(&self.name, ED25519, public)), encoded(public, ED25519))
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who signs, and what: a name, and the key's hash before the signature.
type Signed<'n> = (&'n str, Vec<u8>);

/// A note's text, and its signatures, of which none is believed yet.
pub(crate) fn parts(note: &str) -> Result<(&str, Vec<Signed<'_>>), NoteError> {
    // The text ends with the last empty line; the signatures follow.
    let at = note.rfind("\n\n").ok_or(NoteError::Shape)?;
    let (text, lines) = (&note[..=at], &note[at + 2..]);
    if text.contains(|c| c < ' ' && c != '\n') {
        return Err(NoteError::Shape);
    }
    Ok((text, signatures(lines)?))
}

/// Signature lines, at least one.
pub(crate) fn signatures(lines: &str) -> Result<Vec<Signed<'_>>, NoteError> {
    if lines.is_empty() || !lines.ends_with('\n') {
        return Err(NoteError::Shape);
    }
    lines.lines().map(|line| signature(line).ok_or(NoteError::Shape)).collect()
}

fn signature(line: &str) -> Option<Signed<'_>> {
    let (name, code) = line.strip_prefix(DASH)?.split_once(' ')?;
    let code = STANDARD.decode(code).ok()?;
    (is_name(name) && code.len() >= 5).then_some((name, code))
}

/// `backstop/` and half of the public key's SHA-256 in hex.
fn host_name(public: &[u8; 32]) -> String {
    format!("backstop/{}", &Digest::of_content(public).hex()[..32])
}

impl Signer {
    /// A key for commitments to what is left out of what is signed; it tells nothing of the signing key.
    pub fn commitment_key(&self) -> [u8; 32] {
        Digest::of("backstop/commitment-key/1", &[self.key.as_bytes()]).0
    }

    /// The signer of a host's log from 32 random bytes. The host's name is made of the key, so two
    /// logs never share an origin.
    pub fn of_host(seed: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(seed);
        Self { name: host_name(key.verifying_key().as_bytes()), key }
    }

    /// Reads `PRIVATE+KEY+name+hash+base64`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let rest = text.strip_prefix("PRIVATE+KEY+").ok_or(NoteError::Key)?;
        let (name, hash, seed) = parse_key(rest, ED25519).ok_or(NoteError::Key)?;
        let key = SigningKey::from_bytes(&seed);
        if hash != hex(key_hash(name, ED25519, key.verifying_key().as_bytes())) {
            return Err(NoteError::Key);
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// The secret as text, for a file that only its owner can read.
    pub fn secret(&self) -> String {
        let hash = key_hash(&self.name, ED25519, self.key.verifying_key().as_bytes());
        format!("PRIVATE+KEY+{}+{}+{}", self.name, hex(hash), encoded(self.key.as_bytes(), ED25519))
    }

    /// The public half.
    pub fn verifier(&self) -> Verifier {
        Verifier { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The signed note over `text`, which ends with a newline and has no control characters.
    pub fn sign(&self, text: &str) -> String {
        let mut code = key_hash(&self.name, ED25519, self.key.verifying_key().as_bytes()).to_vec();
        code.extend_from_slice(&self.key.sign(text.as_bytes()).to_bytes());
        format!("{text}\n{DASH}{} {}\n", self.name, STANDARD.encode(code))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.name)
    }
}

/// What a log says of itself at one moment: so many entries, with this root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: its key's name.
    pub origin: String,
    /// The root of the tree over the first `size` entries.
    pub root: Digest,
    /// How many entries.
    pub size: u64,
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// Reads what `text` writes; extension lines, which we never write, are refused.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or(NoteError::Checkpoint);
        let (origin, size, root) = (line()?, line()?, line()?);
        let size = size.parse().map_err(|_| NoteError::Checkpoint)?;
        let root = STANDARD.decode(root).ok().and_then(|r| r.try_into().ok()).ok_or(NoteError::Checkpoint)?;
        let read = Self { origin: origin.to_owned(), root: Digest(root), size };
        // One spelling: no leading zero, no plus, nothing after.
        if read.text() == text && is_name(origin) { Ok(read) } else { Err(NoteError::Checkpoint) }
    }

    /// Reads the checkpoint in a signed note without asking who signed it: for one that a person
    /// kept elsewhere and trusts.
    pub fn of_note(note: &str) -> Result<Self, NoteError> {
        Self::parse(&note[..=note.find("\n\n").ok_or(NoteError::Shape)?])
    }

    /// The checkpoint as a note signed by `signer`.
    pub fn signed(&self, signer: &Signer) -> String {
        signer.sign(&self.text())
    }

    /// Reads a note, checks that `verifier` signed it and that it speaks of the verifier's own log.
    pub fn open(note: &str, verifier: &Verifier) -> Result<Self, NoteError> {
        let read = Self::parse(verifier.open(note)?)?;
        if read.origin == verifier.name { Ok(read) } else { Err(NoteError::Checkpoint) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The published example of golang.org/x/mod/sumdb/note: another implementation made it.
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SKEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const CODE: &str = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=";

    #[test]
    fn the_published_example_is_read_and_written() {
        let note = format!("{TEXT}\n{DASH}PeterNeumann {CODE}\n");
        let verifier = Verifier::parse(VKEY).expect("the published key");
        assert_eq!(verifier.open(&note), Ok(TEXT));
        assert_eq!(verifier.to_string(), VKEY);
        let signer = Signer::parse(SKEY).expect("the published key");
        assert_eq!(signer.sign(TEXT), note);
        assert_eq!(signer.secret(), SKEY);
        assert_eq!(signer.verifier(), verifier);
    }

    fn checkpoint() -> (Signer, Checkpoint) {
        let signer = Signer::of_host(&[7; 32]);
        let origin = signer.verifier().name().to_owned();
        (signer, Checkpoint { origin, root: Digest::of_content(b"x"), size: 42 })
    }

    #[test]
    fn a_checkpoint_survives_its_note_and_no_byte_of_it_can_change() {
        let (signer, checkpoint) = checkpoint();
        let note = checkpoint.signed(&signer);
        let verifier = signer.verifier();
        assert!(verifier.names_itself());
        assert_eq!(Checkpoint::open(&note, &verifier), Ok(checkpoint.clone()));
        assert_eq!(Checkpoint::of_note(&note), Ok(checkpoint));
        for at in 0..note.len() {
            // The lowest bit, and the one that changes a letter's case.
            for bit in [0x01, 0x20] {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(Checkpoint::open(&changed, &verifier).is_err(), "byte {at} bit {bit}");
            }
        }
        for longer in [format!("{note}x"), format!("{note}\n"), format!("\n{note}"), format!("{note}{note}")] {
            assert!(Checkpoint::open(&longer, &verifier).is_err(), "{longer}");
        }
    }

    #[test]
    fn a_witness_may_add_its_signature() {
        let (signer, checkpoint) = checkpoint();
        let witness = Signer::of_host(&[8; 32]);
        let second = witness.sign(&checkpoint.text());
        let line = second.rsplit("\n\n").next().expect("rsplit gives one");
        let note = format!("{}{line}", checkpoint.signed(&signer));
        assert_eq!(Checkpoint::open(&note, &signer.verifier()), Ok(checkpoint));
        assert!(witness.verifier().open(&note).is_ok());
    }

    #[test]
    fn another_key_and_another_origin_are_refused() {
        let (signer, checkpoint) = checkpoint();
        let other = Signer::of_host(&[8; 32]);
        assert_eq!(Checkpoint::open(&checkpoint.signed(&signer), &other.verifier()), Err(NoteError::Unsigned));
        assert_eq!(Checkpoint::open(&checkpoint.signed(&other), &other.verifier()), Err(NoteError::Checkpoint));
    }

    #[test]
    fn a_checkpoint_has_one_spelling() {
        let (_, checkpoint) = checkpoint();
        let text = checkpoint.text();
        assert_eq!(Checkpoint::parse(&text), Ok(checkpoint));
        for bad in [text.replace("42", "042"), text.replace("42", "+42"), format!("{text}extension\n"), text + "\n"] {
            assert_eq!(Checkpoint::parse(&bad), Err(NoteError::Checkpoint), "{bad}");
        }
    }
}
