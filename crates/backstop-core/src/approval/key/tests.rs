use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::made_up::{sign_by_token, string, token};
use super::super::statement::NAMESPACE;
use super::*;

const STATEMENT: &str = include_str!("real/statement.txt");
const ED25519: &str = include_str!("real/ed25519.pub");
const ECDSA: &str = include_str!("real/ecdsa-p256.pub");

#[test]
fn what_ssh_keygen_signed_holds() {
    for (key, signature) in [(ED25519, include_str!("real/ed25519.sig")), (ECDSA, include_str!("real/ecdsa-p256.sig"))]
    {
        let key = Key::parse(key).expect("a key");
        assert_eq!(key.verify(NAMESPACE, STATEMENT.as_bytes(), signature), Ok(()));
        assert!(!key.claims_hardware());
        for at in 0..STATEMENT.len() {
            let mut other = STATEMENT.as_bytes().to_vec();
            other[at] ^= 1;
            assert_eq!(key.verify(NAMESPACE, &other, signature), Err(SignatureError::Forged), "byte {at}");
        }
    }
}

#[test]
fn another_purpose_and_another_key_are_told_apart() {
    let (one, two) = (Key::parse(ED25519).expect("a key"), Key::parse(ECDSA).expect("a key"));
    let for_files = include_str!("real/ed25519-file.sig");
    let other = SignatureError::Namespace { ours: NAMESPACE, theirs: "file".to_owned() };
    assert_eq!(one.verify(NAMESPACE, STATEMENT.as_bytes(), for_files), Err(other));
    let of_one = include_str!("real/ed25519.sig");
    assert_eq!(two.verify(NAMESPACE, STATEMENT.as_bytes(), of_one), Err(SignatureError::OtherKey(one.fingerprint())));
    for text in ["", "yes", &of_one[1..], &of_one.replace("SSH SIGNATURE", "PGP SIGNATURE"), &"x".repeat(1 << 20)] {
        assert_eq!(one.verify(NAMESPACE, STATEMENT.as_bytes(), text), Err(SignatureError::Unreadable));
    }
}

#[test]
fn a_security_key_has_to_be_touched() {
    let key = Key::parse(&token(7)).expect("a key");
    let text = STATEMENT.as_bytes();
    assert!(key.claims_hardware());
    for (flags, answer) in
        [(0x01, Ok(())), (0x05, Ok(())), (0x00, Err(SignatureError::Untouched)), (0x04, Err(SignatureError::Untouched))]
    {
        assert_eq!(key.verify(NAMESPACE, text, &sign_by_token(7, NAMESPACE, text, flags)), answer, "{flags}");
    }
    let other = sign_by_token(7, NAMESPACE, b"another text", 0x01);
    assert_eq!(key.verify(NAMESPACE, text, &other), Err(SignatureError::Forged));
}

/// Made by OpenSSL as a security key's, and verified by OpenSSH before it was put here.
#[test]
fn the_other_kind_of_security_key_has_to_be_touched_too() {
    let key = Key::parse(include_str!("real/sk-ecdsa.pub")).expect("a key");
    let (touched, untouched) = (include_str!("real/sk-ecdsa.sig"), include_str!("real/sk-ecdsa-untouched.sig"));
    assert!(key.claims_hardware());
    assert_eq!(key.verify(NAMESPACE, STATEMENT.as_bytes(), touched), Ok(()));
    assert_eq!(key.verify(NAMESPACE, STATEMENT.as_bytes(), untouched), Err(SignatureError::Untouched));
    assert_eq!(key.verify(NAMESPACE, b"another text", touched), Err(SignatureError::Forged));
}

#[test]
fn a_key_has_one_spelling() {
    let token = token(7);
    for line in [ED25519, ECDSA, &token] {
        let key = Key::parse(line).expect("a key");
        assert_eq!(key.line(), line.trim());
        for other in [format!("  {}  anna@laptop \n", line.trim()), line.trim().replacen(' ', "   ", 1)] {
            assert_eq!(Key::parse(&other), Ok(key.clone()), "{other}");
        }
    }
}

#[test]
fn what_is_no_approvers_key_is_refused_by_its_cause() {
    let options = format!("no-pty,command=\"x\" {ED25519}");
    let two = format!("{ED25519}{ECDSA}");
    let weak = [string(b"ssh-ed25519"), string(&[0; 32])].concat();
    let weak = format!("ssh-ed25519 {}", STANDARD.encode(weak));
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----";
    for (line, cause) in [
        ("", KeyError::Unreadable),
        ("ssh-ed25519", KeyError::Unreadable),
        ("ssh-ed25519 AAAA", KeyError::Unreadable),
        (&two, KeyError::Unreadable),
        (&options, KeyError::Options),
        (&weak, KeyError::Unsound),
        (private, KeyError::Private),
        (include_str!("real/rsa.pub"), KeyError::Kind("ssh-rsa".to_owned())),
        (include_str!("real/ecdsa-p384.pub"), KeyError::Kind("ecdsa-sha2-nistp384".to_owned())),
    ] {
        assert_eq!(Key::parse(line), Err(cause), "{line}");
    }
}
