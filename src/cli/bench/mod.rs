//! The command line of the bench targets.

mod baseline;
mod options;
mod profile;
mod resolve;
mod target;
mod thesis;

pub use options::Options;
pub use resolve::resolve;
pub use target::{bench, check_writable, random_seed, terminal};
pub use thesis::ThesisCode;
