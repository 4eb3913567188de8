//! An image: a built guest program in its root file system.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::program::Program;
use crate::model::units::Bytes;

/// A built guest program: the same bytes for every Linux platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// The program in the image.
    pub program: Program,
    /// The absolute path of the read-only root file system.
    ///
    /// It contains `fw/<program>`, the empty mount points `proc sys dev tmp` and, for a server, the files that
    /// `fw/<program>` needs to start it.
    pub rootfs: PathBuf,
    /// SHA-256 in hexadecimal: of the binary, or of all files for a server.
    pub digest: String,
    /// The total size of the files.
    pub size: Bytes,
}

impl Image {
    /// Returns the program's path inside the guest.
    pub fn guest_path(&self) -> String {
        format!("/fw/{}", self.program)
    }

    /// Returns the path of the program's binary on the host.
    pub fn binary(&self) -> PathBuf {
        self.rootfs.join("fw").join(self.program.name())
    }
}
