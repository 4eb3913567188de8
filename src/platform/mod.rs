//! Platforms: what can run an instance, behind one small synchronous interface.
//!
//! Experiments ask a platform for its [`Capabilities`], never for its name. Every platform passes `tests/conformance`.
//! A platform is one folder here and one entry in [`registry`].

mod arguments;
pub mod arm;
mod bundle;
pub mod bwrap;
mod configured;
pub mod docker;
pub mod engine_api;
pub mod fake;
pub mod firecracker;
mod groups;
mod inject;
mod instance;
mod link;
pub mod load_generator;
mod machine;
pub mod native;
pub mod oci;
pub mod podman;
pub(crate) mod process;
pub mod qemu;
pub mod registry;
pub mod settings;
pub mod solo5;
pub mod tools;
pub mod youki;

use std::sync::Arc;
use std::time::Duration;

pub use engine_api::reap as reap_engines;
pub use inject::{Amount, Inject};
pub use instance::{Endpoint, Exit, GuestThread, Instance, Milestone, StampedLine, Stopped, ThreadRole};
pub use settings::{Key, SettingError, SettingKind, Settings, UnsupportedSetting};
pub use youki::launcher_entry;

use crate::guest::Image;
use crate::host::clock::Clock;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::Ledger;
use crate::host::network::RunNetwork;
use crate::model::cpuset::CpuSet;
use crate::model::platform::{Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::units::Bytes;
use crate::platform::load_generator::LoadGenerator;

/// Something that runs instances. Several threads may call it at once.
pub trait Platform: Send + Sync + std::fmt::Debug {
    /// Its name: `native`, `youki`, `docker:crun`.
    fn id(&self) -> &PlatformId;

    /// What it can do. Constant for its lifetime.
    fn capabilities(&self) -> Capabilities;

    /// Checks whether it can run here, and returns its versions. Called before anything else; changes nothing on the
    /// host.
    ///
    /// # Errors
    /// States why it cannot run here, and the remedy.
    fn check(&self) -> Result<PlatformFacts, Unavailable>;

    /// Checks that it supports everything that `settings` sets. Called before [`Platform::check`].
    ///
    /// # Errors
    /// Names the first unsupported setting, with the reason and an alternative. A platform that does not say otherwise
    /// rejects every setting.
    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        settings.only(self.id(), &[])
    }

    /// What the host bears for each of its instances: the figure in the registry, unless the flavor or the host changes
    /// it.
    fn resource_cost(&self) -> ResourceCost {
        registry::entry(self.id()).map_or(ResourceCost::PROCESS, |entry| entry.cost)
    }

    /// The clock that stamps its instances' events.
    fn clock(&self) -> &dyn Clock;

    /// Makes `image` ready to launch. Called once per image, before its first launch; never timed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it cannot run this program, which skips the program's cases.
    fn prepare(&self, image: &Image) -> Result<(), Error>;

    /// What an instance boots after [`Platform::prepare`]: a virtual machine boots the guest system that contains the
    /// program.
    fn boot_artifact(&self, image: &Image) -> BootArtifact {
        BootArtifact { digest: image.digest.clone(), size: image.size }
    }

    /// Its own load generator, if it simulates; `None` if the host's tools can drive its servers.
    fn load_generator(&self) -> Option<&dyn LoadGenerator> {
        None
    }

    /// Starts an instance and returns once it exists, without waiting for its first line. It records every resource in
    /// the ledger before it creates it, and stamps the `spawn` event just before it calls the platform.
    ///
    /// # Errors
    /// Fails with the instance's name, and leaves nothing behind.
    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error>;
}

/// The run that a platform works for.
#[derive(Debug, Clone)]
pub struct Context {
    /// The run's ledger, which also has the run's id and its state folder.
    pub ledger: Arc<Ledger>,
    /// Raised when the user asks to stop; every wait then ends early.
    pub interrupt: Interrupt,
    /// The run's network, which all its platforms share. Created when the first instance needs it.
    pub network: Arc<RunNetwork>,
    /// What an arm of a comparison sets differently.
    pub settings: Arc<Settings>,
    /// The number of the arm, if there are several: two arms on one platform must not share names.
    pub arm: Option<u32>,
}

