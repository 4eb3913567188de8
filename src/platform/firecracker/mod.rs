//! `firecracker:SYSTEM`: a virtual machine by Firecracker, with a guest system and one program in it.
//!
//! The harness starts `firecracker`. The guest's console is its standard output; its log and its configuration are open
//! files in memory. It opens its tap by name, so it runs in the run's network namespace. The console's first byte marks
//! the moment when the guest is up. The guest prints how its program ended, since the monitor always exits with success.
//! Invariants: a machine has no files but its images, which it only reads, and it needs hardware virtualization.

mod config;
mod flavor;
mod monitor;
mod start;
#[cfg(test)]
mod tests;
mod vmm;

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use monitor::{FirecrackerInstance, FirecrackerMonitor};
use start::LaunchPlan;
use vmm::Vmm;

pub use flavor::Flavor;
pub(super) use vmm::check_kvm;

use super::machine::{MonitorContext, Overhead, check_kernel, memory_of};
use super::qemu::GuestSystem;
use super::settings::Refusal;
use super::{
    BootArtifact, Context, Error, Instance, LaunchSpec, Platform, ResourceCost, SettingKind, Settings,
    UnsupportedSetting,
};
use crate::guest::system::unikernel::Monitor;
use crate::guest::system::{System, unikraft};
use crate::guest::{Image, system};
use crate::host::clock::{Clock, HostClock};
use crate::host::folders::Folders;
use crate::model::platform::{Accelerator, Capabilities, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::process::watched::Watched;

/// What the monitor may use in addition to its guest's memory. Its specification promises 5 MiB (`SPECIFICATION.md`),
/// without what the kernel needs for its guest. Threads: at most 32 virtual CPUs, and its own.
const OVERHEAD: Overhead = Overhead { memory: Bytes(64 << 20), tasks: 40 };

/// The settings of an arm that at least one guest system supports.
pub(super) const SETTINGS: &[SettingKind] = &[
    SettingKind::Images,
    SettingKind::Guests,
    SettingKind::Append,
    SettingKind::Busy,
    SettingKind::Quota,
    SettingKind::Delay,
];

/// What the host bears for a machine with one virtual CPU and a small Linux.
pub(super) const COST: ResourceCost =
    ResourceCost { tasks: 3, neighbors: 1, memory: GuestSystem::Linux.idle_memory(), ..ResourceCost::PROCESS };

/// Virtual machines of one flavor.
#[derive(Debug)]
pub struct Firecracker {
    id: PlatformId,
    flavor: Flavor,
    context: Context,
    clock: HostClock,
    folders: Folders,
    monitor_context: MonitorContext,
    vmm: OnceLock<Result<Vmm, Unavailable>>,
}

impl Firecracker {
    /// The platform of `flavor` for one run.
    pub fn new(context: Context, flavor: Flavor) -> Self {
        let monitor_context = MonitorContext::new(&context);
        Self {
            id: PlatformId::new(format!("firecracker:{flavor}")),
            flavor,
            context,
            clock: HostClock,
            folders: Folders::from_env(),
            monitor_context,
            vmm: OnceLock::new(),
        }
    }

    /// The monitor, found once.
    fn vmm(&self) -> Result<&Vmm, Unavailable> {
        let find = || Vmm::find(&self.folders, self.flavor.system);
        self.vmm.get_or_init(find).as_ref().map_err(Unavailable::clone)
    }

    /// The folders of its guests.
    fn guests(&self) -> Folders {
        self.context.settings.folders(&self.folders)
    }

    /// The guest system with `image`'s program in it, built if it is missing.
    fn build(&self, image: &Image) -> Result<System, Error> {
        let folders = self.guests();
        if self.flavor.system == GuestSystem::Unikraft {
            let built = unikraft::system(&folders, image.program, Monitor::Firecracker);
            return built.map_err(|e| Error::Unavailable(not_built(e.to_string())));
        }
        let failed = |e| Error::failed(format!("prepare {} on {}", image.program, self.id), e);
        let mut silent = |_: &str| {};
        let system = system::linux(&folders, image, &mut silent).map_err(failed)?;
        // It boots an ELF file; QEMU boots the file that the distribution ships.
        let kernel = system::elf_kernel(&folders, &mut silent).map_err(failed)?;
        let bytes = |path: &Path| path.metadata().map_or(0, |file| file.len());
        let size = Bytes(system.size.0.saturating_sub(bytes(&system.kernel)) + bytes(&kernel));
        Ok(System { kernel, size, ..system })
    }

    /// Checks that this host has what every guest of this system needs.
    fn check_images(&self) -> Result<(), Unavailable> {
        let folders = self.guests();
        let is_built = |&program: &Program| unikraft::system(&folders, program, Monitor::Firecracker).is_ok();
        match self.flavor.system {
            GuestSystem::Unikraft if unikraft::PROGRAMS.iter().any(is_built) => Ok(()),
            GuestSystem::Unikraft => Err(not_built("the images of Unikraft are not built for Firecracker".to_owned())),
            _ => check_kernel(&folders),
        }
    }

    /// Creates everything that a machine needs, and starts it.
    fn start(&self, spec: &LaunchSpec, vmm: &Vmm) -> io::Result<FirecrackerInstance> {
        let system = self.monitor_context.prepared(&spec.image)?;
        let memory = config::whole_mebibytes(memory_of(spec, &system));
        let monitor = FirecrackerMonitor::new()?;
        let (mut instance, write) = self.monitor_context.create(spec, memory, OVERHEAD, monitor)?;
        let plan = LaunchPlan { vmm, flavor: self.flavor, system: &system, spec, context: &self.context };
        let connected = instance.connect(&self.context, spec, |network| network.attach_persistent_tap());
        if let Err(e) = connected.and_then(|()| plan.boot(&mut instance, &write)) {
            instance.abandon();
            return Err(e);
        }
        instance.probe_port(self.flavor.system.is_ready_by_port(spec.image.program).then_some(write));
        Ok(instance)
    }
}

/// A unikernel that was not built: its trials are skipped.
fn not_built(reason: String) -> Unavailable {
    let cure = "build it: cargo xtask images --platform unikraft; or measure --platform firecracker:linux";
    Unavailable::new(reason, cure)
}

impl Platform for Firecracker {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            accelerator: Accelerator::Kvm,
            fork: self.flavor.system == GuestSystem::Linux,
            // Only the guest's own kernel can limit its processes.
            limits: false,
            launch_concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            host_processes: false,
            network: rustix::process::geteuid().is_root() && Path::new("/dev/net/tun").exists(),
            own_memory: true,
            simulated: false,
        }
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        let is_linux = self.flavor.system.is_linux();
        settings.check_each(&self.id, |kind| match kind {
            SettingKind::Append if !is_linux => Err(Refusal::no_linux()),
            SettingKind::Guests if !is_linux => Err(Refusal::unikernel()),
            other => other.among(SETTINGS),
        })
    }

    fn resource_cost(&self) -> ResourceCost {
        let tasks = COST.tasks - 1 + u64::from(self.flavor.vcpus);
        ResourceCost { tasks, memory: self.flavor.system.idle_memory(), ..COST }
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
