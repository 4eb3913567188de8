//! Compiles the guest programs from their C sources with the host's compiler and C library, and adds the host's servers
//! to their images.

mod closure;
pub(super) mod compiler;
pub(super) mod digest;
pub(super) mod ensure;
pub(super) mod error;
mod server;
mod sqlite;

pub(in crate::guest) use compiler::{Compilation, Compiler};
pub(in crate::guest) use digest::Fields;
pub(crate) use digest::file_digest;
pub use ensure::{BuildOptions, Network, Outcome, Rebuild, State, build, ensure, stored};
pub(in crate::guest) use ensure::{lock, make_folder};
pub use error::BuildError;
