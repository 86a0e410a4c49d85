//! The porch's other door. Takes what a coding agent's hook was handed, gives what it is answered, in
//! that agent's own dialect. Pure: the program around it reads, writes and keeps the deadline.
//!
//! A hook's answer is a wish to a program that we don't own: what stops one client is read as consent by
//! another. So each dialect says itself what stops its client, and whatever can't be read ends there.
//! What each client does with each answer was measured (`docs/design/0005-hooks.md`).

mod call;
mod dialect;
mod edit;
mod judge;
mod words;

pub use call::{Agent, Call, Edit, Event, Shell, Tool, Unreadable};
pub use dialect::{Reply, farewell, note, pass, read, reply, rewrites, stop};
pub use edit::{Change, Hunk, Part, What};
pub use judge::{Answer, judge};
pub use words::quote;
