//! `qemu:SYSTEM`: a virtual machine by QEMU, with a guest system and one program in it.
//!
//! Data flow: the harness starts `qemu-system-x86_64` with the guest's console as its standard output, with a monitor's
//! socket and a tap as open files, and nothing else of its own; the monitor's greeting says that it is up, the console's
//! first byte that the guest is, its lines what the program does. Invariants: nothing of a machine is in the file system
//! but its images, which it only reads; everything that it has open is gone with its process.

mod accelerator;
mod append;
mod command;
mod flavour;
mod instance;
mod qmp;
mod start;

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use instance::QemuInstance;
use start::{LaunchPlan, Vmm};

pub use accelerator::{Detected, probe};
pub use flavour::{Flavour, GuestSystem, MachineType};

use super::machine::{MonitorContext, Overhead, PortProbe, kernel_for_guests, memory_of};
use super::{BootArtifact, Context, Endpoint, Error, Instance, LaunchSpec, Platform, ResourceCost};
use crate::guest::system::System;
use crate::guest::system::unikernel::{self, Monitor, UnikernelError};
use crate::guest::{Image, system};
use crate::host::clock::{Clock, HostClock};
use crate::host::folders::Folders;
use crate::host::ledger::Resource;
use crate::host::network::Offload;
use crate::host::tools;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::process::watch::{Watch, pipe};
use crate::platform::process::watched::Watched;

/// What the monitor may use besides its guest's memory: an idle Linux's has 60 MiB (QEMU 10.0.2, emulated), and more with
/// every device that is driven hard.
const MONITOR_MEMORY: Bytes = Bytes(384 << 20);

/// Threads of a monitor besides its processors: input and output, its own. An idle one has two.
const MONITOR_TASKS: u32 = 64;

/// Virtual machines of one kind.
#[derive(Debug)]
pub struct Qemu {
    id: PlatformId,
    flavour: Flavour,
    context: Context,
    clock: HostClock,
    folders: Folders,
    monitor_context: MonitorContext,
    vmm: OnceLock<Result<Vmm, Unavailable>>,
}

impl Qemu {
    /// The platform of `flavour`, whose name is `name`, for one run.
    pub fn new(context: Context, name: &str, flavour: Flavour) -> Self {
        let monitor_context = MonitorContext::new(&context);
        Self {
            id: PlatformId::new(format!("qemu:{name}")),
            flavour,
            context,
            clock: HostClock,
            folders: Folders::from_env(),
            monitor_context,
            vmm: OnceLock::new(),
        }
    }

    /// The monitor and what it executes guests by, found out once.
    fn vmm(&self) -> Result<&Vmm, Unavailable> {
        let set = self.context.settings.qemu.as_deref();
        let find = || Vmm::find(&self.folders, set, self.flavour.accelerator);
        self.vmm.get_or_init(find).as_ref().map_err(Unavailable::clone)
    }

    /// The folders that its guests are in.
    fn guests(&self) -> Folders {
        self.context.settings.folders(&self.folders)
    }

    /// The guest system with `image`'s program in it, built if it is missing.
    fn build(&self, image: &Image) -> Result<System, Error> {
        let folders = self.guests();
        let mut silent = |_: &str| {};
        let built = match self.flavour.system {
            GuestSystem::Null if system::null_runs(image.program) => system::null(&folders, &mut silent),
            GuestSystem::Null => {
                return Err(Error::Unavailable(Unavailable {
                    reason: "the guest system null runs hello and sleep alone".to_owned(),
                    cure: "measure this on qemu:linux".to_owned(),
                }));
            }
            GuestSystem::Linux => system::linux(&folders, image, &mut silent),
            GuestSystem::Debian => system::debian(&folders, image, &mut silent),
            unikernel => {
                let built = unikernel::system(&folders, unikernel.name(), image.program, Monitor::Qemu);
                return built.map_err(|e| Error::Unavailable(not_built(unikernel, &e)));
            }
        };
        built.map_err(|e| Error::failed(format!("prepare {} on {}", image.program, self.id), e))
    }

    /// Whether what every guest of this system needs is here.
    fn check_images(&self) -> Result<(), Unavailable> {
        let lacks = |reason: &str, cure: &str| Unavailable { reason: reason.to_owned(), cure: cure.to_owned() };
        let folders = self.guests();
        match self.flavour.system {
            GuestSystem::Linux => kernel_for_guests(&folders),
            GuestSystem::Debian if !system::has_disk(&folders) => {
                Err(lacks("no Debian for guests is here yet", "make it, as root: cargo xtask images --platform debian"))
            }
            it if it.is_unikernel() => {
                let is_built = |&p: &Program| unikernel::system(&folders, it.name(), p, Monitor::Qemu);
                let first = Program::ALL.iter().map(is_built).find(Result::is_ok);
                let none = || Unavailable { reason: format!("no image of {it} is built"), cure: cure_of(it) };
                first.map(drop).ok_or_else(none)
            }
            _ => Ok(()),
        }
    }

    /// What a reader of the results has to know of the images of a unikernel.
    fn notes_on_images(&self) -> Vec<String> {
        let system = self.flavour.system;
        let folders = self.guests();
        let built = Program::ALL.iter().filter(|_| system.is_unikernel());
        let manifests = built.filter_map(|&program| unikernel::load(&folders, system.name(), program).ok());
        manifests.flat_map(|m| m.notes.into_iter().map(move |note| format!("{}: {note}", m.program))).collect()
    }

