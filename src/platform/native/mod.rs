//! `native`: the guest program as a plain process of the host, the reference for every other platform.
//!
//! Invariant: an instance without limits has only its process, its pipe and its CPU affinity. Moving a process into a
//! control group of version 1 waits for every CPU (`cgroup_threadgroup_rwsem`), which can take longer than `hello`
//! runs.

mod instance;

use std::ffi::CString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;

use instance::NativeInstance;

use super::arguments;
use super::groups::{Groups, PROCESS_CONTROLLERS};
use super::settings::Refusal;
use super::{Context, Error, Instance, LaunchSpec, Limits, Platform, SettingKind, Settings, UnsupportedSetting};
use crate::guest::Image;
use crate::host::cgroup::Cgroup;
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::host::network::on_loopback;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::run::RUN_VARIABLE;
use crate::platform::process::handle::Process;
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::spawn::{self, Start};
use crate::platform::process::watch::{Watch, pipe};
use crate::platform::process::watched::Watched;

/// The parent of the instances' directories: an in-memory file system on every Linux (`shm_overview(7)`).
const MEMORY_FS: &str = "/dev/shm";

/// The settings of an arm that it supports.
pub(super) const SETTINGS: &[SettingKind] =
    &[SettingKind::Images, SettingKind::Guests, SettingKind::Busy, SettingKind::Quota];

/// Plain processes of the host.
#[derive(Debug)]
pub struct Native {
    id: PlatformId,
    context: Context,
    clock: HostClock,
    groups: Result<Groups, Unavailable>,
}

impl Native {
    /// The platform for one run.
    pub fn new(context: Context) -> Self {
        let groups = Groups::find(&context, |all| all.only(&context.settings.controllers(PROCESS_CONTROLLERS)));
        let groups = groups.map_err(|why| Unavailable {
            reason: why.to_string(),
            cure: "mount the cgroup controllers writable".to_owned(),
        });
        Self { id: PlatformId::new("native"), context, clock: HostClock, groups }
    }

    /// Creates and records the control group of an instance with limits or a quota, if the host supports it.
    fn confine(&self, spec: &LaunchSpec) -> Result<Option<Cgroup>, HostError> {
        let Ok(groups) = &self.groups else { return Ok(None) };
        let mut confined = None;
        if let Some(Limits { memory, pids }) = spec.limits {
            let cgroup = groups.confine(&spec.name, spec.cpus.as_ref(), memory, pids);
            confined = Some(cgroup.during("create its cgroup")?);
        }
        let cgroup = groups.slow_down(&spec.name, confined, self.context.settings.quota(spec));
        cgroup.during("set the quota of its cgroup")
    }

    /// Creates and records the instance's directory, if its program works on files.
    fn create_dir(&self, spec: &LaunchSpec) -> Result<Option<PathBuf>, HostError> {
        if !arguments::needs_files(spec.image.program) {
            return Ok(None);
        }
        let dir = Path::new(MEMORY_FS).join(&spec.name);
        let recorded = self.context.ledger.record(&Resource::Dir { path: dir.clone() });
        recorded.during("record its directory in the ledger")?;
        fs::create_dir(&dir).during_with(|| format!("create {}", dir.display()))?;
        Ok(Some(dir))
    }

    /// The address at which a connected server listens: its own address on the host's loopback.
    fn listen(spec: &LaunchSpec) -> Result<Option<SocketAddr>, HostError> {
        match (spec.network, spec.image.program.listens()) {
            (Networking::Bridge, Some(port)) => on_loopback(port).map(Some).during("find a free loopback address"),
            _ => Ok(None),
        }
    }

    /// Starts the process and returns its watch and its server's address. Stamps the spawn event just before the clone.
    fn start(
        &self,
        spec: &LaunchSpec,
        cgroup: Option<&Cgroup>,
        dir: Option<&Path>,
    ) -> Result<(Watch, Option<SocketAddr>), HostError> {
        let listen = Self::listen(spec)?;
        let (read, write) = pipe().during("create a pipe")?;
        let cgroup_fds = cgroup.map_or_else(|| Ok(Vec::new()), Cgroup::open_cgroup_fds).during("open its cgroup")?;
        let rlimits = match (spec.limits, cgroup) {
            (Some(limits), None) => rlimits(limits),
            _ => Vec::new(),
        };
        let input = File::open("/dev/null").during("open /dev/null")?;
        let program = CString::new(spec.image.binary().into_os_string().into_encoded_bytes());
        let program = program.during("pass the program's path")?;
        let rest = arguments::for_guest(spec, dir.and_then(Path::to_str), listen);
        let rest = rest.into_iter().map(CString::new).collect::<Result<Vec<_>, _>>().during("pass its arguments")?;
        let marker = CString::new(format!("{RUN_VARIABLE}={}", self.context.ledger.run()));
        let start = Start {
            program: program.clone(),
            arguments: std::iter::once(program).chain(rest).collect(),
            environment: vec![marker.during("pass its environment")?],
            input: input.as_fd(),
            output: write.as_fd(),
            error: None,
            passed: &[],
            cpus: spec.cpus.as_ref(),
            cgroup_fds: &cgroup_fds,
            rlimits: &rlimits,
            hides: None,
            netns: None,
        };
        let mut watch = Watch::new(&spec.name, read, &self.context.interrupt);
        watch.stamp(Event::Spawn);
        let (pid, handle) = spawn::start(&start).during_with(|| format!("start {}", spec.image.binary().display()))?;
        watch.follow(Process::new(pid, handle));
        Ok((watch, listen))
    }

