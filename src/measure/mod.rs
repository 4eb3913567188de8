//! Measuring: from a configuration to stored trials.
//!
//! [`session`] runs a plan. A comparison of two arms assembles the same `rig` for each arm.

pub(crate) mod environment;
mod error;
pub mod experiment;
mod observer;
pub mod plan;
pub(crate) mod rig;
pub mod session;
pub mod trial;
pub mod workload;

pub use error::RunError;
pub use observer::{BlockProgress, DecidedVerdict, Event, Observer, Standing};
