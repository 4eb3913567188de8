//! `solo5:mirage`: a MirageOS unikernel on Solo5's monitor for KVM, `solo5:mirage-spt` on the one without: a process that
//! seccomp leaves a handful of system calls.
//!
//! Data flow: the harness starts the monitor with the guest's console as its standard output. The console's first byte says
//! that the guest is up, its lines what the program does and how it ended, and the monitor ends with the status that the
//! guest gave to `solo5_exit`. Invariants: nothing of a machine is in the file system but its image, which it only reads; it
//! has no network. Never run with the real monitors by its authors: see `docs/unikernels.md`.

mod instance;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use instance::Solo5Instance;

use super::firecracker;
use super::machine::{MonitorContext, Overhead, memory_of};
use super::qemu::GuestSystem;
use super::{BootArtifact, Context, Error, Instance, LaunchSpec, Platform, ResourceCost};
use crate::guest::Image;
use crate::guest::system::unikernel::Monitor;
use crate::guest::system::{System, mirage};
use crate::host::cgroup::Cgroup;
use crate::host::clock::{Clock, HostClock};
use crate::host::folders::Folders;
use crate::host::ledger::Resource;
use crate::host::tools;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::run::RUN_VARIABLE;
use crate::model::units::Bytes;
use crate::platform::process::spawn::{self, Start};
use crate::platform::process::watch::{ExitBehavior, Process, Watch, pipe};
use crate::platform::process::watched::Watched;

/// What a monitor, of one thread and without devices, may use besides its guest's memory, generously.
const OVERHEAD: Overhead = Overhead { memory: Bytes(64 << 20), tasks: 2 };

/// How long a monitor may take to tell its version.
const ASK: Duration = Duration::from_secs(5);

/// What has everything that these unikernels lack.
const INSTEAD: &str = "measure --platform qemu:linux";

/// The monitor of what follows the colon in `solo5:mirage-spt`; `None` if that is no name.
pub fn monitor(flavour: &str) -> Option<Monitor> {
    match flavour {
        "mirage" => Some(Monitor::Solo5Hvt),
        "mirage-spt" => Some(Monitor::Solo5Spt),
        _ => None,
    }
}

/// A monitor that was found.
#[derive(Debug, Clone)]
struct Vmm {
    program: PathBuf,
    version: String,
    /// What a reader should know of how it was found to work.
    note: Option<String>,
}

