//! One bare process with what was made for it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::host::cgroup::Cgroup;
use crate::platform::process::orphan::reap_group;
use crate::platform::process::watch::{KILL_PATIENCE, Process, Watch, wait_ended};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit};

/// How long the killed children of an ended guest may hold its output.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// A bare process.
#[derive(Debug)]
pub(super) struct NativeInstance {
    watch: Watch,
    cgroup: Option<Cgroup>,
    dir: Option<PathBuf>,
    /// Where it was told to listen.
    listen: Option<SocketAddr>,
}

impl NativeInstance {
    /// The instance whose process `watch` follows.
    pub(super) fn new(watch: Watch, cgroup: Option<Cgroup>, dir: Option<PathBuf>, listen: Option<SocketAddr>) -> Self {
        Self { watch, cgroup, dir, listen }
    }

    /// Handles of the processes that it forked.
    fn children(&self) -> Vec<OwnedFd> {
        let own = self.watch.process().map(|p| p.pid);
        let others = self.pids().into_iter().filter(|&pid| Some(pid) != own);
        others.filter_map(|pid| pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()).collect()
    }

    /// Kills what the process left behind. Its number is still its own, as it is not reaped yet, and with it that of
    /// its process group.
    fn kill_children(&self) {
        if let Some(group) = self.watch.process().and_then(|p| Pid::from_raw(p.pid)) {
            // It fails only when nobody is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
        if let Some(cgroup) = &self.cgroup {
            cgroup.kill();
        }
    }

    fn remove(&self) -> io::Result<()> {
        if let Some(dir) = &self.dir {
            fs::remove_dir_all(dir).map_err(|e| io::Error::new(e.kind(), format!("remove {}: {e}", dir.display())))?;
        }
        self.cgroup.as_ref().map_or(Ok(()), |cgroup| cgroup.remove(KILL_PATIENCE))
    }

    fn process(&self) -> io::Result<&Process> {
        self.watch.process().ok_or_else(|| io::Error::other("it has no process"))
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
        let exit = self.process().and_then(Process::reap);
        // Those that it forked are this process's children once it asks for orphans.
        self.watch.process().map(|p| p.pid).into_iter().for_each(reap_group);
        self.watch.drain(DRAIN_PATIENCE);
        let removed = self.remove();
        let exit = exit.and_then(|exit| removed.map(|()| exit));
        exit.map_err(|e| Error::failed(format!("remove {}", self.watch.name()), e))
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.listen.map(|address| Endpoint { address, netns: None })
    }

    /// The process and those it forked: its group's, or by `/proc/<pid>/task/<tid>/children`.
    fn pids(&self) -> Vec<i32> {
        if let Some(cgroup) = &self.cgroup {
            return cgroup.procs();
        }
        let mut pids: Vec<i32> = self.watch.process().map(|p| p.pid).into_iter().collect();
        let mut next = 0;
        while let Some(&pid) = pids.get(next) {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            pids.extend(children.split_whitespace().filter_map(|text| text.parse::<i32>().ok()));
            next += 1;
        }
        pids
    }
}
