//! Installs Backstop's hook in the configuration of coding agents, takes it out again, and proves that it
//! answers. What is merged where stands in `table`; merging and taking out are pure functions over bytes.
//! These files are people's: nothing is written that was not read, understood and shown to be kept.

pub mod auditd;
mod bytes;
mod canary;
mod disk;
mod holes;
mod item;
mod json;
mod plan;
mod prove;
mod record;
pub mod system;
mod table;
mod toml;

pub use holes::{Hole, holes};
pub use plan::{Act, Step, Work, act, detected, install, installed, uninstall};
pub use prove::{Proof, prove};
pub use table::{At, Scope, targets};

#[cfg(test)]
mod tests;
