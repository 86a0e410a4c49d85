//! Who lets something through, and how that is known for sure: people and their keys, the text they sign,
//! what counts towards a quorum, and the states a request goes through. Pure: time, randomness and the bytes
//! of stores come in as arguments; nothing here reads a file or asks a clock.

pub mod ballot;
pub mod display;
pub mod key;
pub mod life;
#[cfg(test)]
pub(crate) mod made_up;
pub mod matter;
pub mod people;
pub mod quorum;
pub mod roster;
pub mod statement;

/// True for what may stand as the id of a person, a group or a host: 1 to 64 ASCII letters, digits and
/// `. _ - @`, the first a letter or digit. Such a name can't repaint a screen, break a line of a statement,
/// or look like another by its script.
pub fn is_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-@".contains(&b);
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && text.as_bytes()[0].is_ascii_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_plain() {
        for good in ["a", "anna", "web-1.example", "dba_2", "x@y", &"n".repeat(64)] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "-a", ".a", "@", "a b", "a\n", "аnna", "a/b", "a\u{202e}", &"n".repeat(65)] {
            assert!(!is_name(bad), "{bad:?}");
        }
    }
}
