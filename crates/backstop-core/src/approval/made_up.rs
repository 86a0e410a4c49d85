//! Keys, signatures and people for tests: made up, and the same for the same number.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256, Sha512};

use super::ballot::Right;
use super::key::Key;
use super::people::{Change, ENROLMENT, Footing, NewKey, People, PeopleError, SETTLING};
use crate::time::Timestamp;

/// Now.
pub const NOON: Timestamp = Timestamp::new(1_800_000_000, 0);

const PLAIN: &[u8] = b"ssh-ed25519";
const TOKEN: &[u8] = b"sk-ssh-ed25519@openssh.com";

/// A string as SSH writes it: its length in four bytes, then its bytes.
pub fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat()
}

fn pair(n: u8) -> SigningKey {
    SigningKey::from_bytes(&[n; 32])
}

fn plain_body(n: u8) -> Vec<u8> {
    [string(PLAIN), string(pair(n).verifying_key().as_bytes())].concat()
}

fn token_body(n: u8) -> Vec<u8> {
    [string(TOKEN), string(pair(n).verifying_key().as_bytes()), string(b"ssh:")].concat()
}

/// The public key of a number.
pub fn key(n: u8) -> String {
    format!("ssh-ed25519 {}", STANDARD.encode(plain_body(n)))
}

/// The public key of a security key that is only software, so that its flags can be chosen.
pub fn token(n: u8) -> String {
    format!("sk-ssh-ed25519@openssh.com {}", STANDARD.encode(token_body(n)))
}

/// What is signed (`PROTOCOL.sshsig`), and what stands before the signature in the envelope.
fn hashed(namespace: &str, text: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let purpose = [string(namespace.as_bytes()), string(b""), string(b"sha512")].concat();
    ([b"SSHSIG".to_vec(), purpose.clone(), string(&Sha512::digest(text))].concat(), purpose)
}

fn armoured(body: &[u8], purpose: &[u8], signature: &[u8]) -> String {
    let head = [&b"SSHSIG"[..], &1u32.to_be_bytes(), &string(body)].concat();
    let whole = STANDARD.encode([&head, purpose, &string(signature)].concat());
    let lines: Vec<&str> = whole.as_bytes().chunks(70).map(|l| std::str::from_utf8(l).expect("ASCII")).collect();
    format!("-----BEGIN SSH SIGNATURE-----\n{}\n-----END SSH SIGNATURE-----\n", lines.join("\n"))
}

/// A signature as `ssh-keygen -Y sign` makes it.
pub fn sign(n: u8, namespace: &str, text: &[u8]) -> String {
    let (signed, purpose) = hashed(namespace, text);
    let signature = [string(PLAIN), string(&pair(n).sign(&signed).to_bytes())].concat();
    armoured(&plain_body(n), &purpose, &signature)
}

/// The same by a security key, with these flags (`PROTOCOL.u2f`).
pub fn sign_by_token(n: u8, namespace: &str, text: &[u8], flags: u8) -> String {
    let (signed, purpose) = hashed(namespace, text);
    let tail = [&[flags][..], &9u32.to_be_bytes()].concat();
    let data = [&Sha256::digest(b"ssh:")[..], &tail, &Sha256::digest(&signed)].concat();
    let signature = [string(TOKEN), string(&pair(n).sign(&data).to_bytes()), tail].concat();
    armoured(&token_body(n), &purpose, &signature)
}

/// The key of a number, by which its owner agreed to be enrolled on `db-1`.
pub fn new_key(id: &str, n: u8) -> NewKey {
    let nobody = People::new("db-1").expect("a name");
    let text = nobody.enrolment(id, &Key::parse(&key(n)).expect("a key"));
    NewKey { key: key(n), proof: sign(n, ENROLMENT, text.as_bytes()) }
}

/// The same with a security key, as far as that is one.
pub fn new_token(id: &str, n: u8) -> NewKey {
    let nobody = People::new("db-1").expect("a name");
    let text = nobody.enrolment(id, &Key::parse(&token(n)).expect("a key"));
    NewKey { key: token(n), proof: sign_by_token(n, ENROLMENT, text.as_bytes(), 1) }
}

/// Somebody new, with the key and for the account of a number.
pub fn enrol(id: &str, n: u8, groups: &[&str], uid: u32) -> Change {
    Change::Enrol {
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
        id: id.to_owned(),
        keys: vec![new_key(id, n)],
        uids: [uid].into(),
    }
}

/// The store after a change that a quorum agreed to.
pub fn approved(people: &People, change: &Change, now: Timestamp) -> Result<People, PeopleError> {
    people.with(change, Footing::Approved(&Right::made_up(&people.host, people.matter(change, 0, now))), now)
}

/// `anna`, `ben` and `carl`, for a week, with the keys 1, 2 and 3 and the accounts 1001 to 1003; anna and carl
/// are in the group `dba`.
pub fn three() -> People {
    let week_ago = Timestamp::new(NOON.secs - 7 * SETTLING, 0);
    let founders = [enrol("anna", 1, &["dba"], 1001), enrol("ben", 2, &[], 1002)];
    let none = People::new("db-1").expect("a name");
    let two = founders.iter().fold(none, |p, c| p.with(c, Footing::Founding, week_ago).expect("a founder"));
    approved(&two, &enrol("carl", 3, &["dba"], 1003), week_ago).expect("a change")
}
