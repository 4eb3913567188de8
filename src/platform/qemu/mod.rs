//! `qemu:SYSTEM`: a virtual machine by QEMU, with a guest system and one program in it.
//!
//! The harness starts `qemu-system-x86_64`. The guest's console is its standard output; the monitor's socket and a tap
//! are open files that it inherits. The monitor's greeting marks the moment when QEMU is up, the console's first byte
//! the moment when the guest is. Invariants: a machine has no files but its images, which it only reads, and everything
//! that it opened is gone when its process is.

mod accelerator;
mod append;
mod command;
mod flavor;
mod monitor;
mod qmp;
mod start;

use std::io;
use std::path::Path;
use std::sync::OnceLock;

use monitor::{QemuInstance, QemuMonitor};
use start::{LaunchPlan, Vmm};

pub use flavor::{Flavor, GuestSystem, MachineType};

use super::machine::{MonitorContext, Overhead, check_kernel, memory_of};
use super::settings::Refusal;
use super::{
    BootArtifact, Context, Error, Instance, LaunchSpec, Platform, ResourceCost, SettingKind, Settings,
    UnsupportedSetting,
};
use crate::guest::system::System;
use crate::guest::system::unikernel::{self, Monitor, UnikernelError};
use crate::guest::{Image, system};
use crate::host::clock::{Clock, HostClock};
use crate::host::folders::Folders;
use crate::host::network::Offload;
use crate::host::tools;
use crate::model::platform::{Accelerator, Capabilities, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::process::watched::Watched;

/// What the monitor may use in addition to its guest's memory. That of an idle Linux has 60 MiB (QEMU 10.0.2, emulated),
/// and more with every busy device.
const MONITOR_MEMORY: Bytes = Bytes(384 << 20);

/// Threads of a monitor in addition to its virtual CPUs. An idle one has two.
const MONITOR_TASKS: u32 = 64;

/// The settings of an arm that at least one guest system supports.
pub(super) const SETTINGS: &[SettingKind] = &[
    SettingKind::Qemu,
    SettingKind::Images,
    SettingKind::Guests,
    SettingKind::Append,
    SettingKind::Busy,
    SettingKind::Quota,
    SettingKind::Delay,
];

/// What the host bears for a machine with one virtual CPU and a small Linux.
pub(super) const COST: ResourceCost =
    ResourceCost { tasks: 6, neighbors: 1, memory: GuestSystem::Linux.idle_memory(), ..ResourceCost::PROCESS };

/// Virtual machines of one flavor.
#[derive(Debug)]
pub struct Qemu {
    id: PlatformId,
    flavor: Flavor,
    context: Context,
    clock: HostClock,
    folders: Folders,
    monitor_context: MonitorContext,
    vmm: OnceLock<Result<Vmm, Unavailable>>,
}

impl Qemu {
    /// The platform `qemu:NAME` for one run; `flavor` is what `name` means.
    pub fn new(context: Context, name: &str, flavor: Flavor) -> Self {
        let monitor_context = MonitorContext::new(&context);
        Self {
            id: PlatformId::new(format!("qemu:{name}")),
            flavor,
            context,
            clock: HostClock,
            folders: Folders::from_env(),
            monitor_context,
            vmm: OnceLock::new(),
        }
    }

    /// QEMU and its accelerator, detected once.
    fn vmm(&self) -> Result<&Vmm, Unavailable> {
        let set = self.context.settings.qemu.as_deref();
        let find = || Vmm::find(&self.folders, set, self.flavor.accelerator);
        self.vmm.get_or_init(find).as_ref().map_err(Unavailable::clone)
    }

    /// The folders of its guests.
    fn guests(&self) -> Folders {
        self.context.settings.folders(&self.folders)
    }

    /// The guest system with `image`'s program in it, built if it is missing.
    fn build(&self, image: &Image) -> Result<System, Error> {
        let folders = self.guests();
        let mut silent = |_: &str| {};
        let built = match self.flavor.system {
            GuestSystem::Null if system::null_runs(image.program) => system::null(&folders, &mut silent),
            GuestSystem::Null => {
                let reason = "the guest system null runs only hello and sleep";
                return Err(Unavailable::new(reason, "measure this on qemu:linux").into());
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

    /// Checks that this host has what every guest of this system needs.
    fn check_images(&self) -> Result<(), Unavailable> {
        let folders = self.guests();
        match self.flavor.system {
            GuestSystem::Linux => check_kernel(&folders),
            GuestSystem::Debian if !system::has_disk(&folders) => Err(Unavailable::new(
                "the Debian for guests is missing",
                "build it, as root: cargo xtask images --platform debian",
            )),
            system if system.is_unikernel() => {
                let is_built =
                    |&program: &Program| unikernel::system(&folders, system.name(), program, Monitor::Qemu).is_ok();
                if Program::ALL.iter().any(is_built) {
                    return Ok(());
                }
                Err(Unavailable::new(format!("no image of {system} is built"), how_to_build(system)))
            }
            _ => Ok(()),
        }
    }

    /// What a reader of the results must know about the images of a unikernel.
    fn notes_on_images(&self) -> Vec<String> {
        let (system, folders) = (self.flavor.system, self.guests());
        if !system.is_unikernel() {
            return Vec::new();
        }
        let mut notes = Vec::new();
        for &program in Program::ALL {
            if let Ok(manifest) = unikernel::load(&folders, system.name(), program) {
                notes.extend(manifest.notes.iter().map(|note| format!("{}: {note}", manifest.program)));
            }
        }
        notes
    }

    fn overhead(&self) -> Overhead {
        Overhead { memory: MONITOR_MEMORY, tasks: MONITOR_TASKS + self.flavor.vcpus }
    }

    fn has_network(&self) -> bool {
        self.flavor.system.has_network_card()
            && rustix::process::geteuid().is_root()
            && Path::new("/dev/net/tun").exists()
    }

    /// Creates everything that a machine needs, and starts it.
    fn start(&self, spec: &LaunchSpec) -> Result<QemuInstance, Error> {
        let failed = |e: io::Error| Error::failed(format!("launch {} on {}", spec.name, self.id), e);
        let (vmm, system) = (self.vmm()?, self.monitor_context.prepared(&spec.image).map_err(failed)?);
        let memory = memory_of(spec, &system);
        let monitor = QemuMonitor::default();
        let (mut instance, write) =
            self.monitor_context.create(spec, memory, self.overhead(), monitor).map_err(failed)?;
        let by_port = self.flavor.system.is_ready_by_port(spec.image.program);
        let console = by_port.then(|| write.try_clone()).transpose().map_err(failed)?;
        let plan = LaunchPlan { vmm, flavor: self.flavor, system: &system, memory, spec, context: &self.context };
        let connected = self.connect(spec, &mut instance).map_err(failed);
        if let Err(e) = connected.and_then(|()| plan.boot(&mut instance, write)) {
            instance.abandon();
            return Err(match e {
                Error::Failed { action, reason } => failed(io::Error::other(format!("{action}: {reason}"))),
                other => other,
            });
        }
        instance.probe_port(console);
        Ok(instance)
    }

    fn connect(&self, spec: &LaunchSpec, instance: &mut QemuInstance) -> io::Result<()> {
        if !self.flavor.system.has_network_card() {
            return Ok(());
        }
        let offload = if self.flavor.system.is_unikernel() { Offload::Plain } else { Offload::Header };
        instance.connect(&self.context, spec, |network| network.attach_tap(offload))
    }
}

/// A unikernel that was not built: its trials are skipped.
fn not_built(system: GuestSystem, error: &UnikernelError) -> Unavailable {
    let reason = match error {
        UnikernelError::NotBuilt { program, .. } => format!("no image of {system} with {program} is built"),
        other => other.to_string(),
    };
    Unavailable::new(reason, how_to_build(system))
}

fn how_to_build(system: GuestSystem) -> String {
    format!("build them: cargo xtask images --platform {system}; or measure --platform qemu:linux")
}

/// Whether KVM executes guests here, found by booting one in QEMU; `None` without QEMU or that guest.
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
            fork: self.flavor.system.is_linux(),
            // Only the guest's own kernel can limit its processes.
            limits: false,
            launch_concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            host_processes: false,
            network: self.has_network(),
            own_memory: true,
            simulated: false,
        }
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        let system = self.flavor.system;
        settings.check_each(&self.id, |kind| match kind {
            SettingKind::Append if !system.is_linux() => Err(Refusal::no_linux()),
            SettingKind::Guests if system.is_unikernel() => Err(Refusal::unikernel()),
            SettingKind::Guests if system == GuestSystem::Debian => Err(Refusal::new(
                "its disk is built as root, which takes minutes",
                "build it in a checkout of that revision with cargo xtask images, and name its images: images=DIR; or \
                 choose qemu:linux",
            )),
            SettingKind::Busy if matches!(system, GuestSystem::Null | GuestSystem::Mirage) => {
                Err(kind.refusal().choose("inject a quota, or choose qemu:linux"))
            }
            SettingKind::Delay if !system.has_network_card() => {
                Err(kind.refusal().choose("inject a quota, or choose qemu:linux"))
            }
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
