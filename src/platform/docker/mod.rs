//! `docker` and `docker-cli`: containers of the Docker Engine.
//!
//! Data flow: the engine loads the image from an archive. Its API creates, attaches to, starts, kills and removes an
//! instance; the attachment carries the output, and the engine's events report the exit. `docker-cli` starts measured
//! instances with the `docker` command instead, as a user would, and watches that command.
//! Invariant: before an object is created, the ledger has its name; every object carries the run's name and label.

mod cgroup;
mod command;
mod error;
mod exits;
pub(super) mod instance;
mod networks;
pub(super) mod shared;
mod strays;

use std::path::Path;
use std::sync::Arc;

use command::client_version;
pub(in crate::platform) use error::Error;
use instance::DockerInstance;
use shared::{EngineOwner, Shared};

use super::bundle::SANDBOX_TASKS;
use super::settings::Refusal;
use super::{
    Context, Instance, LaunchSpec, Platform, Purpose, ResourceCost, SettingKind, Settings, UnsupportedSetting,
};
use crate::guest::Image;
use crate::host::clock::{Clock, HostClock};
use crate::model::platform::{Accelerator, Capabilities, PlatformFacts, PlatformId, Unavailable};
use crate::model::units::Bytes;
use crate::platform;
use crate::platform::engine_api::{self, Address, Engine, Facts, Patience, Runtime};
use crate::platform::process::watched::Watched;

/// Concurrent launches. 100 sleepers on two CPUs, with the engine 20.10, runc and no idle CPU: 4.5 per second one at a
/// time, 5.7 with two, 6.7 with four, 5.8 with eight. The engine is the limit, not the harness.
const CONCURRENT_LAUNCHES: usize = 4;

/// Threads of a container's shim: eleven or twelve, as counted with 660 containers of the engine 20.10.
const SHIM_TASKS: u64 = 12;

/// A container's share of the host's memory, rounded up: 4.3 MiB with up to 1,000 containers, most of it the shim's.
const CONTAINER_MEMORY: Bytes = Bytes(5 << 20);

/// A Kata machine's share of the host's memory, including its kernel and agent. Not measured; taken from an idle Linux
/// in another monitor.
const MACHINE_MEMORY: Bytes = Bytes(256 << 20);

/// The note on sandboxes and machines.
const OWN_KERNEL: &str = "guests have their own kernel: limits cover both, and the process limit includes its threads";

/// The settings of an arm that it supports.
pub(super) const SETTINGS: &[SettingKind] =
    &[SettingKind::Images, SettingKind::Guests, SettingKind::Busy, SettingKind::Quota];

/// The cost of a container of a local engine with the default runtime.
pub(super) const COST: ResourceCost = ResourceCost {
    tasks: ResourceCost::PROCESS.tasks + SHIM_TASKS,
    // With cgroup version 2, shims use inotify to notice exhausted memory; with version 1 they do not.
    inotify: 1,
    // On the bridge, the host and the container each add the other to their table.
    neighbors: 2,
    memory: CONTAINER_MEMORY,
    is_elsewhere: true,
    ..ResourceCost::PROCESS
};

/// How a measured instance is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the engine's API, like an orchestrator.
    Api,
    /// With `docker run --rm`, like a user: from the start of that command to its end.
    Command,
}

/// Containers of the Docker Engine.
#[derive(Debug)]
pub struct Docker {
    id: PlatformId,
    start: Start,
    runtime: Option<String>,
    clock: HostClock,
    shared: Result<Arc<Shared>, Unavailable>,
}

impl Docker {
    /// The platform for one run, with the engine in `DOCKER_HOST`, and with `runtime` instead of the engine's default.
    pub fn new(context: &Context, start: Start, runtime: Option<&str>) -> Self {
        let engine = Address::from_env().and_then(|address| Engine::connect(&address, Patience::DEFAULT));
        Self::with_engine(engine, context, start, runtime)
    }

    fn with_engine(
        engine: Result<Engine, engine_api::Error>,
        context: &Context,
        start: Start,
        runtime: Option<&str>,
    ) -> Self {
        let family = match start {
            Start::Api => "docker",
            Start::Command => "docker-cli",
        };
        let id = PlatformId::new(runtime.map_or(family.to_owned(), |runtime| format!("{family}:{runtime}")));
        let shared = engine.and_then(|engine| {
            let facts = engine.facts()?;
            Ok(Arc::new(Shared::new(&id, engine, facts, context, EngineOwner::User)))
        });
        let runtime = runtime.map(str::to_owned);
        Self { id, start, runtime, clock: HostClock, shared: shared.map_err(|e| unavailable(&e)) }
    }

