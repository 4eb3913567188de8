//! Platforms as records name and describe them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::names::named_enum;

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

/// What a platform can do, asked for instead of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What makes its guests execute.
    pub accelerator: Accelerator,
    /// Guests can fork.
    pub fork: bool,
    /// CPUs, memory and process counts can be limited by the kernel for each instance here.
    pub limits: bool,
    /// How many launches at once are worth while here.
    pub launch_concurrency: usize,
    /// Its guests are processes of this host's kernel, which tells their names, their descriptors and their environment.
    #[serde(default = "yes")]
    pub host_processes: bool,
    /// Its instances can have a network, so that servers in them can be reached from this host.
    #[serde(default)]
    pub network: bool,
    /// Its guests have a memory of their own whose size can be chosen ([`LaunchSpec::memory`]), as virtual machines do.
    #[serde(default)]
    pub own_memory: bool,
    /// Events are stamped by a virtual clock: its times are no measurements.
    pub simulated: bool,
}

/// Platforms of runs that were stored before it was asked have such guests.
fn yes() -> bool {
    true
}

/// What is known of a platform that can run here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformFacts {
    /// The version of what does the work: a runtime, an engine, a monitor, the kernel.
    pub version: String,
    /// Anything a reader should know, such as "no cgroup: limits by rlimit".
    pub notes: Vec<String>,
}

/// Why a platform cannot run here, and what would change that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{reason}; {cure}")]
pub struct Unavailable {
    /// The reason, a lowercase fragment.
    pub reason: String,
    /// What to do about it.
    pub cure: String,
}

named_enum! {
    /// How an instance is connected.
    pub enum Networking ("network") {
        /// Not at all, but for its own loopback where it has one.
        None = "none",
        /// By the platform's usual way: a bridge with a virtual pair for containers; the host's own loopback for a bare
        /// process.
        Bridge = "bridge",
    }
}
