//! One container with its resources.

use std::fs;
use std::io;
use std::sync::Arc;

use super::runtime::{CallError, Command, Files, Runtime};
use crate::host::cgroup::Cgroup;
use crate::platform::link::Link;
use crate::platform::process::handle::{Process, ProcessError};
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::orphan::{end_all, end_group};
use crate::platform::process::watch::{KILL_PATIENCE, Watch};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit};

/// A container, from the first call of the runtime on.
#[derive(Debug)]
pub(super) struct OciInstance {
    pub(super) watch: Watch,
    pub(super) cgroup: Cgroup,
    pub(super) files: Files,
    pub(super) link: Link,
    pub(super) runtime: Arc<Runtime>,
    /// Helper process-group leaders that live as long as the container. A sandbox has two: the process that created it,
    /// which stays a zombie because the gofer is in its group, and the leader of the group in which guests run.
    pub(super) helpers: Vec<Process>,
}

/// Why a container could not be removed.
#[derive(Debug, thiserror::Error)]
enum RemoveError {
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Host(#[from] HostError),
}

impl OciInstance {
    /// Removes everything that a failed launch has created.
    pub(super) fn abandon(&mut self) {
        self.watch.kill();
        end_all(&self.cgroup.procs(), KILL_PATIENCE);
        self.end_helpers();
        // The launch's own error is the one to report. The ledger has what stays.
        let _ = self.delete(Command::DeleteByForce);
        let _ = self.link.disconnect();
        self.clear();
    }

    fn end_helpers(&mut self) {
        for helper in self.helpers.drain(..) {
            end_group(&helper);
        }
    }

    fn delete(&mut self, command: Command) -> Result<(), RemoveError> {
        self.runtime.call(&mut self.watch, command, &self.files, None)?.reap()?;
        Ok(())
    }

    fn disconnect_and_sweep(&mut self) -> Result<(), RemoveError> {
        self.link.disconnect().during("disconnect it")?;
        Ok(self.sweep()?)
    }

    /// Removes what the runtime failed to remove.
    fn clear(&self) {
        end_all(&self.cgroup.procs(), KILL_PATIENCE);
        let _ = self.cgroup.remove(KILL_PATIENCE);
        let _ = self.sweep();
    }

    fn sweep(&self) -> Result<(), HostError> {
        for dir in [&self.files.bundle, &self.files.states] {
            match fs::remove_dir_all(dir) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome.during_with(|| format!("remove {}", dir.display()))?,
            }
        }
        Ok(())
    }

    fn reap(&self) -> Result<Exit, ProcessError> {
        self.watch.process().ok_or(ProcessError::NoProcess)?.reap()
    }
}

impl Body for OciInstance {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn end(&mut self) -> Result<Exit, Error> {
        self.watch.kill();
        self.watch.wait_exit(KILL_PATIENCE)?;
        let exit = self.reap().map_err(RemoveError::from);
        // Before the deletion: a runtime waits for the processes that it started, and counts a zombie as alive.
        self.end_helpers();
        let deleted = self.delete(Command::Delete);
        let swept = self.disconnect_and_sweep();
        let removed = deleted.and(swept);
        if removed.is_err() {
            self.clear();
        }
        let exit = exit.and_then(|exit| removed.map(|()| exit));
        exit.map_err(|e| Error::failed(format!("remove {}", self.watch.name()), e))
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        Some(&self.cgroup)
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.link.endpoint()
    }
}
