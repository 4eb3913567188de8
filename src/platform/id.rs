//! Names of platforms and accelerators.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::names::named_enum;

/// Names a platform: `native`, `youki`, `docker:crun`. Whether it exists is the registry's to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlatformId(String);

impl PlatformId {
    /// The id of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PlatformId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

named_enum! {
    /// What makes a guest execute. Results of different accelerators are never shown in one comparison.
    pub enum Accelerator ("accelerator") {
        /// The host's own CPU and kernel: processes and containers.
        None = "none",
        /// Hardware virtualisation.
        Kvm = "kvm",
        /// QEMU's emulation: proves that the machinery works, says nothing about hardware.
        Tcg = "tcg",
    }
}
