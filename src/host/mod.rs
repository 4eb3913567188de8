//! The host: its topology, facts, limits and noise, and everything that a run makes on it.
//!
//! Functions that read `/proc` and `/sys` take the root of the tree as an argument, so that tests pass a fake one.

pub mod cgroup;
pub mod clock;
mod error;
pub mod facts;
#[cfg(test)]
pub(crate) mod fixture;
pub mod folders;
pub mod interrupt;
pub mod ledger;
pub mod limits;
pub mod network;
pub mod noise;
pub(crate) mod output;
pub mod placement;
pub mod sampler;
pub mod tools;
pub mod topology;
pub(crate) mod tree;

pub use error::HostError;
pub use facts::{HostFacts, differences};
pub use topology::{Cache, CacheKind, Core, CoreKind, NumaNode, Socket, Topology};
