//! The interface of load generators.

use std::fmt::Debug;
use std::time::Duration;

use crate::model::cpuset::CpuSet;
use crate::model::load::Load;
use crate::model::platform::Unavailable;
use crate::model::program::Program;
use crate::model::record::Metric;
use crate::platform::{Endpoint, Error};

/// One use of a load generator.
#[derive(Debug, Clone, Copy)]
pub struct Drive<'a> {
    /// The server.
    pub program: Program,
    /// Where it answers.
    pub endpoint: &'a Endpoint,
    /// How hard it is driven.
    pub load: &'a Load,
    /// The CPUs of the load generator; `None` leaves it to the host's scheduler.
    pub cpus: Option<&'a CpuSet>,
    /// After this time the load generator is ended, and the trial has failed.
    pub deadline: Duration,
}

/// What a load generator measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Driven {
    /// The server's numbers, and the generator's own: how busy it was, and its errors.
    pub metrics: Vec<Metric>,
    /// Why these numbers may be the generator's limit and not the server's; empty when nothing speaks for that.
    pub flags: Vec<String>,
}

/// Drives servers.
pub trait LoadGenerator: Send + Sync + Debug {
    /// The version of the tool that drives `program`; or why it cannot be driven here, and the cure.
    ///
    /// # Errors
    /// When the tool is missing.
    fn check(&self, program: Program) -> Result<String, Unavailable>;

    /// Drives a server that is ready, from start to end.
    ///
    /// # Errors
    /// A tool that fails, hangs, finds errors or prints what is not understood is a failed trial.
    fn drive(&self, drive: &Drive<'_>) -> Result<Driven, Error>;
}
