//! `docker` and `docker-cli`: containers as the Docker Engine makes them for people.
//!
//! Data flow: the image is loaded from an archive; an instance is created, attached to, started, killed and removed by
//! the engine's API, its output comes through the attachment and its end by the engine's events. `docker-cli` starts
//! what is measured with the `docker` command instead, the way a user would, and watches that command.
//! Invariant: everything made has the run's name, a label with its id and a line in the ledger before it is made.

mod command;
mod ends;
pub(super) mod instance;
mod networks;
mod remains;
pub(super) mod shared;

use std::path::Path;
use std::sync::Arc;

use command::client_version;
use instance::DockerInstance;
use shared::{EngineOwner, Shared};

use super::bundle::SANDBOX_TASKS;
use super::{Context, Error, Instance, LaunchSpec, Platform, Purpose, ResourceCost};
use crate::guest::Image;
use crate::host::clock::{Clock, HostClock};
use crate::model::platform::{Accelerator, Capabilities, PlatformFacts, PlatformId, Unavailable};
use crate::model::units::Bytes;
use crate::platform::engine_api::{Address, Engine, Error as EngineError, Facts, Patience, Runtime};
use crate::platform::process::watched::Watched;

/// The launches at once that are worth while. 100 sleepers on two CPUs, with the engine 20.10, runc and nothing left idle:
/// 4.5 a second one at a time, 5.7 with two, 6.7 with four, 5.8 with eight. The engine is the limit, not the harness.
const LAUNCHES: usize = 4;

/// Threads of a container's shim: eleven or twelve, as counted beside 660 containers of the engine 20.10.
const SHIM_TASKS: u64 = 12;

/// What a container takes of the host's memory, rounded up: 4.3 MiB, most of it the shim's, measured to 1,000 of them.
const MEMORY_EACH: Bytes = Bytes(5 << 20);

/// What a machine of Kata's takes of the host's memory, with its kernel and the agent in it: never measured here, so as
/// much as an idle Linux in another monitor.
const MACHINE_MEMORY: Bytes = Bytes(256 << 20);

/// What a reader should know of sandboxes and machines.
const OWN_KERNEL: &str = "guests have a kernel of their own: limits cover both, and processes have room for it";

/// How an instance whose life is measured is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// By the engine's API, as an orchestrator does.
    Api,
    /// By `docker run --rm`, as a user does: from the start of that command to its end.
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
    /// The platform for one run, over the engine that `DOCKER_HOST` names; with `runtime` instead of the engine's
    /// default.
    pub fn new(context: &Context, start: Start, runtime: Option<&str>) -> Self {
        let engine = Address::from_env().and_then(|address| Engine::connect(&address, Patience::DEFAULT));
        Self::over(engine, context, start, runtime)
    }

    fn over(engine: Result<Engine, EngineError>, context: &Context, start: Start, runtime: Option<&str>) -> Self {
        let family = match start {
            Start::Api => "docker",
            Start::Command => "docker-cli",
        };
        let id = PlatformId::new(runtime.map_or(family.to_owned(), |runtime| format!("{family}:{runtime}")));
        let ask = |engine: Engine| engine.facts().map(|facts| (engine, facts));
        let shared = engine
            .and_then(ask)
            .map(|(engine, facts)| Arc::new(Shared::new(&id, engine, facts, context, EngineOwner::User)));
        let runtime = runtime.map(str::to_owned);
        Self { id, start, runtime, clock: HostClock, shared: shared.map_err(|e| unavailable(&e)) }
    }

    fn shared(&self) -> Result<&Arc<Shared>, Unavailable> {
        self.shared.as_ref().map_err(Clone::clone)
    }

    /// What the engine's configuration says of its runtime; `None` when that is not configured.
    fn configured<'a>(&self, facts: &'a Facts) -> Option<&'a Runtime> {
        facts.runtimes.get(self.runtime.as_ref().unwrap_or(&facts.default_runtime))
    }

    fn kernel(&self, facts: &Facts) -> Kernel {
        let name = self.runtime.as_ref().unwrap_or(&facts.default_runtime);
        self.configured(facts).map_or(Kernel::Host, |runtime| Kernel::of(name, runtime))
    }

    fn start(&self, purpose: Purpose) -> Start {
        if purpose == Purpose::Measured { self.start } else { Start::Api }
    }
}

