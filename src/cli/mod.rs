//! The command line of the bench targets: options in, a resolved configuration out, exit codes.

mod baseline;
mod bench;
mod options;
mod profile;
mod resolve;
mod thesis;

pub use bench::{Exit, bench, check_writable, fresh_seed, terminal};
pub use options::Options;
pub use resolve::{BadInput, resolve};
pub use thesis::ThesisCode;
