//! Takes what the end-to-end tests share: captured trees, throw-away roots, cases of the corpus.
//! Never touches anything outside the directories it is given.
#![forbid(unsafe_code)]

pub mod case;
pub mod claims;
pub mod dice;
pub mod faults;
pub mod generate;
pub mod ground;
pub mod images;
pub mod ops;
pub mod perform;
pub mod tree;
