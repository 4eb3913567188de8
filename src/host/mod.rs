//! The host: its topology, facts, limits and noise.
//!
//! Readers take the root of the tree they read, so that tests use a fake one.

pub mod facts;
#[cfg(test)]
pub(crate) mod fixture;
pub mod limits;
pub mod noise;
pub mod tools;
pub mod topology;
pub(crate) mod tree;

pub use facts::{HostFacts, differences};
pub use topology::{Cache, CacheKind, Core, CoreKind, NumaNode, Socket, Topology};
pub use tree::HostError;