    fn overhead(&self) -> Overhead {
        Overhead { memory: MONITOR_MEMORY, tasks: MONITOR_TASKS + self.flavour.vcpus }
    }

    fn has_network(&self) -> bool {
        self.flavour.system.has_card() && rustix::process::geteuid().is_root() && Path::new("/dev/net/tun").exists()
    }

    /// Writes all down, makes what a machine needs and starts it.
    fn start(&self, spec: &LaunchSpec) -> Result<QemuInstance, Error> {
        let failed = |e: io::Error| Error::failed(format!("launch {} on {}", spec.name, self.id), e);
        let (vmm, system) = (self.vmm()?, self.monitor_context.prepared(&spec.image).map_err(failed)?);
        let memory = memory_of(spec, &system);
        self.context.ledger.record(&Resource::Process { name: spec.name.clone() }).map_err(failed)?;
        let (read, write) = pipe().map_err(failed)?;
        let watch = Watch::new(&spec.name, read, &self.context.interrupt);
        let cgroup = self.monitor_context.confine(spec, memory, self.overhead()).map_err(failed)?;
        let mut instance = QemuInstance::new(watch, cgroup, memory).map_err(failed)?;
        let by_port = self.flavour.system.is_ready_by_port(spec.image.program);
        let console = by_port.then(|| write.try_clone()).transpose().map_err(failed)?;
        let run = self.context.ledger.run();
        let words = self.context.settings.words().collect();
        let machine = LaunchPlan { vmm, flavour: self.flavour, system: &system, memory, spec, words, run };
        let started =
            self.connect(spec, &mut instance).map_err(failed).and_then(|()| machine.boot(&mut instance, write));
        match started {
            Ok(()) => {
                instance.knocking = PortProbe::begin(instance.endpoint.as_ref(), console);
                Ok(instance)
            }
            Err(e) => {
                instance.abandon();
                Err(match e {
                    Error::Failed { action, reason } => failed(io::Error::other(format!("{action}: {reason}"))),
                    other => other,
                })
            }
        }
    }

    /// Connects the machine, which is a part of its boot.
    fn connect(&self, spec: &LaunchSpec, instance: &mut QemuInstance) -> io::Result<()> {
        if spec.network == Networking::None || !self.flavour.system.has_card() {
            return Ok(());
        }
        instance.watch.stamp(Event::Spawn);
        let offload = if self.flavour.system.is_unikernel() { Offload::Plain } else { Offload::Header };
        let tap = self.context.network.attach_tap(offload)?;
        self.context.settings.delay(spec).map_or(Ok(()), |span| tap.delay(span))?;
        let at = |port| Endpoint { address: (tap.address(), port).into(), netns: self.context.network.netns() };
        instance.endpoint = spec.image.program.listens().map(at);
        instance.tap = Some(tap);
        Ok(())
    }
}

/// A unikernel that was not built leaves its trials out.
fn not_built(system: GuestSystem, error: &UnikernelError) -> Unavailable {
    let reason = match error {
        UnikernelError::NotBuilt { program, .. } => format!("no image of {system} with {program} is built"),
        other => other.to_string(),
    };
    Unavailable { reason, cure: cure_of(system) }
}

fn cure_of(system: GuestSystem) -> String {
    format!("build them: cargo xtask images --platform {system}; or measure --platform qemu:linux")
}

/// Whether KVM executes guests here, by the word of a guest in QEMU; `None` without QEMU or that guest.
pub(super) fn kvm_executes(folders: &Folders) -> Option<Result<(), Unavailable>> {
    tools::find(start::PROGRAM)?;
    system::null(folders, &mut |_| {}).ok()?;
    Some(Vmm::find(folders, None, Some(Accelerator::Kvm)).map(drop))
}

impl Platform for Qemu {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            accelerator: self.vmm().map_or(Accelerator::None, |vmm| vmm.accelerator),
            fork: matches!(self.flavour.system, GuestSystem::Linux | GuestSystem::Debian),
            // Its guest's processes are nobody's but its own kernel's to limit.
            limits: false,
            launch_concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            host_processes: false,
            network: self.has_network(),
            own_memory: true,
            simulated: false,
        }
    }

    fn resource_cost(&self) -> ResourceCost {
        ResourceCost {
            tasks: 5 + u64::from(self.flavour.vcpus),
            neighbours: 1,
            memory: self.flavour.system.idle_memory(),
            ..ResourceCost::default()
        }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let vmm = self.vmm()?;
        self.check_images()?;
        let mut notes = vec![format!("accelerator: {}", vmm.accelerator)];
        notes.extend(vmm.note.clone());
        notes.extend(self.notes_on_images());
        Ok(PlatformFacts { version: vmm.version.clone(), notes })
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        self.monitor_context.prepare(&self.id, image, |image| self.build(image))
    }

    fn boot_artifact(&self, image: &Image) -> BootArtifact {
        self.monitor_context.boot_artifact(image)
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        if self.context.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        Ok(Box::new(Watched::new(self.start(spec)?)))
    }
}
