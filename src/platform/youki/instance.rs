//! One container with its resources.

use std::path::PathBuf;
use std::sync::Arc;

use super::pool::{LauncherId, Pool, remove_dirs};
use crate::host::cgroup::Cgroup;
use crate::platform::link::Link;
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::watch::{KILL_PATIENCE, Watch};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit};

/// A container.
#[derive(Debug)]
pub(super) struct YoukiInstance {
    watch: Watch,
    cgroup: Cgroup,
    /// Its bundle and its state.
    dirs: [PathBuf; 2],
    link: Link,
    pool: Arc<Pool>,
    creator: LauncherId,
}

impl YoukiInstance {
    /// The container that the launcher `creator` of `pool` created and whose process `watch` follows.
    pub(super) fn new(
        watch: Watch,
        cgroup: Cgroup,
        dirs: [PathBuf; 2],
        link: Link,
        (pool, creator): (Arc<Pool>, LauncherId),
    ) -> Self {
        Self { watch, cgroup, dirs, link, pool, creator }
    }

    /// Removes its connection and folders, and if the runtime failed, its cgroup.
    fn sweep(&mut self, runtime_failed: bool) -> Result<(), HostError> {
        let disconnected = self.link.disconnect().during("disconnect it");
        if runtime_failed {
            self.cgroup.remove(KILL_PATIENCE).during("remove its cgroup")?;
        }
        remove_dirs(&[&self.dirs[0], &self.dirs[1]]).and(disconnected)
    }
}

impl Body for YoukiInstance {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// The exit of the container's first process ends every other process of its namespace (`pid_namespaces(7)`), so
    /// the control groups are empty afterwards.
    fn end(&mut self) -> Result<Exit, Error> {
        self.watch.kill();
        self.watch.wait_exit(KILL_PATIENCE)?;
        let exit = self.pool.remove(self.creator, &mut self.watch);
        let swept = self.sweep(exit.is_err());
        let action = || format!("remove {}", self.watch.name());
        let exit = exit.map_err(|e| Error::failed(action(), e))?;
        swept.map_err(|e| Error::failed(action(), e))?;
        Ok(exit)
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        Some(&self.cgroup)
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.link.endpoint()
    }
}
