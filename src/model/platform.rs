//! Platforms, as records name and describe them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::names::named_enum;

/// The name of a platform: `native`, `youki`, `docker:crun`. The registry decides whether it exists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PlatformId(String);

impl PlatformId {
    /// The id with that name.
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
    /// What executes a guest. Results with different accelerators are never compared.
    pub enum Accelerator ("accelerator") {
        /// The host's own CPU and kernel, as for processes and containers.
        None = "none",
        /// Hardware virtualization.
        Kvm = "kvm",
        /// QEMU's emulation. It shows that everything works, but its times say nothing about hardware.
        Tcg = "tcg",
    }
}

/// What a platform can do on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// What executes its guests.
    pub accelerator: Accelerator,
    /// Guests can fork.
    pub fork: bool,
    /// The kernel can limit CPUs, memory and processes of each instance.
    pub limits: bool,
    /// The number of parallel launches that still speeds up launching.
    pub launch_concurrency: usize,
    /// Guests are processes of the host's kernel, which shows their names, descriptors and environment.
    #[serde(default = "yes")]
    pub host_processes: bool,
    /// Instances can have a network, so that this host can reach servers in them.
    #[serde(default)]
    pub network: bool,
    /// Guests have memory of a chosen size, as in virtual machines.
    #[serde(default)]
    pub own_memory: bool,
    /// A virtual clock stamps events, so times are not measurements.
    pub simulated: bool,
}

/// The value in runs that were stored before the field existed.
fn yes() -> bool {
    true
}

/// Facts about a platform that can run on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlatformFacts {
    /// The version of its runtime, engine or monitor, or of the kernel.
    pub version: String,
    /// Notes for the reader of results, such as "no cgroup: limits by rlimit".
    pub notes: Vec<String>,
}

/// Why a platform cannot run on this host, and how to change that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{reason}; {cure}")]
pub struct Unavailable {
    /// The reason, in lowercase without a full stop.
    pub reason: String,
    /// How to make it available.
    pub cure: String,
}

impl Unavailable {
    /// Why a platform cannot run here, and what to do about it.
    pub fn new(reason: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { reason: reason.into(), cure: cure.into() }
    }
}

named_enum! {
    /// How an instance is connected.
    pub enum Networking ("network") {
        /// Only by its own loopback, if it has one.
        None = "none",
        /// In the platform's usual way: containers by a virtual Ethernet pair on a bridge, bare processes by the host's
        /// loopback.
        Bridge = "bridge",
    }
}
