//! `solo5:mirage`: a MirageOS unikernel on Solo5's monitor for KVM. `solo5:mirage-spt` uses the monitor without KVM: a
//! process whose system calls seccomp restricts to a handful.
//!
//! The harness starts the monitor with the guest's console as its standard output. The console's first byte marks the
//! moment when the guest is up; its lines report what the program does and how it ended. The monitor exits with the status
//! that the guest passed to `solo5_exit`. Invariants: a machine has no files but its image, which it only reads, and no
//! network. It was never run with the real monitors: see `docs/unikernels.md`.

mod monitor;
#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

use monitor::{Solo5Instance, Solo5Monitor};

use super::firecracker;
use super::machine::{MonitorCommand, MonitorContext, Overhead, find_monitor, memory_of};
use super::qemu::GuestSystem;
use super::settings::Refusal;
use super::{
    BootArtifact, Context, Error, Instance, LaunchSpec, Platform, ResourceCost, SettingKind, Settings,
    UnsupportedSetting,
};
use crate::guest::Image;
use crate::guest::system::unikernel::Monitor;
use crate::guest::system::{System, mirage};
use crate::host::clock::{Clock, HostClock};
use crate::host::folders::Folders;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::process::watch::ExitBehavior;
use crate::platform::process::watched::Watched;

/// What a monitor may use in addition to its guest's memory, estimated generously: it has one thread and no devices.
const OVERHEAD: Overhead = Overhead { memory: Bytes(64 << 20), tasks: 2 };

/// What to suggest when these unikernels cannot do what was requested.
const INSTEAD: &str = "measure --platform qemu:linux";

/// How to install the monitors.
const INSTALL: &str = "install Solo5: opam install solo5, or your distribution's package";

/// The arm settings that this platform supports.
pub(super) const SETTINGS: &[SettingKind] = &[SettingKind::Images, SettingKind::Quota];

/// What one machine costs the host.
pub(super) const COST: ResourceCost =
    ResourceCost { memory: GuestSystem::Mirage.idle_memory(), ..ResourceCost::PROCESS };

/// The monitor that a flavor names: `mirage` or `mirage-spt`; `None` for anything else.
pub fn monitor(flavor: &str) -> Option<Monitor> {
    match flavor {
        "mirage" => Some(Monitor::Solo5Hvt),
        "mirage-spt" => Some(Monitor::Solo5Spt),
        _ => None,
    }
}

/// A monitor's program.
#[derive(Debug, Clone)]
struct Vmm {
    program: PathBuf,
    version: String,
    /// What a reader should know about how it was tested.
    note: Option<String>,
}

/// MirageOS unikernels on one of Solo5's monitors.
#[derive(Debug)]
pub struct Solo5 {
    id: PlatformId,
    monitor: Monitor,
    context: Context,
    clock: HostClock,
    folders: Folders,
    monitor_context: MonitorContext,
    vmm: OnceLock<Result<Vmm, Unavailable>>,
}

impl Solo5 {
    /// The platform `solo5:FLAVOR` for one run; `monitor` is what `flavor` means.
    pub fn new(context: Context, flavor: &str, monitor: Monitor) -> Self {
        let monitor_context = MonitorContext::new(&context);
        Self {
            id: PlatformId::new(format!("solo5:{flavor}")),
            monitor,
            context,
            clock: HostClock,
            folders: Folders::from_env(),
            monitor_context,
            vmm: OnceLock::new(),
        }
    }

    fn accelerator(&self) -> Accelerator {
        if self.monitor == Monitor::Solo5Hvt { Accelerator::Kvm } else { Accelerator::None }
    }

    /// The monitor, searched for once.
    fn vmm(&self) -> Result<&Vmm, Unavailable> {
        self.vmm.get_or_init(|| self.find()).as_ref().map_err(Unavailable::clone)
    }

    fn find(&self) -> Result<Vmm, Unavailable> {
        let name = self.monitor.to_string();
        let (program, version) = find_monitor(&name, None, INSTALL)?;
        // An old one does not know the option and prints its usage.
        if !version.contains(" version ") {
            return Err(Unavailable::new(format!("{name} does not print its version"), INSTALL));
        }
        let note = match self.accelerator() {
            Accelerator::Kvm => firecracker::check_kvm(&self.folders)?,
            _ => None,
        };
        Ok(Vmm { program, version, note })
    }

