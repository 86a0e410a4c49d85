//! Backstop.
#![forbid(unsafe_code)]
