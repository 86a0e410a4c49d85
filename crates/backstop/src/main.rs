//! The command line of Backstop.
#![forbid(unsafe_code)]

fn main() {}
