//! `corpus/shell/seeds/`: texts that a fuzzer found worth keeping, and shapes made to hurt. Replayed
//! here; the shapes also at sizes that no file needs to hold.

use std::fs;

use backstop_core::shell::{LONGEST, Unread, read};

use crate::corpus::folder;
use crate::props::holds;
use crate::shapes::SHAPES;

#[test]
fn every_seed_holds() {
    let mut seen = 0;
    for entry in fs::read_dir(folder("shell/seeds")).unwrap() {
        holds(&fs::read(entry.unwrap().path()).unwrap());
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn every_shape_holds() {
    for shape in SHAPES {
        for length in [1, 64, 4_096, 65_536] {
            let text = shape.repeat(length / shape.len() + 1);
            holds(text.as_bytes());
            holds(format!("echo {text}").as_bytes());
        }
    }
}

#[test]
fn what_is_longer_than_is_read_is_opaque_as_a_whole() {
    let text = vec![b'a'; LONGEST + 1];
    let script = read(&text);
    assert!(script.commands.is_empty());
    assert_eq!(script.opaque.iter().map(|o| o.why).collect::<Vec<_>>(), [Unread::TooLong]);
}

#[test]
fn what_has_more_words_than_are_kept_is_opaque_from_there() {
    let text = "a ".repeat(100_000);
    let script = read(text.as_bytes());
    assert_eq!(script.opaque.iter().map(|o| o.why).collect::<Vec<_>>(), [Unread::TooMany]);
}
