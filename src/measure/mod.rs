//! Measuring: from a configuration to stored trials.

pub mod experiment;
pub mod plan;
pub mod session;
pub mod trial;
pub mod workload;
