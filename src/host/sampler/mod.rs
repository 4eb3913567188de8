//! Readings of the host and of processes, and the thread that records the host's.

mod csv;
pub mod host;
pub mod process;
pub mod smaps;
mod thread;

pub use csv::Columns;
pub use host::HostReading;
pub use process::ProcessMemory;
pub use smaps::MonitorMemory;
pub use thread::{Quiet, Sampler, SamplerConfig, SamplerError, Sharing};
