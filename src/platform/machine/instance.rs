//! One virtual machine with everything that was created for it, whichever its monitor is.

use std::ffi::CString;
use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use super::{MemoryLog, PortProbe};
use crate::host::cgroup::Cgroup;
use crate::host::clock::{Clock, HostClock};
use crate::host::network::{RunNetwork, Tap};
use crate::model::event::Event;
use crate::model::platform::Networking;
use crate::model::run::RUN_VARIABLE;
use crate::model::units::{Bytes, Nanos};
use crate::platform::process::handle::{Process, threads_of};
use crate::platform::process::spawn::{self, Start};
use crate::platform::process::watch::{KILL_PATIENCE, Watch};
use crate::platform::process::watched::Body;
use crate::platform::{Context, Endpoint, Error, Exit, GuestThread, LaunchSpec, ThreadRole};

/// How the process of one monitor differs from that of another.
pub(in crate::platform) trait MonitorProcess: Send + Debug {
    /// Its name in messages.
    fn name(&self) -> String;

    /// What a thread of its process does.
    fn role(&self, thread: GuestThread) -> ThreadRole;

    /// What it reported other than on its standard error.
    fn report(&mut self) -> Option<String> {
        None
    }

    /// The exit status of the guest's program: `guest`, as the guest system reported it. `monitor` is the monitor's own.
    ///
    /// # Errors
    /// Fails if the two contradict each other.
    fn exit_status(&self, guest: Exit, _monitor: Option<Exit>) -> Result<Exit, String> {
        Ok(guest)
    }
}

/// A machine, from before its start until its end.
#[derive(Debug)]
pub(in crate::platform) struct MachineInstance<M> {
    pub(in crate::platform) watch: Watch,
    pub(in crate::platform) cgroup: Option<Cgroup>,
    pub(in crate::platform) tap: Option<Tap>,
    pub(in crate::platform) endpoint: Option<Endpoint>,
    pub(in crate::platform) memory: Bytes,
    pub(in crate::platform) monitor: M,
    /// The monitor's standard error; its guest prints elsewhere.
    errors: MemoryLog,
    /// Reports readiness for a guest that does not do so itself.
    port_probe: Option<PortProbe>,
}

/// How a monitor is started.
#[derive(Debug)]
pub(in crate::platform) struct MonitorCommand<'a> {
    pub(in crate::platform) program: &'a Path,
    pub(in crate::platform) arguments: Vec<String>,
    /// The guest's console.
    pub(in crate::platform) output: BorrowedFd<'a>,
    /// More open files, from [`spawn::FIRST_PASSED`] on.
    pub(in crate::platform) passed: &'a [BorrowedFd<'a>],
    /// The network namespace that it runs in, if not the harness's.
    pub(in crate::platform) netns: Option<BorrowedFd<'a>>,
}

impl<M: MonitorProcess> MachineInstance<M> {
    /// A machine that is not started yet.
    pub(in crate::platform) fn new(
        watch: Watch,
        cgroup: Option<Cgroup>,
        memory: Bytes,
        monitor: M,
    ) -> io::Result<Self> {
        let errors = MemoryLog::new()?;
        Ok(Self { watch, cgroup, tap: None, endpoint: None, memory, monitor, errors, port_probe: None })
    }

    /// Connects the machine if `spec` demands it, with the tap that `attach` creates. This is a part of its boot.
    pub(in crate::platform) fn connect(
        &mut self,
        context: &Context,
        spec: &LaunchSpec,
        attach: impl FnOnce(&Arc<RunNetwork>) -> io::Result<Tap>,
    ) -> io::Result<()> {
        if spec.network == Networking::None {
            return Ok(());
        }
        self.watch.stamp(Event::Spawn);
        let tap = attach(&context.network)?;
        if let Some(span) = context.settings.delay(spec) {
            tap.delay(span)?;
        }
        let endpoint = |port| Endpoint { address: (tap.address(), port).into(), netns: context.network.netns() };
        self.endpoint = spec.image.program.listens().map(endpoint);
        self.tap = Some(tap);
        Ok(())
    }

