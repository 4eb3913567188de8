//! Workloads that are driven from outside: servers, and the real load generators that drive them.
//!
//! Invariant: parsing is pure and takes the tools' own text; whatever a tool prints that is not understood, or cut short,
//! is an error with that text, never a number.

mod figures;
mod job;
mod place;
pub mod redis_benchmark;
#[cfg(test)]
mod tests;
mod tools;
pub mod wrk;

use std::fmt::Debug;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cpuset::CpuSet;
use crate::guest::Program;
use crate::platform::{Endpoint, Error, Unavailable};
use crate::store::Metric;

pub use tools::Tools;

/// How hard servers are driven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// How long `wrk` drives Nginx, in seconds.
    pub seconds: u32,
    /// The connections that `wrk` keeps open.
    pub connections: u32,
    /// The threads of `wrk`.
    pub threads: u32,
    /// The requests of each kind that `redis-benchmark` makes.
    pub requests: u64,
    /// The clients of `redis-benchmark`.
    pub clients: u32,
    /// The requests that each of those clients sends at once.
    pub pipeline: u32,
}

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
