//! One plain process with its resources.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::host::cgroup::Cgroup;
use crate::platform::process::family::family_of;
use crate::platform::process::handle::{Process, ProcessError, wait_ended};
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::orphan::reap_group;
use crate::platform::process::watch::{KILL_PATIENCE, Watch};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit};

/// How long the killed children of an ended guest may keep its output open.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// A plain process.
#[derive(Debug)]
pub(super) struct NativeInstance {
    watch: Watch,
    cgroup: Option<Cgroup>,
    dir: Option<PathBuf>,
    /// The address at which it listens.
    listen: Option<SocketAddr>,
}

impl NativeInstance {
    /// The instance whose process `watch` follows.
    pub(super) fn new(watch: Watch, cgroup: Option<Cgroup>, dir: Option<PathBuf>, listen: Option<SocketAddr>) -> Self {
        Self { watch, cgroup, dir, listen }
    }

    /// Opens the processes that it forked.
    fn children(&self) -> Vec<OwnedFd> {
        let own = self.watch.process().map(|p| p.pid);
        let others = self.pids().into_iter().filter(|&pid| Some(pid) != own);
        others.filter_map(|pid| Process::open(pid).ok()).map(|process| process.handle).collect()
    }

    /// Kills the rest of its process group and cgroup. The process is not reaped yet, so the group's number cannot
    /// belong to another group.
    fn kill_children(&self) {
        if let Some(group) = self.watch.process().and_then(|p| Pid::from_raw(p.pid)) {
            // Fails only if the group is empty.
            let _ = kill_process_group(group, Signal::KILL);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
    }

    fn remove(&self) -> Result<(), HostError> {
        if let Some(dir) = &self.dir {
            fs::remove_dir_all(dir).during_with(|| format!("remove {}", dir.display()))?;
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove(KILL_PATIENCE).during("remove its cgroup")?;
        }
        Ok(())
    }

    fn reap(&self) -> Result<Exit, ProcessError> {
        self.watch.process().ok_or(ProcessError::NoProcess)?.reap()
    }
}

impl Body for NativeInstance {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn end(&mut self) -> Result<Exit, Error> {
        let children = if self.watch.has_ended() { Vec::new() } else { self.children() };
        self.watch.kill();
        self.watch.wait_exit(KILL_PATIENCE)?;
        self.kill_children();
        wait_ended(&children, KILL_PATIENCE);
        let exit = self.reap();
        // If the harness is a subreaper, the processes that it forked are now the harness's children.
        if let Some(process) = self.watch.process() {
            reap_group(process.pid);
        }
        self.watch.drain(DRAIN_PATIENCE);
        let removed = self.remove();
        let action = || format!("remove {}", self.watch.name());
        let exit = exit.map_err(|e| Error::failed(action(), e))?;
        removed.map_err(|e| Error::failed(action(), e))?;
        Ok(exit)
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.listen.map(|address| Endpoint { address, netns: None })
    }

    fn pids(&self) -> Vec<i32> {
        match (&self.cgroup, self.watch.process()) {
            (Some(cgroup), _) => cgroup.procs(),
            (None, Some(process)) => family_of(process.pid),
            (None, None) => Vec::new(),
        }
    }
}
