//! What a platform of virtual machines keeps for all of its machines: their control groups and the prepared guest systems.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{MachineInstance, MonitorProcess};
use crate::guest::Image;
use crate::guest::system::{System, has_kernel};
use crate::host::cgroup::Cgroup;
use crate::host::folders::Folders;
use crate::host::ledger::Resource;
use crate::host::tools;
use crate::model::platform::{PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::groups::{Groups, PROCESS_CONTROLLERS};
use crate::platform::process::watch::{Watch, pipe};
use crate::platform::{BootArtifact, Context, Error, LaunchSpec, settings};

/// How long a monitor may take to print its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(5);

/// What a monitor may use in addition to its guest.
#[derive(Debug, Clone, Copy)]
pub(in crate::platform) struct Overhead {
    pub(in crate::platform) memory: Bytes,
    pub(in crate::platform) tasks: u32,
}

/// The machines of one platform in one run.
#[derive(Debug)]
pub(in crate::platform) struct MonitorContext {
    context: Context,
    groups: Result<Groups, String>,
    /// The prepared guest systems by program and digest of the image.
    systems: Mutex<BTreeMap<(Program, String), System>>,
}

impl MonitorContext {
    /// A context without any guest system.
    pub(in crate::platform) fn new(context: &Context) -> Self {
        let groups = Groups::find(context, |all| all.only(&context.settings.controllers(PROCESS_CONTROLLERS)));
        Self { context: context.clone(), groups, systems: Mutex::default() }
    }

    /// A machine of `spec` that is not started yet, and the writing end of its console. Everything is in the ledger
    /// first.
    pub(in crate::platform) fn create<M: MonitorProcess>(
        &self,
        spec: &LaunchSpec,
        memory: Bytes,
        overhead: Overhead,
        monitor: M,
    ) -> io::Result<(MachineInstance<M>, OwnedFd)> {
        self.context.ledger.record(&Resource::Process { name: spec.name.clone() })?;
        let (read, write) = pipe()?;
        let watch = Watch::new(&spec.name, read, &self.context.interrupt);
        let cgroup = self.confine(spec, memory, overhead)?;
        Ok((MachineInstance::new(watch, cgroup, memory, monitor)?, write))
    }

    /// The group of a machine with limits, which cover its `memory` and the monitor's own. `None` without limits, or if
    /// this host has no usable control groups.
    fn confine(&self, spec: &LaunchSpec, memory: Bytes, overhead: Overhead) -> io::Result<Option<Cgroup>> {
        let Ok(groups) = &self.groups else { return Ok(None) };
        let cgroup = match spec.limits {
            Some(_) => {
                Some(groups.confine(&spec.name, spec.cpus.as_ref(), memory + overhead.memory, overhead.tasks)?)
            }
            None => None,
        };
        groups.slow_down(&spec.name, cgroup, self.context.settings.quota(spec))
    }

    /// Keeps what `build` makes of `image`, whose program must exist.
    pub(in crate::platform) fn prepare(
        &self,
        id: &PlatformId,
        image: &Image,
        build: impl FnOnce(&Image) -> Result<System, Error>,
    ) -> Result<(), Error> {
        let program = image.binary();
        if !program.is_file() {
            let action = format!("prepare {} on {id}", image.program);
            return Err(Error::failed(action, format!("{} is missing", program.display())));
        }
        self.keep(image, build(image)?);
        Ok(())
    }

    /// Keeps `system` as the guest system of `image`.
    pub(in crate::platform) fn keep(&self, image: &Image, system: System) {
        self.systems().insert((image.program, image.digest.clone()), system);
    }

    /// The guest system of `image`.
    pub(in crate::platform) fn prepared(&self, image: &Image) -> io::Result<System> {
        let found = self.systems().get(&(image.program, image.digest.clone())).cloned();
        found.ok_or_else(|| io::Error::other(format!("the image of {} was not prepared", image.program)))
    }

    /// What an instance with `image` boots after it was prepared.
    pub(in crate::platform) fn boot_artifact(&self, image: &Image) -> BootArtifact {
        match self.prepared(image) {
            Ok(system) => BootArtifact { digest: system.digest, size: system.size },
            Err(_) => BootArtifact { digest: image.digest.clone(), size: image.size },
        }
    }

    fn systems(&self) -> MutexGuard<'_, BTreeMap<(Program, String), System>> {
        self.systems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Checks that this host has the processor that guest systems are built for.
fn check_architecture() -> Result<(), Unavailable> {
    if std::env::consts::ARCH == "x86_64" {
        return Ok(());
    }
    Err(Unavailable::new("guest systems are built for x86-64 only", "use an x86-64 host"))
}

/// Finds a monitor's program, the one that is `set` or that of this `name` in `PATH`, and its version.
///
/// # Errors
/// Says how to `install` a missing or broken one.
pub(in crate::platform) fn find_monitor(
    name: &str,
    set: Option<&Path>,
    install: &str,
) -> Result<(PathBuf, String), Unavailable> {
    check_architecture()?;
    let program = settings::program(set, || {
        tools::find(name).ok_or_else(|| Unavailable::new(format!("{name} is not installed"), install))
    })?;
    let version = tools::version(&program, &["--version"], VERSION_PATIENCE);
    let version = version.ok_or_else(|| Unavailable::new(format!("{name} does not print its version"), install))?;
    Ok((program, version))
}

/// Checks that the kernel of Linux guests is here.
pub(in crate::platform) fn check_kernel(folders: &Folders) -> Result<(), Unavailable> {
    if has_kernel(folders) {
        return Ok(());
    }
    Err(Unavailable::new("the kernel for guests is missing", "fetch it: cargo xtask images --platform linux"))
}
