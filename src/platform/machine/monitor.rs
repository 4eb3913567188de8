//! What a platform of virtual machines keeps for all of its machines: the control groups that they live in, and the guest
//! systems that were prepared for them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::guest::Image;
use crate::guest::system::{System, has_kernel};
use crate::host::cgroup::{Cgroup, Controller};
use crate::host::folders::Folders;
use crate::model::platform::{PlatformId, Unavailable};
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::groups::Groups;
use crate::platform::{BootArtifact, Context, Error, LaunchSpec, Settings};

/// The controllers of a machine with limits, as of a bare process: see `native`.
const CONTROLLERS: &[Controller] = &[Controller::Cpuset, Controller::Memory, Controller::Pids, Controller::Cpuacct];

/// What a monitor may use besides what its guest does.
#[derive(Debug, Clone, Copy)]
pub(in crate::platform) struct Overhead {
    pub(in crate::platform) memory: Bytes,
    pub(in crate::platform) tasks: u32,
}

/// The machines of one platform in one run.
#[derive(Debug)]
pub(in crate::platform) struct MonitorContext {
    groups: Result<Groups, String>,
    settings: Arc<Settings>,
    /// What was prepared, by its program and its image's digest.
    systems: Mutex<BTreeMap<(Program, String), System>>,
}

impl MonitorContext {
    /// An empty one.
    pub(in crate::platform) fn new(context: &Context) -> Self {
        let settings = Arc::clone(&context.settings);
        let groups = Groups::find(context, |all| all.only(&settings.controllers(CONTROLLERS)));
        Self { groups, settings, systems: Mutex::default() }
    }

    /// The group of a machine with limits: its monitor comes on top of its `memory`. None without limits, or where there
    /// can be none.
    pub(in crate::platform) fn confine(
        &self,
        spec: &LaunchSpec,
        memory: Bytes,
        overhead: Overhead,
    ) -> io::Result<Option<Cgroup>> {
        let Ok(groups) = &self.groups else { return Ok(None) };
        let confine = |_| groups.confine(&spec.name, spec.cpus.as_ref(), memory + overhead.memory, overhead.tasks);
        groups.slow_down(&spec.name, spec.limits.map(confine).transpose()?, self.settings.quota(spec))
    }

    /// Keeps what `build` makes of `image`, whose program has to be there.
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

    /// Keeps `system` as what was prepared of `image`.
    pub(in crate::platform) fn keep(&self, image: &Image, system: System) {
        self.systems().insert((image.program, image.digest.clone()), system);
    }

    /// What was prepared of `image`.
    pub(in crate::platform) fn prepared(&self, image: &Image) -> io::Result<System> {
        let found = self.systems().get(&(image.program, image.digest.clone())).cloned();
        found.ok_or_else(|| io::Error::other(format!("the image of {} was not prepared", image.program)))
    }

    /// What an instance with `image` boots, once that is prepared.
    pub(in crate::platform) fn boot_artifact(&self, image: &Image) -> BootArtifact {
        let of_image = |_| BootArtifact { digest: image.digest.clone(), size: image.size };
        self.prepared(image).map_or_else(of_image, |system| BootArtifact { digest: system.digest, size: system.size })
    }

    fn systems(&self) -> MutexGuard<'_, BTreeMap<(Program, String), System>> {
        self.systems.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is a kernel for guests.
///
/// # Errors
/// That there is none, and how it is had.
pub(in crate::platform) fn kernel_for_guests(folders: &Folders) -> Result<(), Unavailable> {
    let lacks = || Unavailable {
        reason: "no kernel for guests is here yet".to_owned(),
        cure: "get it: cargo xtask images --platform linux".to_owned(),
    };
    has_kernel(folders).then_some(()).ok_or_else(lacks)
}
