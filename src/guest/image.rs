//! Guest programs and the images that hold them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::program::Program;
use crate::model::units::Bytes;

/// A built guest program: the same bytes for every Linux platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The program it holds.
    pub program: Program,
    /// A read-only root file system, absolute: `fw/<program>` and the empty mount points `proc sys dev tmp`; of a
    /// server also what `fw/<program>` starts.
    pub rootfs: PathBuf,
    /// SHA-256 of the program's binary, in hexadecimal; of a server, of all its files.
    pub digest: String,
    /// What the root file system holds, in bytes.
    pub size: Bytes,
}

impl Image {
    /// The program's path inside the guest.
    pub fn guest_path(&self) -> String {
        format!("/fw/{}", self.program)
    }

    /// The program's binary on the host.
    pub fn binary(&self) -> PathBuf {
        self.rootfs.join("fw").join(self.program.name())
    }
}
