//! Guest systems: what boots in a virtual machine, with one program in it.
//!
//! A guest system prints `FW guest` as its first line where it can, starts the program of its image with the arguments
//! that it is given, and tells by `FW exit code N` or `FW exit signal N` how that ended.

mod null;

use std::path::PathBuf;

pub use null::{null, null_runs};

use crate::units::Bytes;

/// A guest system that is ready to boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct System {
    /// What the monitor loads.
    pub kernel: PathBuf,
    /// The initial RAM disk.
    pub initrd: Option<PathBuf>,
    /// A raw disk image. Instances read it and write elsewhere.
    pub disk: Option<PathBuf>,
    /// SHA-256 of all of these, in hexadecimal.
    pub digest: String,
    /// What all of these take on the host's disk.
    pub size: Bytes,
    /// The memory that its manifest asks for.
    pub memory: Bytes,
}
