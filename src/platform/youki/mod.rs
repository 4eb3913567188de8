//! `youki`: containers of the `libcontainer` crate, which is built in and needs no daemon.
//!
//! Data flow: the harness writes a bundle and sends a launcher the request with the writing end of the guest's output.
//! It watches the output and the process itself. Invariant: a container is deleted only after its process has ended,
//! because a cgroup with a process in it cannot be removed.

mod instance;
mod launcher;
mod message;
mod pool;

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::Arc;

use instance::YoukiInstance;
pub use launcher::launcher_entry;
use nix::sched::CloneFlags;
use pool::{LaunchFiles, LauncherError, Pool, remove_dirs};

use super::bundle::{self, BundleOptions, Swap};
use super::groups::Groups;
use super::link::Link;
use super::settings::Refusal;
use super::{Context, Error, Instance, LaunchSpec, Platform, SettingKind, Settings, UnsupportedSetting};
use crate::guest::Image;
use crate::host::cgroup::Hierarchies;
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::watch::{KILL_PATIENCE, Watch, pipe};
use crate::platform::process::watched::Watched;

/// The mount points that an image must have for its container.
const MOUNT_POINTS: [&str; 4] = ["proc", "sys", "dev", "tmp"];

/// The lock file, which has the version of the built-in runtime.
const LOCK_FILE: &str = include_str!("../../../Cargo.lock");

/// The settings of an arm that it supports.
pub(super) const SETTINGS: &[SettingKind] =
    &[SettingKind::Images, SettingKind::Guests, SettingKind::Busy, SettingKind::Quota, SettingKind::Delay];

/// Containers of the built-in runtime.
#[derive(Debug)]
pub struct Youki {
    id: PlatformId,
    context: Context,
    clock: HostClock,
    groups: Result<Groups, Unavailable>,
    pool: Arc<Pool>,
}

impl Youki {
    /// The platform for one run. The binary must call [`launcher_entry`] first in its `main`.
    pub fn new(context: Context) -> Self {
        let groups = Groups::find(&context, |all| Hierarchies::of_runtimes(&all));
        let groups = groups.map_err(|why| Unavailable::new(why.to_string(), "mount the cgroup controllers writable"));
        let pool = Arc::new(Pool::new(&context));
        Self { id: PlatformId::new("youki"), context, clock: HostClock, groups, pool }
    }

    fn groups(&self) -> Result<&Groups, Unavailable> {
        self.groups.as_ref().map_err(Unavailable::clone)
    }

    /// The bundle and the state folder of a container, both in the run's folder.
    fn dirs(&self, name: &str) -> [PathBuf; 2] {
        [self.context.ledger.dir().join("bundles").join(name), self.states().join(name)]
    }

    /// The folder of all containers' states.
    fn states(&self) -> PathBuf {
        self.context.ledger.dir().join("states")
    }

    fn create(&self, spec: &LaunchSpec, groups: &Groups) -> Result<YoukiInstance, LaunchError> {
        let recorded = self.context.ledger.record(&Resource::Process { name: spec.name.clone() });
        recorded.during("record its process in the ledger")?;
        let cgroup = groups.record(&spec.name).during("record its cgroup in the ledger")?;
        let states = self.states();
        fs::create_dir_all(&states).during_with(|| format!("create {}", states.display()))?;
        let (read, write) = pipe().during("create a pipe")?;
        let mut watch = Watch::new(&spec.name, read, &self.context.interrupt);
        if spec.network == Networking::Bridge {
            // Connecting is a part of the boot.
            watch.stamp(Event::Spawn);
        }
        let link = Link::connect(&self.context, spec).during("connect it to the run's network")?;
        let netns = link.netns();
        let options = BundleOptions {
            run: self.context.ledger.run(),
            cgroups_path: groups.path(&spec.name),
            mode: groups.mode(),
            most_files: rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum.unwrap_or(u64::MAX),
            swap: if groups.limits_swap() { Swap::Limited } else { Swap::Unaccounted },
            netns: netns.as_deref(),
            quota: self.context.settings.quota(spec),
        };
        let dirs = self.dirs(&spec.name);
        let bundle = bundle::write(&dirs[0], &bundle::config(spec, &options));
        let bundle = bundle.during_with(|| format!("write the bundle {}", dirs[0].display()))?;
        let files = LaunchFiles { bundle, states, output: write.as_fd() };
        match self.pool.launch(&mut watch, files) {
            Ok(creator) => Ok(YoukiInstance::new(watch, cgroup, dirs, link, (Arc::clone(&self.pool), creator))),
            Err(e) => {
                watch.kill();
                // The runtime cleans up where it can. The ledger has the rest.
                let _ = cgroup.remove(KILL_PATIENCE);
                let _ = remove_dirs(&[&dirs[0], &dirs[1]]);
                Err(e.into())
            }
        }
    }
}