    fn shared(&self) -> Result<&Arc<Shared>, Unavailable> {
        self.shared.as_ref().map_err(Clone::clone)
    }

    /// The configuration of its runtime; `None` if the engine has none.
    fn runtime<'a>(&self, facts: &'a Facts) -> Option<&'a Runtime> {
        facts.runtimes.get(self.runtime.as_ref().unwrap_or(&facts.default_runtime))
    }

    fn kernel(&self, facts: &Facts) -> Kernel {
        let name = self.runtime.as_ref().unwrap_or(&facts.default_runtime);
        self.runtime(facts).map_or(Kernel::Host, |runtime| Kernel::detect(name, runtime))
    }

    fn start_of(&self, purpose: Purpose) -> Start {
        if purpose == Purpose::Measured { self.start } else { Start::Api }
    }
}

impl Platform for Docker {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        let facts = self.shared.as_ref().map(|shared| &shared.facts).ok();
        let runtime = facts.and_then(|facts| self.runtime(facts));
        let kernel = facts.map_or(Kernel::Host, |facts| self.kernel(facts));
        let remote = self.shared.as_ref().is_ok_and(|shared| !shared.engine.address().is_local());
        Capabilities {
            accelerator: if kernel == Kernel::Machine { Accelerator::Kvm } else { Accelerator::None },
            fork: true,
            limits: kernel == Kernel::Host,
            launch_concurrency: CONCURRENT_LAUNCHES,
            host_processes: kernel == Kernel::Host && !remote,
            network: !runtime.is_some_and(denies_network) && !remote,
            own_memory: false,
            simulated: false,
        }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let shared = self.shared()?;
        let facts = &shared.facts;
        if let Some(runtime) = &self.runtime
            && self.runtime(facts).is_none()
        {
            let known: Vec<_> = facts.runtimes.keys().map(String::as_str).collect();
            return Err(Unavailable {
                reason: format!("the engine has no runtime {runtime}, only {}", known.join(", ")),
                cure: runtime_help(runtime),
            });
        }
        let mut notes = vec![
            format!("storage driver {}", facts.storage),
            format!("cgroup driver {}", facts.cgroups),
            format!("runtime {}", self.runtime.as_ref().unwrap_or(&facts.default_runtime)),
            format!("API {}", facts.api),
        ];
        match shared.engine.address().is_local() {
            true => notes.push("local".to_owned()),
            false => notes.push(format!(
                "remote, {}: no network loads, and neither the placement nor the usage of guests can be read back",
                shared.engine.address()
            )),
        }
        match self.kernel(facts) {
            Kernel::Host => {}
            Kernel::Sandbox => notes.push(OWN_KERNEL.to_owned()),
            Kernel::Machine => notes.extend([OWN_KERNEL.to_owned(), format!("accelerator: {}", Accelerator::Kvm)]),
        }
        if self.start == Start::Command {
            notes.push(client_version()?);
        }
        Ok(PlatformFacts { version: format!("Docker Engine {}", facts.version), notes })
    }

    fn resource_cost(&self) -> ResourceCost {
        let Some(shared) = self.shared.as_ref().ok().filter(|shared| shared.engine.address().is_local()) else {
            // The cost is another host's.
            return ResourceCost {
                tasks: 0,
                memory: Bytes(0),
                forking: 0,
                is_elsewhere: true,
                ..ResourceCost::default()
            };
        };
        let guest = match self.kernel(&shared.facts) {
            Kernel::Host => ResourceCost::default(),
            Kernel::Sandbox => ResourceCost::of_sandbox(),
            Kernel::Machine => ResourceCost { memory: MACHINE_MEMORY, ..ResourceCost::of_sandbox() },
        };
        ResourceCost {
            tasks: guest.tasks + SHIM_TASKS,
            inotify: shared.facts.cgroups.ends_with("version 2").into(),
            memory: Bytes(guest.memory.0.max(CONTAINER_MEMORY.0)),
            forking: guest.forking,
            ..COST
        }
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        let is_remote = Address::from_env().is_ok_and(|address| !address.is_local());
        settings.check_each(&self.id, |kind| match kind {
            SettingKind::Runtime => Err(Refusal::new(
                "the Docker Engine accepts runtimes only by the names in its daemon's configuration",
                "add the program as NAME to \"runtimes\" in /etc/docker/daemon.json, restart dockerd and choose \
                 docker:NAME; or choose oci:NAME or podman, which accept a path",
            )),
            SettingKind::Delay => Err(Refusal::new(
                "its networks belong to the Docker daemon and not to the run",
                "inject busy work or a quota, or choose oci:runc or podman",
            )),
            SettingKind::Quota if is_remote => {
                Err(Refusal::new("the control groups of a remote engine are out of reach", "use a local engine"))
            }
            other => other.among(SETTINGS),
        })
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, image: &Image) -> Result<(), platform::Error> {
        let action = || format!("prepare {} on {}", image.program, self.id);
        let program = image.binary();
        if !program.is_file() {
            return Err(platform::Error::failed(action(), format!("{} is missing", program.display())));
        }
        self.shared()?.load(image).map_err(|e| e.into_failure(action()))
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, platform::Error> {
        let shared = self.shared()?;
        if shared.interrupt.is_raised() {
            return Err(platform::Error::Interrupted);
        }
        let failed = |e: Error| e.into_failure(format!("launch {} on {}", spec.name, self.id));
        let mut instance = DockerInstance::prepare(shared, spec).map_err(failed)?;
        let mut container = shared.container(spec, self.runtime.as_deref(), instance.network());
        if self.kernel(&shared.facts) != Kernel::Host {
            container.pids = container.pids.map(|pids| pids + SANDBOX_TASKS);
        }
        let started = match self.start_of(spec.purpose) {
            Start::Api => instance.start(&container),
            Start::Command => instance.run(&container),
        };
        match started {
            Ok(()) => Ok(Box::new(Watched::new(instance))),
            Err(e) => {
                let error = instance.abandon(e);
                Err(if shared.interrupt.is_raised() { platform::Error::Interrupted } else { failed(error) })
            }
        }
    }
}

