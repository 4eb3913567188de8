//! Platforms: what can run an instance, behind one small synchronous interface.
//!
//! An experiment asks a platform for its [`Capabilities`], never for its name. Every platform passes
//! `tests/conformance`. Adding one is one file here and one line in [`registry`].

mod arguments;
pub mod arm;
mod bundle;
mod configured;
pub mod docker;
pub mod engine_api;
pub mod fake;
pub mod firecracker;
mod groups;
mod honour;
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
pub mod youki;

use std::sync::Arc;
use std::time::Duration;

pub use engine_api::reap as reap_engines;
pub use inject::{Amount, Inject};
pub use instance::{Endpoint, Exit, GuestThread, Instance, Milestone, StampedLine, Stopped, ThreadRole};
pub use settings::{Key, SettingError, Settings};
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

/// Something that runs instances. Implementations are safe to call from several threads at once.
pub trait Platform: Send + Sync + std::fmt::Debug {
    /// The platform's name: `native`, `youki`, `docker:crun`.
    fn id(&self) -> &PlatformId;

    /// What it can and cannot do. Constant over its life.
    fn capabilities(&self) -> Capabilities;

    /// Whether it can run here, and its versions; or why not, and the cure. Called before anything else; changes
    /// nothing on the host.
    fn check(&self) -> Result<PlatformFacts, Unavailable>;

    /// What the host bears for each of its instances.
    fn resource_cost(&self) -> ResourceCost {
        ResourceCost::default()
    }

    /// The clock that stamps its instances' events.
    fn clock(&self) -> &dyn Clock;

    /// Makes `image` ready to be launched. Called once for an image, before its first launch; never timed.
    fn prepare(&self, image: &Image) -> Result<(), Error>;

    /// What an instance with `image` is made from, once that is prepared: of a virtual machine the guest system with the
    /// program in it.
    fn boot_artifact(&self, image: &Image) -> BootArtifact {
        BootArtifact { digest: image.digest.clone(), size: image.size }
    }

    /// The load generator that lives in the platform's own world, as a simulated one has; `None` where the host's tools
    /// drive its servers.
    fn load_generator(&self) -> Option<&dyn LoadGenerator> {
        None
    }

    /// Starts an instance and returns once it exists, without waiting for its first line. Everything it makes is in
    /// the ledger first. The `spawn` event is stamped just before the platform is asked.
    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error>;
}

/// What a platform is made with: the run it works for.
#[derive(Debug, Clone)]
pub struct Context {
    /// The run's ledger; it also tells the run's id and its state folder.
    pub ledger: Arc<Ledger>,
    /// Set when the user asked to stop; every wait ends early on it.
    pub interrupt: Interrupt,
    /// The run's network, shared by all its platforms. Nothing of it is made before an instance needs it.
    pub network: Arc<RunNetwork>,
    /// What an arm of a comparison sets differently.
    pub settings: Arc<Settings>,
    /// Which arm it is, when there are several: what two of one platform keep under names is apart.
    pub arm: Option<u32>,
}

impl Context {
    /// What the platforms of a run are made with; each run has one, so that they share its network.
    pub fn new(ledger: Arc<Ledger>, interrupt: Interrupt) -> Self {
        Self { ledger, interrupt, network: Arc::default(), settings: Arc::default(), arm: None }
    }
}

/// What the host bears for one small instance, counted generously: asked before many are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceCost {
    /// Processes and threads, those that look after it included.
    pub tasks: u64,
    /// Inotify instances.
    pub inotify: u64,
    /// Entries in the kernel's table of neighbours.
    pub neighbours: u64,
    /// Memory.
    pub memory: Bytes,
    /// Processes and threads of one that forks without end, at the most.
    pub forking: u64,
    /// Somebody else's service makes it, under that service's own limits.
    pub is_elsewhere: bool,
}

impl Default for ResourceCost {
    /// That of a process in a cgroup: the memory is five times a youki container's, as measured.
    fn default() -> Self {
        Self { tasks: 1, inotify: 0, neighbours: 0, memory: Bytes(4 << 20), forking: 32, is_elsewhere: false }
    }
}

impl ResourceCost {
    /// That of a sandbox with a kernel of its own. Of gVisor (December 2022), idle on two CPUs: two dozen threads and 17 MiB,
    /// rounded up.
    pub(in crate::platform) fn of_sandbox() -> Self {
        let forking = u64::from(bundle::SANDBOX_TASKS);
        Self { tasks: 36, memory: Bytes(24 << 20), forking, ..Self::default() }
    }
}

/// What an instance is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootArtifact {
    /// SHA-256 of it, in hexadecimal.
    pub digest: String,
    /// What it takes on the host's disk.
    pub size: Bytes,
}

/// One instance to be launched. Everything that decides what is measured is named: there is no default.
#[derive(Debug, Clone)]
pub struct LaunchSpec {
    /// The instance's name, unique in the run, made by [`Ledger::instance_name`]: `fw-<run>-17`.
    pub name: String,
    /// What to run.
    pub image: Image,
    /// `key=value` arguments of the guest program, without `dir=`, `deadline=`, `listen=` and `port=`, which the
    /// platform adds.
    pub arguments: Vec<String>,
    /// The CPUs it may run on; `None` leaves placement to the host.
    pub cpus: Option<CpuSet>,
    /// Memory, processes; `None` leaves the instance without a cgroup of its own where the platform does not need one.
    pub limits: Option<Limits>,
    /// The size of the guest's own memory, asked only of a platform with [`Capabilities::own_memory`]; `None` is what the
    /// image asks for.
    pub memory: Option<Bytes>,
    /// How it is connected. A server needs a network to be reached.
    pub network: Networking,
    /// What it is launched for.
    pub purpose: Purpose,
    /// The guest ends itself after this time, whatever becomes of the harness.
    pub deadline: Duration,
}

/// What an instance is launched for. A platform may start a background instance the cheapest way it has, and keep no
/// connection to it once it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Its life is measured: it is started the way the platform's name promises.
    Measured,
    /// It is an attacker, or an idle neighbour in an attacker's place.
    Neighbour,
    /// It only has to be there.
    Background,
}

/// What an instance may use at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory, the in-memory file system included.
    pub memory: Bytes,
    /// Processes and threads.
    pub pids: u32,
}

/// What went wrong with an instance or a platform. The class decides what happens next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The platform cannot do this here: the case is skipped with the reason.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// This trial failed: it is recorded with the reason and the run goes on.
    #[error("{action}: {reason}")]
    Failed {
        /// What was being done, with its object: `launch fw-…-17 on youki`.
        action: String,
        /// Why it failed.
        reason: String,
    },
    /// Something awaited did not happen in time: a failed trial, too.
    #[error("{name}: waited {after} for {awaited}; last seen: {last}")]
    Deadline {
        /// The instance.
        name: String,
        /// How long was waited, as text with its unit.
        after: String,
        /// What was awaited.
        awaited: String,
        /// The last state seen.
        last: String,
    },
    /// The user asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// Going on makes no sense: the run stops.
    #[error("{0}")]
    Fatal(String),
}

impl Error {
    /// A failed trial: `action` with its object, and why.
    pub fn failed(action: impl Into<String>, reason: impl ToString) -> Self {
        Error::Failed { action: action.into(), reason: reason.to_string() }
    }
}