/// Why a container could not be launched.
#[derive(Debug, thiserror::Error)]
enum LaunchError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Launcher(#[from] LauncherError),
}

impl Platform for Youki {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: self.groups.is_ok(),
            launch_concurrency: self.pool.size(),
            host_processes: true,
            network: rustix::process::geteuid().is_root(),
            own_memory: false,
            simulated: false,
        }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        if !rustix::process::geteuid().is_root() {
            return Err(Unavailable::new("containers need root", "run as root"));
        }
        check_entry()?;
        let groups = self.groups()?;
        check_namespaces()?;
        let notes = vec![format!("cgroups: {}", groups.mode()), format!("{} launchers", self.pool.size())];
        Ok(PlatformFacts { version: format!("libcontainer {}", locked_version("libcontainer")), notes })
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        settings.check_each(&self.id, |kind| match kind {
            SettingKind::Runtime => Err(Refusal::new(
                "its runtime is built into this program",
                "choose oci:youki with the path of youki's own program",
            )),
            other => other.among(SETTINGS),
        })
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
        if let Some(missing) = MOUNT_POINTS.iter().map(|dir| image.rootfs.join(dir)).find(|dir| !dir.is_dir()) {
            return Err(Error::failed(action(), format!("the mount point {} is missing", missing.display())));
        }
        self.pool.start_all().map_err(|e| Error::failed(action(), e))
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        if self.context.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        check_entry()?;
        let instance = self.create(spec, self.groups()?);
        let instance = instance.map_err(|e| Error::failed(format!("launch {} on {}", spec.name, self.id), e))?;
        Ok(Box::new(Watched::new(instance)))
    }
}

/// Checks that this executable has the entry. Without it, a launcher would run `main` again.
fn check_entry() -> Result<(), Unavailable> {
    match launcher::has_entry() {
        true => Ok(()),
        false => Err(Unavailable::new(
            "this executable cannot start as a launcher",
            "call platform::launcher_entry first in main",
        )),
    }
}

/// Creates the namespaces of a container in a child that ends at once.
fn check_namespaces() -> Result<(), Unavailable> {
    let flags = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWNS;
    let cure = "run as root, outside of containers without CAP_SYS_ADMIN";
    // SAFETY: between fork and _exit, the child makes one system call and allocates nothing.
    match unsafe { nix::unistd::fork() } {
        Ok(nix::unistd::ForkResult::Child) => {
            let code = nix::sched::unshare(flags).map_or_else(|errno| errno as i32, |()| 0);
            // SAFETY: _exit runs none of the parent's exit handlers.
            unsafe { libc::_exit(code) }
        }
        Ok(nix::unistd::ForkResult::Parent { child }) => match nix::sys::wait::waitpid(child, None) {
            Ok(nix::sys::wait::WaitStatus::Exited(_, 0)) => Ok(()),
            Ok(nix::sys::wait::WaitStatus::Exited(_, errno)) => {
                let error = io::Error::from_raw_os_error(errno);
                Err(Unavailable::new(format!("failed to create namespaces: {error}"), cure))
            }
            other => Err(Unavailable::new(format!("failed to test namespaces: {other:?}"), cure)),
        },
        Err(e) => Err(Unavailable::new(format!("failed to test namespaces: fork: {e}"), cure)),
    }
}

/// Returns the version of `package` in the lock file.
fn locked_version(package: &str) -> &'static str {
    let header = format!("name = \"{package}\"");
    let mut lines = LOCK_FILE.lines().skip_while(|line| *line != header).skip(1);
    let version = lines.next().and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    version.unwrap_or("unknown version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_has_the_runtimes_version() {
        assert!(locked_version("libcontainer").starts_with("0.7"), "{}", locked_version("libcontainer"));
        assert_eq!(locked_version("no-such-package"), "unknown version");
    }
}
