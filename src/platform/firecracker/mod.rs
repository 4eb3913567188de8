//! `firecracker:SYSTEM`: a virtual machine by Firecracker, with a guest system and one program in it.
//!
//! Data flow: the harness starts `firecracker` with the guest's console as its standard output, and its log and its
//! configuration as open files in memory. It opens its tap by name and so runs in the run's network namespace. The
//! console's first byte says that the guest is up, its lines what the program does and how it ended: the monitor ends with
//! success whatever the guest did. Invariants: nothing of a machine is in the file system but its images, which it only
//! reads; it executes by hardware or not at all.

mod config;
mod flavour;
mod instance;
mod start;
#[cfg(test)]
mod tests;
mod vmm;

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use instance::FirecrackerInstance;
use start::LaunchPlan;
use vmm::Vmm;

pub use flavour::Flavour;
pub(super) use vmm::kvm;

use super::machine::{MonitorContext, Overhead, PortProbe, kernel_for_guests, memory_of};
use super::qemu::GuestSystem;
use super::{BootArtifact, Context, Endpoint, Error, Instance, LaunchSpec, Platform, ResourceCost};
use crate::guest::system::unikernel::Monitor;
use crate::guest::system::{System, unikraft};
use crate::guest::{Image, system};
use crate::host::clock::{Clock, HostClock};
use crate::host::folders::Folders;
use crate::host::ledger::Resource;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::process::watch::{Watch, pipe};
use crate::platform::process::watched::Watched;

/// What the monitor may use besides its guest's memory; its own specification promises 5 MiB (`SPECIFICATION.md`), without
/// what the kernel keeps for its guest.. Threads: its processors, at most 32, and its own.
const OVERHEAD: Overhead = Overhead { memory: Bytes(64 << 20), tasks: 40 };

/// Virtual machines of one kind.
#[derive(Debug)]
pub struct Firecracker {
    id: PlatformId,
    flavour: Flavour,
    context: Context,
    clock: HostClock,
    folders: Folders,
    monitor_context: MonitorContext,
    vmm: OnceLock<Result<Vmm, Unavailable>>,
}

impl Firecracker {
    /// The platform of `flavour` for one run.
    pub fn new(context: Context, flavour: Flavour) -> Self {
        let monitor_context = MonitorContext::new(&context);
        Self {
            id: PlatformId::new(format!("firecracker:{flavour}")),
            flavour,
            context,
            clock: HostClock,
            folders: Folders::from_env(),
            monitor_context,
            vmm: OnceLock::new(),
        }
    }

    /// The monitor, found once.
    fn vmm(&self) -> Result<&Vmm, Unavailable> {
        let find = || Vmm::find(&self.folders, self.flavour.system);
        self.vmm.get_or_init(find).as_ref().map_err(Unavailable::clone)
    }

    /// The folders that its guests are in.
    fn guests(&self) -> Folders {
        self.context.settings.folders(&self.folders)
    }

    /// The guest system with `image`'s program in it, built if it is missing.
    fn build(&self, image: &Image) -> Result<System, Error> {
        let folders = self.guests();
        if self.flavour.system == GuestSystem::Unikraft {
            let built = unikraft::system(&folders, image.program, Monitor::Firecracker);
            return built.map_err(|e| Error::Unavailable(not_built(e.to_string())));
        }
        let failed = |e| Error::failed(format!("prepare {} on {}", image.program, self.id), e);
        let mut silent = |_: &str| {};
        let system = system::linux(&folders, image, &mut silent).map_err(failed)?;
        // It boots an ELF file, where QEMU takes what the distribution ships.
        let kernel = system::elf_kernel(&folders, &mut silent).map_err(failed)?;
        let bytes = |path: &Path| path.metadata().map_or(0, |file| file.len());
        let size = Bytes(system.size.0.saturating_sub(bytes(&system.kernel)) + bytes(&kernel));
        Ok(System { kernel, size, ..system })
    }

    /// Whether what every guest of this system needs is here.
    fn check_images(&self) -> Result<(), Unavailable> {
        let folders = self.guests();
        let is_built = |&program: &Program| unikraft::system(&folders, program, Monitor::Firecracker).is_ok();
        match self.flavour.system {
            GuestSystem::Unikraft if unikraft::PROGRAMS.iter().any(is_built) => Ok(()),
            GuestSystem::Unikraft => Err(not_built("the images of Unikraft are not built for Firecracker".to_owned())),
            _ => kernel_for_guests(&folders),
        }
    }

    /// Writes all down, makes what a machine needs and starts it.
    fn start(&self, spec: &LaunchSpec, vmm: &Vmm) -> io::Result<FirecrackerInstance> {
        let system = self.monitor_context.prepared(&spec.image)?;
        let memory = config::whole_mebibytes(memory_of(spec, &system));
        self.context.ledger.record(&Resource::Process { name: spec.name.clone() })?;
        let (read, write) = pipe()?;
        let watch = Watch::new(&spec.name, read, &self.context.interrupt);
        let cgroup = self.monitor_context.confine(spec, memory, OVERHEAD)?;
        let mut instance = FirecrackerInstance::new(watch, cgroup, memory)?;
        let plan = LaunchPlan { vmm, flavour: self.flavour, system: &system, spec, context: &self.context };
        match self.connect(spec, &mut instance).and_then(|()| plan.boot(&mut instance, &write)) {
            Ok(()) => {
                let console = self.flavour.system.is_ready_by_port(spec.image.program).then_some(write);
                instance.knocking = PortProbe::begin(instance.endpoint.as_ref(), console);
                Ok(instance)
            }
            Err(e) => {
                instance.abandon();
                Err(e)
            }
        }
    }

    /// Connects the machine, which is a part of its boot.
    fn connect(&self, spec: &LaunchSpec, instance: &mut FirecrackerInstance) -> io::Result<()> {
        if spec.network == Networking::None {
            return Ok(());
        }
        instance.watch.stamp(Event::Spawn);
        let tap = self.context.network.attach_persistent_tap()?;
        self.context.settings.delay(spec).map_or(Ok(()), |span| tap.delay(span))?;
        let at = |port| Endpoint { address: (tap.address(), port).into(), netns: self.context.network.netns() };
        instance.endpoint = spec.image.program.listens().map(at);
        instance.tap = Some(tap);
        Ok(())
    }
}

/// A unikernel that was not built leaves its trials out.
fn not_built(reason: String) -> Unavailable {
    let cure = "build it: cargo xtask images --platform unikraft; or measure --platform firecracker:linux";
    Unavailable { reason, cure: cure.to_owned() }
}

impl Platform for Firecracker {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            accelerator: Accelerator::Kvm,
            fork: self.flavour.system == GuestSystem::Linux,
            // Its guest's processes are nobody's but its own kernel's to limit.
            limits: false,
            launch_concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            host_processes: false,
            network: rustix::process::geteuid().is_root() && Path::new("/dev/net/tun").exists(),
            own_memory: true,
            simulated: false,
        }
    }

    fn resource_cost(&self) -> ResourceCost {
        let tasks = 2 + u64::from(self.flavour.vcpus);
        ResourceCost { tasks, neighbours: 1, memory: self.flavour.system.idle_memory(), ..ResourceCost::default() }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let vmm = self.vmm()?;
        self.check_images()?;
        let notes = [format!("accelerator: {}", Accelerator::Kvm)].into_iter().chain(vmm.note.clone()).collect();
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
        let started = self.start(spec, self.vmm()?);
        let instance = started.map_err(|e| Error::failed(format!("launch {} on {}", spec.name, self.id), e))?;
        Ok(Box::new(Watched::new(instance)))
    }
}
