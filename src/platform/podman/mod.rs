//! `podman`: containers of Podman, through its Docker-compatible socket.
//!
//! Data flow: the first image starts the run's own service, which keeps its storage, state and configuration in the
//! run's folder. Everything else works as on `docker`, except that instances join network namespaces of the run's
//! network. Invariant: the service neither reads nor changes the user's images, containers and settings, and its
//! objects end with it.

mod process;
mod service;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::docker::instance::DockerInstance;
use super::docker::shared::{EngineOwner, Shared};
use super::groups::Groups;
use super::{Context, Error, Instance, LaunchSpec, Platform, ResourceCost, SettingKind, UnsupportedSetting, docker};
use crate::guest::Image;
use crate::host::cgroup::{CgroupMode, Hierarchies};
use crate::host::clock::{Clock, HostClock};
use crate::host::tools;
use crate::model::platform::{Accelerator, Capabilities, PlatformFacts, PlatformId, Unavailable};
use crate::platform::engine_api::{Engine, Patience};
use crate::platform::process::watched::Watched;

pub(super) use service::Service;
use settings::Settings;

/// The runtimes, in Podman's own order of preference.
const RUNTIMES: [&str; 2] = ["crun", "runc"];

/// Concurrent launches. 60 sleepers on two CPUs, with Podman 4.3 and crun: 15 to 19 per second one at a time, 27 to 29
/// with two, 31 to 38 with four (`examples/bare_loop.rs`).
const CONCURRENT_LAUNCHES: usize = 4;

/// How long a program may take to report its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

/// The settings of an arm that it supports.
pub(super) const SETTINGS: &[SettingKind] = &[
    SettingKind::Runtime,
    SettingKind::Images,
    SettingKind::Guests,
    SettingKind::Busy,
    SettingKind::Quota,
    SettingKind::Delay,
];

/// Containers of Podman.
#[derive(Debug)]
pub struct Podman {
    id: PlatformId,
    runtime: Option<String>,
    context: Context,
    clock: HostClock,
    groups: Result<Arc<Groups>, Unavailable>,
    shared: Mutex<Option<Arc<Shared>>>,
}

/// The programs of the service.
#[derive(Debug)]
struct Programs {
    podman: PathBuf,
    runtime_name: String,
    runtime: PathBuf,
}

impl Podman {
    /// The platform for one run, with `runtime` instead of Podman's choice. Starts nothing yet.
    pub fn new(context: &Context, runtime: Option<&str>) -> Self {
        let id = PlatformId::new(runtime.map_or("podman".to_owned(), |runtime| format!("podman:{runtime}")));
        let groups = Groups::find(context, |all| Hierarchies::of_programs(&all)).map(Arc::new).map_err(|why| {
            Unavailable { reason: why.to_string(), cure: "mount the cgroup controllers writable".to_owned() }
        });
        let (runtime, context) = (runtime.map(str::to_owned), context.clone());
        Self { id, runtime, context, clock: HostClock, groups, shared: Mutex::default() }
    }

    fn programs(&self) -> Result<Programs, Unavailable> {
        let podman = tools::find("podman").ok_or_else(|| not_in_path("podman"))?;
        if let Some(set) = &self.context.settings.runtime {
            let runtime = super::settings::program(Some(set), || Err(not_in_path("crun")))?;
            let runtime_name = self.runtime.clone().map_or_else(|| reported_name(&runtime), Ok)?;
            return Ok(Programs { podman, runtime_name, runtime });
        }
        let names = match self.runtime.as_deref() {
            Some(name) => vec![name],
            None => RUNTIMES.to_vec(),
        };
        let runtime = names.iter().find_map(|&name| Some((name.to_owned(), tools::find(name)?)));
        let (runtime_name, runtime) = runtime.ok_or_else(|| not_in_path(names[0]))?;
        Ok(Programs { podman, runtime_name, runtime })
    }

    /// Whether its guests have their own kernel.
    fn has_own_kernel(&self) -> bool {
        match &self.context.settings.runtime {
            Some(program) => reported_name(program).is_ok_and(|name| name == "runsc"),
            None => self.runtime.as_deref() == Some("runsc"),
        }
    }

    fn groups(&self) -> Result<&Arc<Groups>, Unavailable> {
        self.groups.as_ref().map_err(Unavailable::clone)
    }

