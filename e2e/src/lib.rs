//! Takes what the end-to-end tests share: captured trees, throw-away roots, cases of the corpus.
//! Never touches anything outside the directories it is given.
#![forbid(unsafe_code)]

pub mod tree;
