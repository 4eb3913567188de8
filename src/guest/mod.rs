//! Guest programs: how they are compiled, the images that hold them and the lines they print.

mod archive;
mod compile;
mod image;
pub mod line;
mod manifest;
pub mod revision;
pub mod system;
#[cfg(test)]
pub(crate) mod tests;

pub use archive::write_archive;
pub(crate) use compile::file_digest;
pub use compile::{BuildError, BuildOptions, Network, Outcome, Rebuild, State, build, ensure, stored};
pub use image::Image;
pub use line::GuestLine;
pub use manifest::{BuiltFile, BuiltProgram, BuiltServer, Manifest, ManifestError, load_manifest};
pub use revision::RevisionError;