    /// Starts the process of `spec` in its own cgroup, if it has one. Removes the cgroup after an error.
    fn confine_and_start(&self, spec: &LaunchSpec, dir: Option<&PathBuf>) -> Result<NativeInstance, HostError> {
        let cgroup = self.confine(spec)?;
        match self.start(spec, cgroup.as_ref(), dir.map(PathBuf::as_path)) {
            Ok((watch, listen)) => Ok(NativeInstance::new(watch, cgroup, dir.cloned(), listen)),
            Err(e) => {
                if let Some(cgroup) = cgroup {
                    cgroup.remove_if_empty();
                }
                Err(e)
            }
        }
    }
}

impl Platform for Native {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: self.groups.is_ok(),
            launch_concurrency: thread::available_parallelism().map_or(1, usize::from),
            host_processes: true,
            network: true,
            own_memory: false,
            simulated: false,
        }
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let version = fs::read_to_string("/proc/sys/kernel/osrelease").map_err(|e| Unavailable {
            reason: format!("failed to read the kernel's version: {e}"),
            cure: "mount /proc".to_owned(),
        })?;
        let notes = match &self.groups {
            Ok(groups) => vec![format!("limits by cgroups ({})", groups.mode())],
            Err(why) => vec![format!("no cgroup, limits by rlimit: {}", why.reason)],
        };
        Ok(PlatformFacts { version: format!("Linux {}", version.trim()), notes })
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        settings.check_each(&self.id, |kind| match kind {
            SettingKind::Delay => Err(Refusal::new(
                "its instances use the host's own loopback",
                "inject busy work or a quota, or choose youki",
            )),
            other => other.among(SETTINGS),
        })
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        let program = image.binary();
        rustix::fs::access(&program, rustix::fs::Access::EXEC_OK).map_err(|e| {
            Error::failed(format!("prepare {} on {}", image.program, self.id), format!("{}: {e}", program.display()))
        })
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        let failed = |e: HostError| Error::failed(format!("launch {} on {}", spec.name, self.id), e);
        let recorded = self.context.ledger.record(&Resource::Process { name: spec.name.clone() });
        recorded.during("record its process in the ledger").map_err(failed)?;
        let dir = self.create_dir(spec).map_err(failed)?;
        match self.confine_and_start(spec, dir.as_ref()) {
            Ok(instance) => Ok(Box::new(Watched::new(instance))),
            Err(e) => {
                // The launch's own error is the one to report. The ledger has what stays.
                let _ = dir.map(fs::remove_dir_all);
                Err(failed(e))
            }
        }
    }
}

/// Approximates `limits` without a control group. The kernel counts all processes of the user against `RLIMIT_NPROC`
/// (`getrlimit(2)`), so the existing ones are added to it.
fn rlimits(limits: Limits) -> Vec<(libc::__rlimit_resource_t, u64)> {
    let threads = threads_of_user().saturating_add(u64::from(limits.pids));
    vec![(libc::RLIMIT_AS, limits.memory.0), (libc::RLIMIT_NPROC, threads)]
}

/// The current number of threads of this process's user.
fn threads_of_user() -> u64 {
    let uid = rustix::process::getuid().as_raw();
    let all = procfs::process::all_processes().into_iter().flatten().flatten();
    let own = all.filter(|process| process.uid().is_ok_and(|owner| owner == uid));
    own.filter_map(|process| u64::try_from(process.stat().ok()?.num_threads).ok()).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::guest::ensure;
    use crate::host::folders::Folders;
    use crate::host::interrupt::Interrupt;
    use crate::host::ledger::Ledger;
    use crate::model::program::Program;
    use crate::model::run::RunId;
    use crate::model::units::Bytes;
    use crate::platform::{Milestone, Purpose};

    #[test]
    fn without_cgroups_a_guest_is_limited_by_rlimit() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let ledger = Arc::new(
            Ledger::open(state.path(), &RunId::generate(), crate::platform::reap_engines).expect("a ledger opens"),
        );
        let images = ensure(&Folders::from_env(), &[Program::Probe], &mut |_| {}).expect("the probe is built");
        let spec = LaunchSpec {
            name: ledger.instance_name(),
            image: images[0].clone(),
            arguments: ["do=allocate", "bytes=268435456"].map(str::to_owned).to_vec(),
            cpus: None,
            limits: Some(Limits { memory: Bytes(64 << 20), pids: 4 }),
            memory: None,
            network: Networking::None,
            purpose: Purpose::Measured,
            deadline: Duration::from_secs(60),
        };
        let context = Context::new(ledger, Interrupt::new().expect("an eventfd"));
        let no_groups = Unavailable { reason: "for this test".to_owned(), cure: "none".to_owned() };
        let platform = Native { groups: Err(no_groups), ..Native::new(context) };

        assert!(!platform.capabilities().limits);
        assert!(platform.check().expect("it runs everywhere").notes[0].contains("for this test"));
        let mut instance = platform.launch(&spec).expect("it launches");
        let deadline = HostClock.now() + Duration::from_secs(60).into();
        let error = instance.wait_for(Milestone::Result, deadline).expect_err("no memory").to_string();
        assert!(error.contains("malloc") && instance.cgroup().is_none(), "{error}");
        instance.stop().expect("stopped");
    }

    #[test]
    fn the_process_limit_exceeds_the_users_processes() {
        let limits = Limits { memory: Bytes(1 << 20), pids: 4 };
        let processes = rlimits(limits)[1];
        assert_eq!(processes.0, libc::RLIMIT_NPROC);
        assert!(processes.1 > 4, "this very process counts as well");
    }
}
