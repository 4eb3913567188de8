//! The host: its topology, facts, limits and noise.
//!
//! Readers take the root of the tree they read, so that tests use a fake one.

pub mod cgroup;
pub mod clock;
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

pub use facts::{HostFacts, differences};
pub use topology::{Cache, CacheKind, Core, CoreKind, NumaNode, Socket, Topology};
pub use tree::HostError;
