//! The load on servers.

use serde::{Deserialize, Serialize};

/// How hard the load generators drive servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Seconds for which `wrk` drives Nginx.
    pub seconds: u32,
    /// Connections that `wrk` keeps open.
    pub connections: u32,
    /// Threads of `wrk`.
    pub threads: u32,
    /// Requests of each kind that `redis-benchmark` makes.
    pub requests: u64,
    /// Clients of `redis-benchmark`.
    pub clients: u32,
    /// Requests that each client sends at once.
    pub pipeline: u32,
}
