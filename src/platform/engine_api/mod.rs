//! A small synchronous client of the Docker Engine's API.
//!
//! Invariant: no call blocks for ever. Every request has a deadline of its own, and a stream that falls silent is told
//! apart from an engine that hangs by asking the engine. Async code, and the crates that need it, stay in this folder.

mod address;
mod attach;
mod container;
mod engine;
mod error;
mod events;
mod image;
mod network;
mod patience;
mod pending;
mod reap;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod trust;

pub use address::Address;
pub use attach::Attachment;
pub use container::{Container, Network, Seen};
pub use engine::{Engine, Facts, Runtime};
pub use error::Error;
pub use events::{Happening, Subscription};
pub use network::Bridge;
pub use patience::Patience;
pub use pending::Pending;
pub use reap::reap;
