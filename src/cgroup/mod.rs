//! Control groups: version 1, version 2 and both at once (hybrid). Readers take a root, so that tests use a fake tree.

use std::path::PathBuf;

/// One instance's control group, over all the hierarchies it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    dirs: Vec<PathBuf>,
}

impl Cgroup {
    /// Its directories, one a hierarchy.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }
}
