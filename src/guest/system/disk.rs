//! The disk of a Debian: a root file system from the distribution's packages, shared by all programs, never written by
//! an instance.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::record::{Part, Record};
use crate::guest::build::BuildError;
use crate::run::Folders;

/// What is written beside the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Disk {
    schema: u32,
    pub(super) part: Part,
}

impl Record for Disk {
    fn schema(&self) -> u32 {
        self.schema
    }
}

pub(super) fn folder(folders: &Folders) -> PathBuf {
    folders.images().join("debian").join("disk")
}

pub(super) fn ensure(_folders: &Folders, _progress: &mut dyn FnMut(&str)) -> Result<Disk, BuildError> {
    Err(BuildError::NeedsRoot { what: "making Debian's disk" })
}
