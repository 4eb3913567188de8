//! A small synchronous client of the Docker Engine's API.
//!
//! Invariant: no call blocks forever. Every request has its own deadline, and a ping distinguishes a silent stream from
//! a hanging engine. Async code, and the crates that need it, stay in this folder.

mod address;
mod attach;
mod container;
mod engine;
mod error;
mod events;
mod health;
mod image;
mod network;
mod patience;
mod pending;
mod reap;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use attach::Attachment;
pub use container::{Container, ContainerState, Network};
pub use engine::{Engine, Facts, Runtime};
pub use error::Error;
pub use events::{ContainerEvent, Subscription};
pub use network::Bridge;
pub use patience::Patience;
pub use pending::Pending;
pub use reap::reap;
