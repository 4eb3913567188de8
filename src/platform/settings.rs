//! What an arm of a comparison sets differently on its platform.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Settings of a platform beyond its name. The default is what every run without an arm has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The OCI runtime's program, instead of the one in PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<PathBuf>,
    /// QEMU's program, instead of the one in PATH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qemu: Option<PathBuf>,
}
