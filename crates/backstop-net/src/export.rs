//! Copies the audit log elsewhere: to each sink in its own form and order, at least once, with the digest of each entry's
//! leaf as the name by which a sink can tell what it has. Reads the log by the doors, and decides nothing.

pub mod config;
pub mod cursor;
pub mod form;
pub mod pump;
pub mod record;
pub mod serve;
pub mod sink;
pub mod status;
