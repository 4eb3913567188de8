//! `podman`: containers of Podman, over the socket that it keeps for clients of Docker.
//!
//! Data flow: the first image starts a service of the run's own, with its storage, its states and its configuration in
//! the run's folder; from then on everything is as on `docker`, but that instances join the run's network by its
//! namespaces. Invariant: the user's own images, containers and settings of Podman are neither read nor changed, and
//! what the service makes ends with it.

mod process;
mod service;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::docker::instance::DockerInstance;
use super::docker::shared::{EngineOwner, Shared};
use super::groups::Groups;
use super::{Context, Error, Instance, LaunchSpec, Platform, ResourceCost};
use crate::guest::Image;
use crate::host::cgroup::{CgroupMode, Hierarchies};
use crate::host::clock::{Clock, HostClock};
use crate::host::tools;
use crate::model::platform::{Accelerator, Capabilities, PlatformFacts, PlatformId, Unavailable};
use crate::platform::engine_api::{Engine, Patience};
use crate::platform::process::watched::Watched;

pub(super) use service::Service;
use settings::Settings;

/// Podman's own order of the runtimes that it looks for.
const RUNTIMES: [&str; 2] = ["crun", "runc"];

/// The launches at once that are worth while. 60 sleepers on two CPUs, with Podman 4.3 and crun, started at 15 to 19 a
/// second one at a time, 27 to 29 with two, 31 to 38 with four (`examples/bare_loop.rs`).
const LAUNCHES: usize = 4;

/// How long a program may take to tell its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

/// Containers of Podman.
#[derive(Debug)]
pub struct Podman {
    id: PlatformId,
    runtime: Option<String>,
    context: Context,
    clock: HostClock,
    groups: Result<Arc<Groups>, String>,
    shared: Mutex<Option<Arc<Shared>>>,
}

/// The programs that the service works with.
#[derive(Debug)]
struct Programs {
    podman: PathBuf,
    runtime_name: String,
    runtime: PathBuf,
}

impl Podman {
    /// The platform for one run; with `runtime` instead of the one that Podman takes. Starts nothing yet.
    pub fn new(context: &Context, runtime: Option<&str>) -> Self {
        let id = PlatformId::new(runtime.map_or("podman".to_owned(), |runtime| format!("podman:{runtime}")));
        let groups = Groups::find(context, |all| Hierarchies::of_programs(&all)).map(Arc::new);
        let (runtime, context) = (runtime.map(str::to_owned), context.clone());
        Self { id, runtime, context, clock: HostClock, groups, shared: Mutex::default() }
    }

    fn programs(&self) -> Result<Programs, Unavailable> {
        let missing = |name: &str| Unavailable {
            reason: format!("{name} is not in PATH"),
            cure: format!("cargo xtask setup, or install {name} (Debian, Ubuntu: apt-get install {name})"),
        };
        let podman = tools::find("podman").ok_or_else(|| missing("podman"))?;
        if let Some(set) = &self.context.settings.runtime {
            let runtime = super::settings::program(Some(set), || Err(missing("crun")))?;
            let runtime_name = self.runtime.clone().map_or_else(|| kind_of(&runtime), Ok)?;
            return Ok(Programs { podman, runtime_name, runtime });
        }
        let wanted = self.runtime.as_deref();
        let names = wanted.map_or(RUNTIMES.to_vec(), |name| vec![name]);
        let found = names.iter().find_map(|&name| Some((name.to_owned(), tools::find(name)?)));
        let (runtime_name, runtime) = found.ok_or_else(|| missing(wanted.unwrap_or("crun")))?;
        Ok(Programs { podman, runtime_name, runtime })
    }

    /// Whether its guests have a kernel of their own.
    fn has_own_kernel(&self) -> bool {
        match &self.context.settings.runtime {
            Some(program) => kind_of(program).is_ok_and(|name| name == "runsc"),
            None => self.runtime.as_deref() == Some("runsc"),
        }
    }

    fn groups(&self) -> Result<&Arc<Groups>, Unavailable> {
        let mount = "mount the cgroup controllers writable".to_owned();
        self.groups.as_ref().map_err(|why| Unavailable { reason: why.clone(), cure: mount })
    }

