//! Backstop's only door to the Linux kernel: files by directory handle, namespaces, mounts, overlays,
//! rights and filters. Takes and gives plain values and handles; knows nothing of runs or policy.

pub mod dir;
pub mod fs;
pub mod mount;
pub mod mountinfo;
