//! How hard servers are driven.

use serde::{Deserialize, Serialize};

/// How hard servers are driven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