    /// The connection to the service, which is started by the first who asks, and again if it was lost.
    fn shared(&self) -> Result<Arc<Shared>, Unavailable> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match &mut *shared {
            Some(shared) if shared.lives() => shared,
            lost => lost.insert(self.start()?),
        };
        Ok(Arc::clone(shared))
    }

    fn start(&self) -> Result<Arc<Shared>, Unavailable> {
        must_be_root()?;
        let (programs, groups) = (self.programs()?, self.groups()?);
        let failed =
            |reason: String| Unavailable { reason, cure: "run podman info and mend what it reports".to_owned() };
        let name = self.context.ledger.instance_name();
        let settings = Settings::new(&self.context.ledger, &name, &programs, hides(&programs, groups));
        let service =
            Service::start(&self.context.ledger, groups, &name, settings).map_err(|e| failed(e.to_string()))?;
        let engine = Engine::connect(&service.address(), Patience::DEFAULT).map_err(|e| failed(e.to_string()))?;
        let facts = engine.facts().map_err(|e| failed(e.to_string()))?;
        Ok(Arc::new(Shared::new(
            &self.id,
            engine,
            facts,
            &self.context,
            EngineOwner::Run { service: Box::new(service) },
        )))
    }
}

/// What the runtime at that path is, by its own word: Podman has to know it by a name.
fn kind_of(program: &Path) -> Result<String, Unavailable> {
    let version = tools::version(program, &["--version"], VERSION_PATIENCE);
    let name = version.as_deref().and_then(|line| line.split_whitespace().next()).map(str::to_owned);
    name.ok_or_else(|| Unavailable {
        reason: format!("{} does not tell its version", program.display()),
        cure: "name the program of an OCI runtime".to_owned(),
    })
}

/// What the service must not see: crun refuses to work beside a version 2 that does not have all controllers.
fn hides(programs: &Programs, groups: &Groups) -> Option<PathBuf> {
    let stumbles = groups.mode() == CgroupMode::Hybrid && programs.runtime_name == "crun";
    stumbles.then(super::bundle::unified_mount).flatten()
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
            launch_concurrency: LAUNCHES,
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
            reason: format!("{} does not tell its version", programs.podman.display()),
            cure: "install podman again".to_owned(),
        })?;
        let runtime = version(&programs.runtime).unwrap_or_else(|| "of unknown version".to_owned());
        let mut notes = vec![
            format!("runtime {}: {runtime}", programs.runtime_name),
            format!("cgroups: {}", groups.mode()),
            "a service of the run's own, with its storage in the run's folder".to_owned(),
        ];
        if let Some(mount) = hides(&programs, groups) {
            notes.push(format!("runs without {}: crun refuses the hybrid mode", mount.display()));
        }
        Ok(PlatformFacts { version: podman, notes })
    }

    fn resource_cost(&self) -> ResourceCost {
        // Its monitor, conmon, lives beside it, and by version 2 of the control groups learns by inotify that memory ran out.
        let watched = self.groups.as_ref().is_ok_and(|groups| groups.mode() == CgroupMode::V2);
        let own_kernel = self.has_own_kernel();
        let guest = if own_kernel { ResourceCost::of_sandbox() } else { ResourceCost::default() };
        ResourceCost { tasks: guest.tasks + 2, inotify: watched.into(), ..guest }
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
        self.shared()?.load(image).map_err(|e| Error::failed(action(), e))
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        if self.context.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let shared = self.shared()?;
        let failed = |e: String| Error::failed(format!("launch {} on {}", spec.name, self.id), e);
        // Again after the service was lost.
        shared.load(&spec.image).map_err(failed)?;
        let mut instance = DockerInstance::prepare(&shared, spec).map_err(failed)?;
        let container = shared.describe(spec, None, instance.network());
        match instance.start(&container) {
            Ok(()) => Ok(Box::new(Watched::new(instance))),
            Err(e) => {
                let reason = instance.abandon(e);
                Err(if self.context.interrupt.is_raised() { Error::Interrupted } else { failed(reason) })
            }
        }
    }
}
