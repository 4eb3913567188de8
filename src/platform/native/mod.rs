//! `native`: the guest program as a bare process of the host, the yardstick for every other platform.
//!
//! Invariant: an instance without limits gets nothing but its process, its pipe and its CPU affinity. Moving a process
//! into a control group of version 1 waits for every CPU (`cgroup_threadgroup_rwsem`), which can take longer than the
//! whole life of `hello`.

mod instance;

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;

use instance::NativeInstance;

use super::arguments;
use super::groups::Groups;
use super::{Context, Error, Instance, LaunchSpec, Limits, Platform};
use crate::guest::Image;
use crate::host::cgroup::{Cgroup, Controller};
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::host::network::on_loopback;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::run::RUN_VARIABLE;
use crate::platform::process::spawn::{self, Start};
use crate::platform::process::watch::{Process, Watch, pipe};
use crate::platform::process::watched::Watched;

/// The controllers of an instance with limits. `cpuacct` costs no limit and tells the CPU time; `cpu` is left out,
/// since a group of its own would change how the scheduler shares a CPU among bare processes.
const CONTROLLERS: &[Controller] = &[Controller::Cpuset, Controller::Memory, Controller::Pids, Controller::Cpuacct];

/// Where instances have their own directories: an in-memory file system on every Linux (`shm_overview(7)`).
const MEMORY_FS: &str = "/dev/shm";

/// The bare host.
#[derive(Debug)]
pub struct Native {
    id: PlatformId,
    context: Context,
    clock: HostClock,
    groups: Result<Groups, String>,
}

impl Native {
    /// The platform for one run.
    pub fn new(context: Context) -> Self {
        let groups = Groups::find(&context, |all| all.only(&context.settings.controllers(CONTROLLERS)));
        Self { id: PlatformId::new("native"), context, clock: HostClock, groups }
    }

    /// Makes the control group of an instance with limits, in the ledger first; none where that cannot be.
    fn confine(&self, spec: &LaunchSpec) -> io::Result<Option<Cgroup>> {
        let Ok(groups) = &self.groups else { return Ok(None) };
        let confine = |limits: Limits| groups.confine(&spec.name, spec.cpus.as_ref(), limits.memory, limits.pids);
        groups.slow_down(&spec.name, spec.limits.map(confine).transpose()?, self.context.settings.quota(spec))
    }

    /// Makes the instance's own directory, in the ledger first, for a program that works on files.
    fn make_dir(&self, spec: &LaunchSpec) -> io::Result<Option<PathBuf>> {
        if !arguments::needs_files(spec.image.program) {
            return Ok(None);
        }
        let dir = Path::new(MEMORY_FS).join(&spec.name);
        self.context.ledger.record(&Resource::Dir { path: dir.clone() })?;
        fs::create_dir(&dir).map_err(|e| io::Error::new(e.kind(), format!("make {}: {e}", dir.display())))?;
        Ok(Some(dir))
    }

    /// Where a server that is to be reached listens: the host's own loopback, at an address that is the instance's own.
    fn listen(spec: &LaunchSpec) -> io::Result<Option<SocketAddr>> {
        match (spec.network, spec.image.program.listens()) {
            (Networking::Bridge, Some(port)) => on_loopback(port).map(Some),
            _ => Ok(None),
        }
    }

    /// Starts the process; the spawn event is stamped just before the clone.
    fn start(
        &self,
        spec: &LaunchSpec,
        cgroup: Option<&Cgroup>,
        dir: Option<&Path>,
        listen: Option<SocketAddr>,
    ) -> io::Result<Watch> {
        let (read, write) = pipe()?;
        let cgroup_fds = cgroup.map_or_else(|| Ok(Vec::new()), Cgroup::open_cgroup_fds)?;
        let rlimits = match (spec.limits, cgroup) {
            (Some(limits), None) => rlimits(limits),
            _ => Vec::new(),
        };
        let input = File::open("/dev/null")?;
        let program = spec.image.binary();
        let program = program.to_str().ok_or_else(|| io::Error::other("the program's path is no UTF-8"))?;
        let given = dir.and_then(Path::to_str);
        let arguments = std::iter::once(program.to_owned()).chain(arguments::of_guest(spec, given, listen));
        let start = Start {
            program: CString::new(program)?,
            arguments: arguments.map(CString::new).collect::<Result<_, _>>()?,
            environment: vec![CString::new(format!("{RUN_VARIABLE}={}", self.context.ledger.run()))?],
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
        let (pid, handle) = spawn::start(&start)?;
        watch.follow(Process::new(pid, handle));
        Ok(watch)
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
            reason: format!("the kernel's version cannot be read: {e}"),
            cure: "mount /proc".to_owned(),
        })?;
        let notes = match &self.groups {
            Ok(groups) => vec![format!("limits by cgroups ({})", groups.mode())],
            Err(why) => vec![format!("no cgroup, limits by rlimit: {why}")],
        };
        Ok(PlatformFacts { version: format!("Linux {}", version.trim()), notes })
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
        let failed = |e: io::Error| Error::failed(format!("launch {} on {}", spec.name, self.id), e);
        self.context.ledger.record(&Resource::Process { name: spec.name.clone() }).map_err(failed)?;
        let dir = self.make_dir(spec).map_err(failed)?;
        let started = self.confine(spec).and_then(|cgroup| {
            let listen = Self::listen(spec);
            let watch = listen.and_then(|at| Ok((self.start(spec, cgroup.as_ref(), dir.as_deref(), at)?, at)));
            if let (Err(_), Some(cgroup)) = (&watch, &cgroup) {
                cgroup.remove_if_empty();
            }
            watch.map(|(watch, at)| (watch, cgroup, at))
        });
        match started {
            Ok((watch, cgroup, at)) => Ok(Box::new(Watched::new(NativeInstance::new(watch, cgroup, dir, at)))),
            Err(e) => {
                // What could not be removed stands in the ledger; the failure of the launch is what matters.
                let _ = dir.map(fs::remove_dir_all);
                Err(failed(e))
            }
        }
    }
}

/// The nearest to `limits` without a control group. The kernel counts all processes of the user against
/// `RLIMIT_NPROC` (`getrlimit(2)`), so those that there are now are added to it.
fn rlimits(limits: Limits) -> Vec<(libc::__rlimit_resource_t, u64)> {
    let threads = threads_of_user().saturating_add(u64::from(limits.pids));
    vec![(libc::RLIMIT_AS, limits.memory.0), (libc::RLIMIT_NPROC, threads)]
}

/// The threads that the user of this process has now.
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
        let platform = Native { groups: Err("for this test".to_owned()), ..Native::new(context) };

        assert!(!platform.capabilities().limits);
        assert!(platform.check().expect("it runs everywhere").notes[0].contains("for this test"));
        let mut instance = platform.launch(&spec).expect("it launches");
        let deadline = HostClock.now() + Duration::from_secs(60).into();
        let error = instance.wait_for(Milestone::Result, deadline).expect_err("no memory").to_string();
        assert!(error.contains("malloc") && instance.cgroup().is_none(), "{error}");
        instance.stop().expect("stopped");
    }

    #[test]
    fn the_limit_of_processes_is_beyond_what_the_user_has() {
        let limits = Limits { memory: Bytes(1 << 20), pids: 4 };
        let processes = rlimits(limits)[1];
        assert_eq!(processes.0, libc::RLIMIT_NPROC);
        assert!(processes.1 > 4, "this very process counts as well");
    }
}
