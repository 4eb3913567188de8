//! Processes of instances: starting them, reading their output, and observing their exit.

pub(crate) mod console;
pub(crate) mod exit_notice;
pub(crate) mod family;
pub(crate) mod handle;
pub(crate) mod host_error;
pub(crate) mod orphan;
pub(crate) mod poll;
pub(crate) mod spawn;
pub(crate) mod watch;
pub(crate) mod watched;
