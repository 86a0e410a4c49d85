//! Backstop's only door to the Linux kernel. Does, decides nothing, and knows no policy.

pub mod fs;