    /// The connection to the service. The first call starts the service, and a later one restarts it if it was lost.
    fn shared(&self) -> Result<Arc<Shared>, Unavailable> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match &mut *shared {
            Some(shared) if shared.is_alive() => shared,
            missing => missing.insert(self.start()?),
        };
        Ok(Arc::clone(shared))
    }

    fn start(&self) -> Result<Arc<Shared>, Unavailable> {
        must_be_root()?;
        let (programs, groups) = (self.programs()?, self.groups()?);
        let failed =
            |reason: String| Unavailable { reason, cure: "run podman info and fix what it reports".to_owned() };
        let name = self.context.ledger.instance_name();
        let settings = Settings::new(&self.context.ledger, &name, &programs, hidden_mount(&programs, groups));
        let service =
            Service::start(&self.context.ledger, groups, &name, settings).map_err(|e| failed(e.to_string()))?;
        let engine = Engine::connect(&service.address(), Patience::DEFAULT).map_err(|e| failed(e.to_string()))?;
        let facts = engine.facts().map_err(|e| failed(e.to_string()))?;
        let owner = EngineOwner::Run { service: Box::new(service) };
        Ok(Arc::new(Shared::new(&self.id, engine, facts, &self.context, owner)))
    }
}

fn not_in_path(name: &str) -> Unavailable {
    Unavailable {
        reason: format!("{name} is not in PATH"),
        cure: format!("cargo xtask setup, or install {name} (Debian, Ubuntu: apt-get install {name})"),
    }
}

/// The name that the runtime at that path reports. Podman requires a name for each runtime.
fn reported_name(program: &Path) -> Result<String, Unavailable> {
    let version = tools::version(program, &["--version"], VERSION_PATIENCE);
    let name = version.as_deref().and_then(|line| line.split_whitespace().next()).map(str::to_owned);
    name.ok_or_else(|| Unavailable {
        reason: format!("{} does not report its version", program.display()),
        cure: "give the path of an OCI runtime".to_owned(),
    })
}

/// The mount that the service must not see: crun rejects a cgroup version 2 that does not have all controllers.
fn hidden_mount(programs: &Programs, groups: &Groups) -> Option<PathBuf> {
    if groups.mode() == CgroupMode::Hybrid && programs.runtime_name == "crun" {
        super::bundle::unified_mount()
    } else {
        None
    }
}

fn must_be_root() -> Result<(), Unavailable> {
    match rustix::process::geteuid().is_root() {
        true => Ok(()),
        false => {
            let (reason, cure) = ("containers need root".to_owned(), "run as root".to_owned());
            Err(Unavailable { reason, cure })
        }
    }
}

impl Platform for Podman {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        let own_kernel = self.has_own_kernel();
        Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: self.groups.is_ok() && !own_kernel,
            launch_concurrency: CONCURRENT_LAUNCHES,
            host_processes: !own_kernel,
            network: !own_kernel && rustix::process::geteuid().is_root(),
            own_memory: false,
            simulated: false,
        }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        must_be_root()?;
        let (programs, groups) = (self.programs()?, self.groups()?);
        let version = |program| tools::version(program, &["--version"], VERSION_PATIENCE);
        let podman = version(&programs.podman).ok_or_else(|| Unavailable {
            reason: format!("{} does not report its version", programs.podman.display()),
            cure: "install podman again".to_owned(),
        })?;
        let runtime = version(&programs.runtime).unwrap_or_else(|| "unknown version".to_owned());
        let mut notes = vec![
            format!("runtime {}: {runtime}", programs.runtime_name),
            format!("cgroups: {}", groups.mode()),
            "the run's own service, with its storage in the run's folder".to_owned(),
        ];
        if let Some(mount) = hidden_mount(&programs, groups) {
            notes.push(format!("runs without {}: crun rejects the hybrid mode", mount.display()));
        }
        Ok(PlatformFacts { version: podman, notes })
    }

    fn resource_cost(&self) -> ResourceCost {
        // Each container has a monitor, conmon. With cgroup version 2 it uses inotify to notice exhausted memory.
        let uses_inotify = self.groups.as_ref().is_ok_and(|groups| groups.mode() == CgroupMode::V2);
        let own_kernel = self.has_own_kernel();
        let guest = if own_kernel { ResourceCost::of_sandbox() } else { ResourceCost::default() };
        ResourceCost { tasks: guest.tasks + 2, inotify: uses_inotify.into(), ..guest }
    }

    fn supports(&self, settings: &super::Settings) -> Result<(), UnsupportedSetting> {
        settings.only(&self.id, SETTINGS)
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        let action = || format!("prepare {} on {}", image.program, self.id);
        let program = image.binary();
        if !program.is_file() {
            return Err(Error::failed(action(), format!("{} is missing", program.display())));
        }
        self.shared()?.load(image).map_err(|e| e.into_failure(action()))
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        if self.context.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let shared = self.shared()?;
        let failed = |e: docker::Error| e.into_failure(format!("launch {} on {}", spec.name, self.id));
        // A restarted service does not have the image.
        shared.load(&spec.image).map_err(failed)?;
        let mut instance = DockerInstance::prepare(&shared, spec).map_err(failed)?;
        let container = shared.container(spec, None, instance.network());
        match instance.start(&container) {
            Ok(()) => Ok(Box::new(Watched::new(instance))),
            Err(e) => {
                let error = instance.abandon(e);
                Err(if self.context.interrupt.is_raised() { Error::Interrupted } else { failed(error) })
            }
        }
    }
}
