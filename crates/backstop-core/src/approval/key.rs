//! Keys that people sign with, and their signatures: OpenSSH public keys and SSHSIG envelopes, as
//! `ssh-keygen -Y sign` makes them. Ed25519 and ECDSA over P-256, in software or on a security key; a
//! security key has to have been touched.
//!
//! Formats: OpenSSH `PROTOCOL.sshsig`, `PROTOCOL.u2f`.

use ed25519_dalek::VerifyingKey;
use ssh_key::public::KeyData;
use ssh_key::{Algorithm, EcdsaCurve, HashAlg, PublicKey, SshSig};

/// The bit in a security key's flags that says somebody touched it (`PROTOCOL.u2f`, WebAuthn: user present).
const TOUCHED: u8 = 0x01;
/// A security key's signature ends with its flags and a counter of four bytes.
const FLAGS_FROM_END: usize = 5;
/// What a security key's keys for SSH are made for.
const SSH: &str = "ssh:";
/// A longer text is no key and no signature.
const LONGEST: usize = 16 * 1024;

/// A public key of a kind that may sign approvals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    key: PublicKey,
    /// In its one spelling, without a comment.
    line: String,
}

/// Why a text is no such key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a line as in `id_ed25519.pub`.
    #[error("it is no OpenSSH public key (a line as in id_ed25519.pub)")]
    Unreadable,
    /// A line of `authorized_keys` with options.
    #[error("it begins with options, which an approver's key can't have")]
    Options,
    /// A private key.
    #[error("it is a private key: give the public one (the file ending in .pub), and keep this one to yourself")]
    Private,
    /// No point of its curve, or one for which signatures can be made up.
    #[error("it is no sound key: nobody could sign with it, or everybody could")]
    Unsound,
    /// A kind that is not taken.
    #[error("keys of the kind {0} are not taken: ssh-ed25519, ecdsa-sha2-nistp256, or one of them on a security key")]
    Kind(String),
}

/// Why a signature doesn't hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Not an SSHSIG envelope.
    #[error("it is no SSH signature (\"-----BEGIN SSH SIGNATURE-----\" …)")]
    Unreadable,
    /// Signed for another purpose.
    #[error("it was signed for {theirs}, not for {ours}")]
    Namespace {
        /// The namespace that is asked for here.
        ours: &'static str,
        /// The signature's.
        theirs: String,
    },
    /// Signed by another key than the statement names.
    #[error("it was signed by the key {0}, which is not the one that the statement names")]
    OtherKey(String),
    /// The bytes were changed, or the signature.
    #[error("the signature does not fit this statement")]
    Forged,
    /// A security key that nobody touched.
    #[error("nobody touched the security key")]
    Untouched,
}

impl Key {
    /// Reads a line as in `id_ed25519.pub`; a comment behind the key is left out.
    ///
    /// # Errors
    /// Where it is none, or of a kind that is not taken.
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        let line = line.trim();
        if line.starts_with("-----BEGIN") {
            return Err(if line.contains("PRIVATE KEY") { KeyError::Private } else { KeyError::Unreadable });
        }
        let one_line = line.len() <= LONGEST && !line.chars().any(char::is_control);
        let mut words = line.split(' ').filter(|w| !w.is_empty());
        let (Some(kind), Some(body), true) = (words.next(), words.next(), one_line) else {
            return Err(KeyError::Unreadable);
        };
        // Without the comment, whose characters are anybody's choice.
        let Ok(key) = PublicKey::from_openssh(&format!("{kind} {body}")) else {
            let known = line
                .split(' ')
                .skip(1)
                .any(|w| w.starts_with("ssh-") || w.starts_with("ecdsa-") || w.starts_with("sk-"));
            return Err(if known { KeyError::Options } else { KeyError::Unreadable });
        };
        match key.algorithm() {
            Algorithm::Ed25519
            | Algorithm::SkEd25519
            | Algorithm::SkEcdsaSha2NistP256
            | Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 } => {
                if !is_sound(key.key_data()) {
                    return Err(KeyError::Unsound);
                }
                let line = key.to_openssh().map_err(|_| KeyError::Unreadable)?.trim().to_owned();
                Ok(Self { key, line })
            }
            other => Err(KeyError::Kind(other.to_string())),
        }
    }

    /// The line without a comment: one spelling a key.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// What OpenSSH calls its kind: `ssh-ed25519`.
    pub fn kind(&self) -> String {
        self.key.algorithm().to_string()
    }

    /// True where it says that it is a security key's. Nothing proves it: software can make such a key as well.
    pub fn claims_hardware(&self) -> bool {
        matches!(self.key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
    }

    /// The point that it is: the same for the same secret, also where the kind of key is another.
    pub fn point(&self) -> Vec<u8> {
        match self.key.key_data() {
            KeyData::Ed25519(key) => key.0.to_vec(),
            KeyData::SkEd25519(key) => key.public_key().0.to_vec(),
            KeyData::Ecdsa(key) => key.as_sec1_bytes().to_vec(),
            KeyData::SkEcdsaSha2NistP256(key) => key.ec_point().as_bytes().to_vec(),
            _ => Vec::new(),
        }
    }

    /// Checks an armoured signature over `text`, made for the purpose that `namespace` names.
    ///
    /// # Errors
    /// Why it doesn't hold.
    pub fn verify(&self, namespace: &'static str, text: &[u8], armoured: &str) -> Result<(), SignatureError> {
        if armoured.len() > LONGEST {
            return Err(SignatureError::Unreadable);
        }
        let signature = SshSig::from_pem(armoured.trim()).map_err(|_| SignatureError::Unreadable)?;
        if signature.namespace() != namespace {
            let theirs = signature.namespace().escape_debug().collect();
            return Err(SignatureError::Namespace { ours: namespace, theirs });
        }
        if signature.public_key() != self.key.key_data() {
            let other = signature.public_key().fingerprint(HashAlg::Sha256);
            return Err(SignatureError::OtherKey(other.to_string()));
        }
        self.key.verify(namespace, text, &signature).map_err(|_| SignatureError::Forged)?;
        if self.claims_hardware() {
            let bytes = signature.signature_bytes();
            let flags = bytes.len().checked_sub(FLAGS_FROM_END).and_then(|at| bytes.get(at)).copied();
            if flags.unwrap_or_default() & TOUCHED == 0 {
                return Err(SignatureError::Untouched);
            }
        }
        Ok(())
    }
}

/// One point, one spelling, one use: else one key could be enrolled as two. Ed25519 points have to be on the
/// curve and of the large order; those of P-256 written out whole; security keys made for SSH.
fn is_sound(key: &KeyData) -> bool {
    let strong = |point: &[u8; 32]| VerifyingKey::from_bytes(point).is_ok_and(|key| !key.is_weak());
    let whole = |point: &[u8]| point.len() == 65 && point[0] == 4;
    match key {
        KeyData::Ed25519(key) => strong(&key.0),
        KeyData::SkEd25519(key) => strong(&key.public_key().0) && key.application() == SSH,
        KeyData::Ecdsa(key) => whole(key.as_sec1_bytes()),
        KeyData::SkEcdsaSha2NistP256(key) => whole(key.ec_point().as_bytes()) && key.application() == SSH,
        // Refused by its kind.
        _ => true,
    }
}

#[cfg(test)]
mod tests;
