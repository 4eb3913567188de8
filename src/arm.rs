//! An arm of a comparison: a platform and what is set differently on it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::names::UnknownName;
use crate::platform::{PlatformId, Settings};

/// What one side of `cargo xtask ab` measures: `docker:runc`, `oci:crun,runtime=/opt/crun-2/bin/crun`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Where.
    pub platform: PlatformId,
    /// With what.
    pub settings: Settings,
}

impl FromStr for Arm {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { platform: text.parse()?, settings: Settings::default() })
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.platform.fmt(f)
    }
}
