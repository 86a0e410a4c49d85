//! Decides. Every type that passes a door of the house, and every rule over them, as pure values:
//! no files, no network, no clock, no randomness, no environment, no threads. Time, user and
//! randomness come in as arguments.
#![forbid(unsafe_code)]

pub mod alert;
pub mod approval;
pub mod audit;
pub mod auditd;
pub mod authority;
pub mod bytes;
pub mod canon;
pub mod classes;
pub mod digest;
pub mod effect;
pub mod export;
pub mod facts;
pub mod freeze;
pub mod hook;
pub mod id;
pub mod identity;
pub mod jail;
pub mod lens;
pub mod machine;
pub mod merkle;
pub mod note;
pub mod notice;
pub mod plan;
pub mod policy;
pub mod program;
pub mod quoted;
pub mod redact;
pub mod request;
pub mod run;
pub mod shell;
pub mod size;
pub mod summary;
pub mod time;
pub mod witness;
