//! The plan of a run: pure, seeded, printable. The same configuration on the same host gives the same plan.

mod build;
mod estimate;
mod shuffle;
mod trial;

pub use build::{HostSupport, build};
pub(crate) use shuffle::Shuffler;
pub use trial::{Plan, PlannedTrial};
