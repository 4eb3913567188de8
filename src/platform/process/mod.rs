//! Processes of instances: starting them, reading their lines, and learning how they end.

pub(crate) mod console;
pub(crate) mod exit_notice;
pub(crate) mod orphan;
pub(crate) mod poll;
pub(crate) mod spawn;
pub(crate) mod watch;
pub(crate) mod watched;
