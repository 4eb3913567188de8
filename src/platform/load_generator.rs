//! The interface of load generators.

use std::fmt::Debug;
use std::time::Duration;

use crate::model::cpuset::CpuSet;
use crate::model::load::Load;
use crate::model::platform::Unavailable;
use crate::model::program::Program;
use crate::model::record::Metric;
use crate::platform::{Endpoint, Error};

/// One run of a load generator.
#[derive(Debug, Clone, Copy)]
pub struct Drive<'a> {
    /// The server.
    pub program: Program,
    /// The server's address.
    pub endpoint: &'a Endpoint,
    /// The load.
    pub load: &'a Load,
    /// The CPUs of the load generator; `None` leaves that to the host's scheduler.
    pub cpus: Option<&'a CpuSet>,
    /// After this time the load generator is killed and the trial fails.
    pub deadline: Duration,
}

/// What a load generator measured.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Driven {
    /// The server's metrics, and the generator's own: its CPU time and its errors.
    pub metrics: Vec<Metric>,
    /// Signs that the generator and not the server was the bottleneck.
    pub flags: Vec<String>,
}

/// Drives servers.
pub trait LoadGenerator: Send + Sync + Debug {
    /// The version of the tool that drives `program`.
    ///
    /// # Errors
    /// Fails if the tool is missing.
    fn check(&self, program: Program) -> Result<String, Unavailable>;

    /// Drives a server that is ready, from start to end.
    ///
    /// # Errors
    /// The trial fails if the tool fails, hangs, reports errors or prints something unexpected.
    fn drive(&self, drive: &Drive<'_>) -> Result<Driven, Error>;
}
