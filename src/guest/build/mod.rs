//! Builds the guest programs from their C sources, with the host's compiler and C library.

mod compiler;
mod digest;
mod ensure;
mod error;
mod sqlite;

pub use ensure::{BuildOptions, Network, Outcome, Rebuild, State, build, ensure};
pub use error::BuildError;
