//! One container with what was made for it.

use std::fs;
use std::io;
use std::sync::Arc;

use super::runtime::{Command, Files, Runtime};
use crate::host::cgroup::Cgroup;
use crate::platform::link::Link;
use crate::platform::process::orphan::{end_all, end_group};
use crate::platform::process::watch::{KILL_PATIENCE, Process, Watch};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit};

/// A container, from the moment it was asked for.
#[derive(Debug)]
pub(super) struct OciInstance {
    pub(super) watch: Watch,
    pub(super) cgroup: Cgroup,
    pub(super) files: Files,
    pub(super) link: Link,
    pub(super) runtime: Arc<Runtime>,
    /// Leaders of process groups that live as long as the container, besides its own: of a sandbox the process that made
    /// it, which stays a zombie until then, since the gofer is in its group, and the first of those in which guests run.
    pub(super) helpers: Vec<Process>,
}

impl OciInstance {
    /// Removes whatever a failed launch has made.
    pub(super) fn abandon(&mut self) {
        self.watch.kill();
        end_all(&self.cgroup.procs(), KILL_PATIENCE);
        self.helpers.drain(..).for_each(|helper| end_group(&helper));
        // The failure of the launch is what matters; what stays stands in the ledger.
        let _ = self.delete(Command::DeleteByForce);
        let _ = self.link.disconnect();
        self.clear();
    }

    fn delete(&mut self, how: Command) -> Result<(), Error> {
        let process = self.runtime.call(&mut self.watch, how, &self.files, None)?;
        process.reap().map(drop).map_err(|e| self.cannot(e))
    }

    /// Removes by hand what the runtime did not.
    fn clear(&self) {
        end_all(&self.cgroup.procs(), KILL_PATIENCE);
        let _ = self.cgroup.remove(KILL_PATIENCE);
        let _ = self.sweep();
    }

    fn sweep(&self) -> io::Result<()> {
        for dir in [&self.files.bundle, &self.files.states] {
            match fs::remove_dir_all(dir) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(io::Error::new(e.kind(), format!("{}: {e}", dir.display())));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn process(&self) -> io::Result<&Process> {
        self.watch.process().ok_or_else(|| io::Error::other("it has no process"))
    }

    fn cannot(&self, e: io::Error) -> Error {
        Error::failed(format!("remove {}", self.watch.name()), e)
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
        let exit = self.process().and_then(Process::reap);
        // A runtime waits for what it started, and takes a zombie for alive.
        self.helpers.drain(..).for_each(|helper| end_group(&helper));
        let deleted = self.delete(Command::Delete);
        let disconnected = self.link.disconnect().and_then(|()| self.sweep());
        let removed = deleted.and(disconnected.map_err(|e| self.cannot(e)));
        if removed.is_err() {
            self.clear();
        }
        exit.map_err(|e| self.cannot(e)).and_then(|exit| removed.map(|()| exit))
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        Some(&self.cgroup)
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.link.endpoint()
    }
}
