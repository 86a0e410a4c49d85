//! End-to-end tests of Backstop on real kernels and file systems.
#![forbid(unsafe_code)]

pub mod ops;
pub mod perform;