/// The kernel that a guest runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// The host's.
    Host,
    /// A sandbox's own, in a process of the host: gVisor.
    Sandbox,
    /// A virtual machine's own: Kata, whose monitors all use KVM (`machine_accelerators` in its configurations).
    Machine,
}

impl Kernel {
    /// Detects the kernel of this runtime's guests from the words in its name and program. The program is empty if the
    /// runtime is configured by its type, such as `io.containerd.kata.v2`, which then is its name.
    fn detect(name: &str, runtime: &Runtime) -> Self {
        let program = Path::new(&runtime.program).file_name().unwrap_or_default().to_string_lossy();
        let text = format!("{name} {program}").to_ascii_lowercase();
        let mut kernel = Kernel::Host;
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            match word {
                "kata" => return Kernel::Machine,
                "runsc" | "gvisor" => kernel = Kernel::Sandbox,
                _ => {}
            }
        }
        kernel
    }
}

/// How to add a runtime to the engine's configuration.
fn runtime_help(runtime: &str) -> String {
    let add = format!("add {runtime} to \"runtimes\" in /etc/docker/daemon.json and restart dockerd");
    match Kernel::detect(runtime, &Runtime::default()) {
        Kernel::Machine => format!(
            "install Kata Containers on a host with KVM, {add}: \"{runtime}\": {{\"runtimeType\": \
             \"io.containerd.kata.v2\"}} (Docker 23 or later)"
        ),
        Kernel::Host | Kernel::Sandbox => add,
    }
}

/// Whether the engine's configuration denies this runtime a network. gVisor needs that on kernels where it mistakes
/// every network namespace for the host's.
fn denies_network(runtime: &Runtime) -> bool {
    runtime.arguments.iter().any(|argument| argument.trim_start_matches('-') == "network=none")
}

/// Converts the engine's error into the reason why the platform cannot run.
fn unavailable(error: &engine_api::Error) -> Unavailable {
    let cure = error.help().unwrap_or("look at the engine's log");
    Unavailable { reason: error.to_string(), cure: cure.to_owned() }
}

#[cfg(test)]
mod tests;