/// Unikernels of MirageOS under one of Solo5's monitors.
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
    /// The platform `solo5:FLAVOUR` with `monitor` for one run.
    pub fn new(context: Context, flavour: &str, monitor: Monitor) -> Self {
        let monitor_context = MonitorContext::new(&context);
        Self {
            id: PlatformId::new(format!("solo5:{flavour}")),
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

    /// The monitor, found once.
    fn vmm(&self) -> Result<&Vmm, Unavailable> {
        self.vmm.get_or_init(|| self.find()).as_ref().map_err(Unavailable::clone)
    }

    fn find(&self) -> Result<Vmm, Unavailable> {
        if std::env::consts::ARCH != "x86_64" {
            return Err(lacks("guest systems are built for x86-64 alone", "use a host of that kind"));
        }
        let name = self.monitor.to_string();
        let cure = "install Solo5: opam install solo5, or your distribution's package";
        let program = tools::find(&name).ok_or_else(|| lacks(format!("{name} is not installed"), cure))?;
        // An old one knows no such option and shows how it is used.
        let version = tools::version(&program, &["--version"], ASK).filter(|line| line.contains(" version "));
        let version = version.ok_or_else(|| lacks(format!("{name} tells no version"), cure))?;
        let note = match self.accelerator() {
            Accelerator::Kvm => firecracker::kvm(&self.folders)?,
            _ => None,
        };
        Ok(Vmm { program, version, note })
    }

    /// The folders that its guests are in.
    fn guests(&self) -> Folders {
        self.context.settings.folders(&self.folders)
    }

    /// Whether there is an image for this monitor.
    fn check_images(&self) -> Result<(), Unavailable> {
        let folders = self.guests();
        let is_built = |&program: &Program| mirage::system(&folders, program, self.monitor).is_ok();
        let reason = || format!("the images of MirageOS are not built for {}", self.monitor);
        mirage::PROGRAMS.iter().any(is_built).then_some(()).ok_or_else(|| not_built(reason()))
    }

    /// Writes all down, makes what a machine needs and starts it.
    fn start(&self, spec: &LaunchSpec, vmm: &Vmm) -> io::Result<Solo5Instance> {
        let system = self.monitor_context.prepared(&spec.image)?;
        let memory = mirage::whole_pages(memory_of(spec, &system));
        self.context.ledger.record(&Resource::Process { name: spec.name.clone() })?;
        let (read, write) = pipe()?;
        let watch = Watch::new(&spec.name, read, &self.context.interrupt);
        let cgroup = self.monitor_context.confine(spec, memory, OVERHEAD)?;
        let mut instance = Solo5Instance::new(watch, cgroup, self.monitor, memory)?;
        match self.boot(spec, vmm, &system, &mut instance, &write) {
            Ok(()) => Ok(instance),
            Err(e) => {
                instance.abandon();
                Err(e)
            }
        }
    }

    /// Starts the process, which boots at once; the spawn event is stamped just before the clone.
    fn boot(
        &self,
        spec: &LaunchSpec,
        vmm: &Vmm,
        system: &System,
        instance: &mut Solo5Instance,
        output: &OwnedFd,
    ) -> io::Result<()> {
        let program = CString::new(vmm.program.as_os_str().as_bytes())?;
        let words = mirage::solo5_arguments(instance.memory, &system.kernel).into_iter().map(CString::new);
        let words = words.collect::<Result<Vec<_>, _>>()?;
        let cgroup_fds = instance.cgroup.as_ref().map_or_else(|| Ok(Vec::new()), Cgroup::open_cgroup_fds)?;
        let input = File::open("/dev/null")?;
        let start = Start {
            program: program.clone(),
            arguments: [program].into_iter().chain(words).collect(),
            environment: vec![CString::new(format!("{RUN_VARIABLE}={}", self.context.ledger.run()))?],
            input: input.as_fd(),
            output: output.as_fd(),
            error: Some(instance.complaints.as_fd()),
            passed: &[],
            cpus: spec.cpus.as_ref(),
            cgroup_fds: &cgroup_fds,
            rlimits: &[],
            hides: None,
            netns: None,
        };
        instance.watch.stamp(Event::Spawn);
        let (pid, handle) = spawn::start(&start)?;
        instance.watch.follow_machine(Process::new(pid, handle), ExitBehavior::Ends);
        Ok(())
    }
}

fn lacks(reason: impl Into<String>, cure: &str) -> Unavailable {
    Unavailable { reason: reason.into(), cure: cure.to_owned() }
}

/// A unikernel that was not built leaves its trials out.
fn not_built(reason: String) -> Unavailable {
    lacks(reason, "build them: cargo xtask images --platform mirage; or measure --platform qemu:linux")
}

/// What these unikernels cannot do, where `spec` asks for it.
fn refuse(spec: &LaunchSpec) -> Result<(), Unavailable> {
    let asked = match (spec.network, spec.arguments.first()) {
        (Networking::None, None) => return Ok(()),
        (Networking::None, Some(argument)) => format!("read no arguments, and `{argument}` was asked for"),
        (network, _) => format!("have no network, and `{network}` was asked for"),
    };
    Err(lacks(format!("the unikernels in OCaml {asked}"), INSTEAD))
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

    fn resource_cost(&self) -> ResourceCost {
        ResourceCost { memory: GuestSystem::Mirage.idle_memory(), ..ResourceCost::default() }
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
            let reason = format!("there is no {} in OCaml here", image.program);
            return Err(Error::Unavailable(lacks(reason, INSTEAD)));
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
        refuse(spec)?;
        let started = self.start(spec, self.vmm()?);
        let instance = started.map_err(|e| Error::failed(format!("launch {} on {}", spec.name, self.id), e))?;
        Ok(Box::new(Watched::new(instance)))
    }
}
