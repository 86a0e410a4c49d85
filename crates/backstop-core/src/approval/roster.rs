//! Lists of people and their keys as OpenSSH keeps them: takes the text of an `authorized_keys` file (who it is stands in
//! the comment) or of an `allowed_signers` file (`ssh-keygen(1)`: who it is stands first), gives people with their
//! keys, or the line that is wrong. Options are refused: what they restrict nothing here would hold to.

use std::collections::BTreeMap;

use super::is_name;
use super::key::Key;

/// More people at once nobody would read.
pub const MOST: usize = 64;

/// What begins the name of a kind of key.
const KINDS: [&str; 3] = ["ssh-", "ecdsa-", "sk-"];

/// People by id, each with his keys in the order of the list.
pub type Roster = BTreeMap<String, Vec<Key>>;

/// Reads a list.
///
/// # Errors
/// `line N: what is wrong there`; then nothing of it is taken.
pub fn parse(text: &str) -> Result<Roster, String> {
    let mut people = Roster::new();
    for (n, line) in (1..).zip(text.lines().map(str::trim)) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (id, key) = read(line).map_err(|why| format!("line {n}: {why}"))?;
        let keys = people.entry(id).or_default();
        if keys.iter().any(|k| k.fingerprint() == key.fingerprint()) {
            return Err(format!("line {n}: the key {} is there twice", key.fingerprint()));
        }
        keys.push(key);
        if people.len() > MOST {
            return Err(format!("line {n}: more than {MOST} people, whom nobody would look at before agreeing"));
        }
    }
    if people.is_empty() { Err("line 1: there is nobody in it".to_owned()) } else { Ok(people) }
}

fn read(line: &str) -> Result<(String, Key), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_kind = |word: &str| KINDS.iter().any(|kind| word.starts_with(kind));
    let (id, key) = match words[..] {
        [kind, key, id] if is_kind(kind) => (id, [kind, key]),
        [kind, _, ..] if is_kind(kind) => return Err("who it is has to stand behind the key, as one word".to_owned()),
        [id, kind, key, ..] if is_kind(kind) => (id, [kind, key]),
        _ => {
            let forms = "`KIND KEY ID` (authorized_keys) or `ID KIND KEY` (allowed_signers), without options";
            return Err(format!("it is not of the form {forms}"));
        }
    };
    if !is_name(id) {
        return Err(format!("{id:?} is no name: letters, digits and . _ - @, at most 64"));
    }
    let key = Key::parse(&key.join(" ")).map_err(|e| e.to_string())?;
    Ok((id.to_owned(), key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::approval::made_up::{key, token};

    #[test]
    fn both_of_opensshs_lists_are_read() {
        let text = format!("# ours\n{} anna\n\nben {} a comment\r\n{} anna\n", key(1), key(2), token(3));
        let people = parse(&text).expect("read");
        let counts: Vec<(&str, usize)> = people.iter().map(|(id, keys)| (id.as_str(), keys.len())).collect();
        assert_eq!(counts, [("anna", 2), ("ben", 1)]);
        assert_eq!(people["ben"][0].line(), key(2));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, part) in [
            (String::new(), "line 1: there is nobody"),
            (format!("# x\n{}", key(1)), "line 2: who it is"),
            (format!("{} anna from work", key(1)), "as one word"),
            (format!("from=\"10.0.0.1\" {} anna", key(1)), "no name"),
            (format!("anna namespaces=\"file\" {}", key(1)), "not of the form"),
            (format!("anna,ben {}", key(1)), "no name"),
            (format!("{} аnna", key(1)), "no name"),
            ("anna ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC".to_owned(), "line 1: "),
            (format!("{0} anna\n{0} anna", key(1)), "line 2: the key"),
        ] {
            let said = parse(&text).expect_err(&text);
            assert!(said.contains(part), "{text}: {said}");
        }
        let many: String = (0..65).map(|n| format!("p{n} {}\n", key(n))).collect();
        assert!(parse(&many).expect_err("too many").starts_with("line 65: more than"));
    }
}