    /// The folders of its guests.
    fn guests(&self) -> Folders {
        self.context.settings.folders(&self.folders)
    }

    /// Checks that there is an image for this monitor.
    fn check_images(&self) -> Result<(), Unavailable> {
        let folders = self.guests();
        let is_built = |&program: &Program| mirage::system(&folders, program, self.monitor).is_ok();
        if mirage::PROGRAMS.iter().any(is_built) {
            return Ok(());
        }
        Err(not_built(format!("the images of MirageOS are not built for {}", self.monitor)))
    }

    /// Creates everything that a machine needs, and starts it.
    fn start(&self, spec: &LaunchSpec, vmm: &Vmm) -> io::Result<Solo5Instance> {
        let system = self.monitor_context.prepared(&spec.image)?;
        let memory = mirage::whole_pages(memory_of(spec, &system));
        let monitor = Solo5Monitor(self.monitor);
        let (mut instance, write) = self.monitor_context.create(spec, memory, OVERHEAD, monitor)?;
        match self.boot(spec, vmm, &system, &mut instance, &write) {
            Ok(()) => Ok(instance),
            Err(e) => {
                instance.abandon();
                Err(e)
            }
        }
    }

    /// Starts the process, which boots at once.
    fn boot(
        &self,
        spec: &LaunchSpec,
        vmm: &Vmm,
        system: &System,
        instance: &mut Solo5Instance,
        output: &OwnedFd,
    ) -> io::Result<()> {
        let arguments = mirage::solo5_arguments(instance.memory, &system.kernel);
        let command =
            MonitorCommand { program: &vmm.program, arguments, output: output.as_fd(), passed: &[], netns: None };
        let (process, spawned) = instance.spawn(&self.context, spec, command)?;
        instance.watch.stamp_at(Event::Spawn, spawned);
        instance.watch.follow_machine(process, ExitBehavior::Ends);
        Ok(())
    }
}

/// A unikernel that was not built: its trials are skipped.
fn not_built(reason: String) -> Unavailable {
    Unavailable::new(reason, "build them: cargo xtask images --platform mirage; or measure --platform qemu:linux")
}

/// Rejects a launch that these unikernels cannot do.
fn check_launch(spec: &LaunchSpec) -> Result<(), Unavailable> {
    let reason = match (spec.network, spec.arguments.first()) {
        (Networking::None, None) => return Ok(()),
        (Networking::None, Some(argument)) => {
            format!("the unikernels in OCaml have no arguments, and the launch needs `{argument}`")
        }
        (network, _) => format!("the unikernels in OCaml have no network, and the launch needs `{network}`"),
    };
    Err(Unavailable::new(reason, INSTEAD))
}

impl Platform for Solo5 {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            accelerator: self.accelerator(),
            fork: false,
            limits: false,
            launch_concurrency: std::thread::available_parallelism().map_or(1, usize::from),
            host_processes: false,
            network: false,
            own_memory: true,
            simulated: false,
        }
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        settings.check_each(&self.id, |kind| match kind {
            SettingKind::Guests => Err(Refusal::unikernel()),
            SettingKind::Append => Err(Refusal::no_linux()),
            other => other.among(SETTINGS),
        })
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let vmm = self.vmm()?;
        self.check_images()?;
        let notes = [format!("accelerator: {}", self.accelerator())].into_iter().chain(vmm.note.clone()).collect();
        Ok(PlatformFacts { version: vmm.version.clone(), notes })
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        if !mirage::PROGRAMS.contains(&image.program) {
            let reason = format!("{} does not exist in OCaml", image.program);
            return Err(Unavailable::new(reason, INSTEAD).into());
        }
        let built = mirage::system(&self.guests(), image.program, self.monitor);
        let system = built.map_err(|e| Error::Unavailable(not_built(e.to_string())))?;
        self.monitor_context.keep(image, system);
        Ok(())
    }

    fn boot_artifact(&self, image: &Image) -> BootArtifact {
        self.monitor_context.boot_artifact(image)
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        if self.context.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        check_launch(spec)?;
        let started = self.start(spec, self.vmm()?);
        let instance = started.map_err(|e| Error::failed(format!("launch {} on {}", spec.name, self.id), e))?;
        Ok(Box::new(Watched::new(instance)))
    }
}