impl Platform for Docker {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        let facts = self.shared.as_ref().map(|shared| &shared.facts).ok();
        let runtime = facts.and_then(|facts| self.configured(facts));
        let kernel = facts.map_or(Kernel::Host, |facts| self.kernel(facts));
        let remote = self.shared.as_ref().is_ok_and(|shared| !shared.engine.address().is_local());
        Capabilities {
            accelerator: if kernel == Kernel::Machine { Accelerator::Kvm } else { Accelerator::None },
            fork: true,
            limits: kernel == Kernel::Host,
            launch_concurrency: LAUNCHES,
            host_processes: kernel == Kernel::Host && !remote,
            network: !runtime.is_some_and(lacks_network) && !remote,
            own_memory: false,
            simulated: false,
        }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let shared = self.shared()?;
        let facts = &shared.facts;
        if let Some(runtime) = &self.runtime
            && self.configured(facts).is_none()
        {
            let known: Vec<_> = facts.runtimes.keys().map(String::as_str).collect();
            return Err(Unavailable {
                reason: format!("the engine has no runtime {runtime}, only {}", known.join(", ")),
                cure: cure(runtime),
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
                "remote, {}: no network loads, and neither placement nor what its guests use can be read back",
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
            // Another host bears it.
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
            // By version 2 of the control groups shims learn that memory ran out by inotify, by version 1 without.
            inotify: shared.facts.cgroups.ends_with("version 2").into(),
            // On its bridge the host learns the container, and the container the host.
            neighbours: 2,
            memory: Bytes(guest.memory.0.max(MEMORY_EACH.0)),
            forking: guest.forking,
            is_elsewhere: true,
        }
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
        let shared = self.shared()?;
        if shared.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let failed = |e: String| Error::failed(format!("launch {} on {}", spec.name, self.id), e);
        let mut instance = DockerInstance::prepare(shared, spec).map_err(failed)?;
        let mut container = shared.describe(spec, self.runtime.as_deref(), instance.network());
        if self.kernel(&shared.facts) != Kernel::Host {
            container.pids = container.pids.map(|pids| pids + SANDBOX_TASKS);
        }
        let started = match self.start(spec.purpose) {
            Start::Api => instance.start(&container),
            Start::Command => instance.run(&container),
        };
        match started {
            Ok(()) => Ok(Box::new(Watched::new(instance))),
            Err(e) => {
                let reason = instance.abandon(e);
                Err(if shared.interrupt.is_raised() { Error::Interrupted } else { failed(reason) })
            }
        }
    }
}

/// Whose kernel a guest runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    /// The host's.
    Host,
    /// A sandbox's own, a process of the host: gVisor.
    Sandbox,
    /// A virtual machine's own: Kata, none of whose monitors emulates (`machine_accelerators` of its configurations).
    Machine,
}

impl Kernel {
    /// That of this runtime's guests, by its name and its program. The program is missing where a runtime is configured by
    /// its type, such as `io.containerd.kata.v2`, which is its name then, or nothing is known of it.
    fn of(name: &str, runtime: &Runtime) -> Self {
        let program = Path::new(&runtime.program).file_name().unwrap_or_default().to_string_lossy();
        let has = |known: &[&str]| {
            let is_known = |word: &str| known.contains(&word.to_ascii_lowercase().as_str());
            [name, &program].iter().any(|text| text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_known))
        };
        match () {
            () if has(&["kata"]) => Kernel::Machine,
            () if has(&["runsc", "gvisor"]) => Kernel::Sandbox,
            () => Kernel::Host,
        }
    }
}

/// How a runtime gets into the engine's configuration.
fn cure(runtime: &str) -> String {
    let add = format!("add {runtime} to \"runtimes\" in /etc/docker/daemon.json and restart dockerd");
    match Kernel::of(runtime, &Runtime::default()) {
        Kernel::Machine => format!(
            "install Kata Containers on a host with KVM, {add}: \"{runtime}\": {{\"runtimeType\": \
             \"io.containerd.kata.v2\"}} (Docker 23 or later)"
        ),
        Kernel::Host | Kernel::Sandbox => add,
    }
}

/// Whether the engine's configuration withholds the network from this runtime, as gVisor needs it on kernels where it
/// takes every network namespace for the host's.
fn lacks_network(runtime: &Runtime) -> bool {
    runtime.arguments.iter().any(|argument| argument.trim_start_matches('-') == "network=none")
}

/// An engine's failure as the reason why a platform cannot run.
fn unavailable(error: &EngineError) -> Unavailable {
    let text = error.to_string();
    let (reason, cure) = text.split_once("; ").unwrap_or((&text, "look at the engine's log"));
    Unavailable { reason: reason.to_owned(), cure: cure.to_owned() }
}

#[cfg(test)]
mod tests;
