//! The host: its topology, facts, limits and noise.
//!
//! Readers take the root of the tree they read, so that tests use a fake one.

#[cfg(test)]
pub(crate) mod fixture;
pub mod topology;
mod tree;

pub use topology::{Cache, CacheKind, Core, CoreKind, NumaNode, Socket, Topology};
pub use tree::HostError;
