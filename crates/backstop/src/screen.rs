//! Takes values, gives text for people. Every name from outside goes through `Quoted`; nothing here
//! reads the disk, the clock or the environment (but `Style::of`, which asks the terminal).

pub mod approval;
pub mod diff;
pub mod doctor;
pub mod freeze;
pub mod install;
pub mod jail;
pub mod list;
pub mod message;
pub mod page;
pub mod policy;
pub mod records;
pub mod report;
pub mod session;
pub mod style;
pub mod tree;

pub use backstop_core::{size, summary};

#[cfg(test)]
pub mod rehearsal;
#[cfg(test)]
mod tests;