impl Context {
    /// The context of a run. A run has only one, so that its platforms share the network.
    pub fn new(ledger: Arc<Ledger>, interrupt: Interrupt) -> Self {
        Self { ledger, interrupt, network: Arc::default(), settings: Arc::default(), arm: None }
    }
}

/// What the host bears for one small instance, estimated generously: checked before many are launched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceCost {
    /// Processes and threads, including those that supervise it.
    pub tasks: u64,
    /// Inotify instances.
    pub inotify: u64,
    /// Entries in the kernel's neighbor table.
    pub neighbors: u64,
    /// Memory.
    pub memory: Bytes,
    /// The most processes and threads of an instance that forks without end.
    pub forking: u64,
    /// A service outside of the run creates it, under that service's own limits.
    pub is_elsewhere: bool,
}

impl ResourceCost {
    /// A process in a cgroup. Its memory is five times what a youki container was measured to use.
    pub const PROCESS: Self =
        Self { tasks: 1, inotify: 0, neighbors: 0, memory: Bytes(4 << 20), forking: 32, is_elsewhere: false };
}

impl Default for ResourceCost {
    fn default() -> Self {
        Self::PROCESS
    }
}

impl ResourceCost {
    /// A sandbox with its own kernel: an idle gVisor (December 2022) on two CPUs has two dozen threads and 17 MiB.
    pub(in crate::platform) fn of_sandbox() -> Self {
        let forking = u64::from(bundle::SANDBOX_TASKS);
        Self { tasks: 36, memory: Bytes(24 << 20), forking, ..Self::PROCESS }
    }
}

/// What an instance boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootArtifact {
    /// Its SHA-256 in hexadecimal.
    pub digest: String,
    /// Its size on the host's disk.
    pub size: Bytes,
}

/// An instance to launch. Every field can change what is measured, so there is no default.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// The instance's name, unique in the run, from [`Ledger::instance_name`]: `fw-<run>-17`.
    pub name: String,
    /// The image to run.
    pub image: Image,
    /// `key=value` arguments of the guest program. The platform adds `dir=`, `deadline=`, `listen=` and `port=`.
    pub arguments: Vec<String>,
    /// The CPUs it may run on; `None` leaves placement to the host.
    pub cpus: Option<CpuSet>,
    /// Limits on memory and processes; with `None` the instance has no cgroup of its own unless the platform needs one.
    pub limits: Option<Limits>,
    /// The size of the guest's own memory, for platforms with [`Capabilities::own_memory`]; `None` takes the image's.
    pub memory: Option<Bytes>,
    /// How it is connected. A server is reachable only with a network.
    pub network: Networking,
    /// Why it is launched.
    pub purpose: Purpose,
    /// The guest ends itself after this time, even if the harness is gone.
    pub deadline: Duration,
}

/// Why an instance is launched. A platform may start a background instance in the cheapest way it has, and drop the
/// connection to it once it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It is measured, so it starts exactly as the platform's name promises.
    Measured,
    /// It is an attacker, or an idle neighbor in an attacker's place.
    Neighbor,
    /// It is one of many that idle.
    Background,
}

/// The most that an instance may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory, including the in-memory file system.
    pub memory: Bytes,
    /// Processes and threads.
    pub pids: u32,
}

/// A failure of an instance or a platform. The class decides what happens next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The platform cannot do this here: the case is skipped with the reason.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// This trial failed: it is recorded with the reason, and the run continues.
    #[error("{action}: {reason}")]
    Failed {
        /// The attempted action with its object: `launch fw-…-17 on youki`.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// An expected event did not happen in time: a failed trial as well.
    #[error("{name}: waited {after} for {awaited}; last seen: {last}")]
    Deadline {
        /// The instance.
        name: String,
        /// The time waited, with its unit.
        after: String,
        /// The expected event.
        awaited: String,
        /// The last state seen.
        last: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Continuing makes no sense: the run stops.
    #[error("{0}")]
    Fatal(String),
}

impl Error {
    /// A failed trial: the attempted action with its object, and why it failed.
    pub fn failed(action: impl Into<String>, reason: impl ToString) -> Self {
        Error::Failed { action: action.into(), reason: reason.to_string() }
    }
}