    /// Starts the monitor; returns its process, and the instant just before the clone.
    pub(in crate::platform) fn spawn(
        &self,
        context: &Context,
        spec: &LaunchSpec,
        command: MonitorCommand<'_>,
    ) -> io::Result<(Process, Nanos)> {
        let program = CString::new(command.program.as_os_str().as_bytes())?;
        let mut arguments = vec![program.clone()];
        for argument in command.arguments {
            arguments.push(CString::new(argument)?);
        }
        let cgroup_fds = self.cgroup.as_ref().map_or_else(|| Ok(Vec::new()), Cgroup::open_cgroup_fds)?;
        let input = File::open("/dev/null")?;
        let start = Start {
            program,
            arguments,
            environment: vec![CString::new(format!("{RUN_VARIABLE}={}", context.ledger.run()))?],
            input: input.as_fd(),
            output: command.output,
            error: Some(self.errors.as_fd()),
            passed: command.passed,
            cpus: spec.cpus.as_ref(),
            cgroup_fds: &cgroup_fds,
            rlimits: &[],
            hides: None,
            netns: command.netns,
        };
        let spawned = HostClock.now();
        let (pid, handle) = spawn::start(&start)?;
        Ok((Process::new(pid, handle), spawned))
    }

    /// Reports readiness on `console` once the machine's port answers.
    pub(in crate::platform) fn probe_port(&mut self, console: Option<OwnedFd>) {
        self.port_probe = PortProbe::start(self.endpoint.as_ref(), console);
    }

    /// Removes whatever a failed start has created.
    pub(in crate::platform) fn abandon(&mut self) {
        // The failure of the start is what matters; the ledger still lists what remains.
        if self.watch.process().is_some() {
            let _ = self.end_process();
        }
        let _ = self.remove();
    }

    /// An error about a monitor that ended too early, with what it reported.
    pub(in crate::platform) fn early_end(&mut self, action: &str, monitor: Option<Exit>) -> Error {
        let name = self.monitor.name();
        let reason = match monitor {
            Some(Exit::Code(code)) => format!("{name} exited with code {code}"),
            Some(Exit::Signal(signal)) => format!("{name} was ended by signal {signal}"),
            None => format!("{name} closed its connections"),
        };
        self.explain(Error::failed(action, reason))
    }

    /// Ends the monitor; returns how the program in the machine ended.
    fn end_process(&mut self) -> Result<Exit, Error> {
        self.watch.kill();
        self.watch.wait_exit(KILL_PATIENCE)?;
        let guest = self.watch.exit();
        let monitor = self.watch.process().map(Process::reap).transpose();
        let monitor = monitor.map_err(|e| Error::failed("reap the monitor", e))?;
        let action = format!("end {}", self.watch.name());
        match guest.map(|guest| self.monitor.exit_status(guest, monitor)) {
            Some(Ok(exit)) => Ok(exit),
            Some(Err(reason)) => Err(self.explain(Error::failed(action, reason))),
            None => Err(self.early_end(&action, monitor)),
        }
    }

    fn remove(&mut self) -> io::Result<()> {
        self.port_probe = None;
        let detached = self.tap.take().map_or(Ok(()), Tap::detach);
        let removed = self.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.remove(KILL_PATIENCE));
        detached.and(removed)
    }
}

impl<M: MonitorProcess> Body for MachineInstance<M> {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn end(&mut self) -> Result<Exit, Error> {
        let ended = self.end_process();
        let removed = self.remove().map_err(|e| Error::failed(format!("remove {}", self.watch.name()), e));
        ended.and_then(|exit| removed.map(|()| exit))
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint.clone()
    }

    fn guest_memory(&self) -> Option<Bytes> {
        Some(self.memory)
    }

    fn pids(&self) -> Vec<i32> {
        self.watch.process().map(|process| process.pid).into_iter().collect()
    }

    fn threads(&self) -> Vec<GuestThread> {
        let threads = threads_of(self.pids()).into_iter();
        threads.map(|thread| GuestThread { role: self.monitor.role(thread), ..thread }).collect()
    }

    fn explain(&mut self, error: Error) -> Error {
        let reports: Vec<String> = self.monitor.report().into_iter().chain(self.errors.text()).collect();
        add_reports(error, &reports)
    }
}

/// Adds a monitor's reports to the reason of a failure.
fn add_reports(error: Error, reports: &[String]) -> Error {
    match error {
        Error::Failed { action, reason } if !reports.is_empty() => {
            Error::Failed { action, reason: format!("{reason}; the monitor: {}", reports.join("; ")) }
        }
        other => other,
    }
}
