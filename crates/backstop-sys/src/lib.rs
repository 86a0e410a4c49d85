//! Backstop's only door to the Linux kernel: files by directory handle, namespaces, mounts, overlays,
//! rights and filters. Takes and gives plain values and handles; knows nothing of runs or policy.

pub mod bell;
pub mod caps;
pub mod channel;
pub mod child;
pub mod devices;
pub mod first;
pub mod fs;
pub mod inherit;
pub mod landlock;
pub mod mount;
pub mod mountinfo;
pub mod notify;
pub mod ns;
pub mod proc;
pub mod process;
pub mod rights;
pub mod seccomp;
pub mod socket;
pub mod terminal;
pub mod trace;
pub mod wait;
