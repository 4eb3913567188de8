//! One sandbox with its resources.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Signal, WaitId, WaitIdOptions, pidfd_send_signal, waitid};

use crate::host::cgroup::Cgroup;
use crate::platform::link::Link;
use crate::platform::process::family::family_of;
use crate::platform::process::handle::{Process, ProcessError, wait_ended};
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::orphan::end_all;
use crate::platform::process::watch::{KILL_PATIENCE, Watch};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit};

/// How long the last output may take to arrive after the guest's end.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// A sandbox. `watch` follows `bwrap`, which stays outside of it and exits with the guest's status.
#[derive(Debug)]
pub(super) struct BwrapInstance {
    pub(super) watch: Watch,
    pub(super) cgroup: Option<Cgroup>,
    link: Link,
    /// The first process of the sandbox. All others end with it (`pid_namespaces(7)`).
    guest: Option<Process>,
}

impl BwrapInstance {
    /// A sandbox that is not started yet.
    pub(super) fn new(watch: Watch, cgroup: Option<Cgroup>, link: Link) -> Self {
        Self { watch, cgroup, link, guest: None }
    }

    /// Stores the guest's process, which still waits for its start.
    pub(super) fn set_guest(&mut self, guest: Process) {
        self.guest = Some(guest);
    }

    /// The network namespace that it joins.
    pub(super) fn netns(&self) -> Option<PathBuf> {
        self.link.netns()
    }

    /// Removes whatever a failed start has created.
    pub(super) fn abandon(&mut self) {
        // The failure of the start is what matters; the ledger still lists what remains.
        let _ = self.end();
    }

    fn kill_all(&self) {
        match (&self.guest, self.watch.process()) {
            // It fails only if the guest has ended. `bwrap` then exits as well.
            (Some(guest), _) => drop(pidfd_send_signal(&guest.handle, Signal::KILL)),
            (None, Some(bwrap)) => end_all(&family_of(bwrap.pid), KILL_PATIENCE),
            (None, None) => {}
        }
    }

    /// Reaps a guest that outlived `bwrap` and so became this process's child.
    fn reap_guest(&self) {
        let Some(guest) = &self.guest else { return };
        wait_ended(std::slice::from_ref(&guest.handle), KILL_PATIENCE);
        // It fails if `bwrap` has reaped it.
        let _ = waitid(WaitId::PidFd(guest.handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }

    fn reap(&self) -> Result<Exit, ProcessError> {
        self.watch.process().ok_or(ProcessError::NoProcess)?.reap()
    }

    fn remove(&mut self) -> Result<(), HostError> {
        let disconnected = self.link.disconnect().during("disconnect it");
        if let Some(cgroup) = &self.cgroup {
            cgroup.remove(KILL_PATIENCE).during("remove its cgroup")?;
        }
        disconnected
    }
}

impl Body for BwrapInstance {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn end(&mut self) -> Result<Exit, Error> {
        self.kill_all();
        let ended = match self.watch.process() {
            Some(_) => self.watch.wait_exit(KILL_PATIENCE).map(drop),
            None => Ok(()),
        };
        self.reap_guest();
        self.watch.drain(DRAIN_PATIENCE);
        let removed = self.remove();
        ended?;
        let action = || format!("remove {}", self.watch.name());
        let exit = self.reap().map_err(|e| Error::failed(action(), e))?;
        removed.map_err(|e| Error::failed(action(), e))?;
        Ok(exit)
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        self.cgroup.as_ref()
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.link.endpoint()
    }

    /// The processes in the sandbox. `bwrap` is outside of it.
    fn pids(&self) -> Vec<i32> {
        match (&self.cgroup, &self.guest) {
            (Some(cgroup), _) => cgroup.procs(),
            (None, Some(guest)) => family_of(guest.pid),
            (None, None) => Vec::new(),
        }
    }

    fn kill(&mut self) {
        self.kill_all();
    }
}
