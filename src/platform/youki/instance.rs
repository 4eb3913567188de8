//! One container with what was made for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::pool::{LauncherId, Pool, remove_dirs};
use crate::host::cgroup::Cgroup;
use crate::platform::link::Link;
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
    /// Who removes it: the launchers, and the one that made it.
    maker: (Arc<Pool>, LauncherId),
}

impl YoukiInstance {
    /// The container that `maker` made and whose process `watch` follows.
    pub(super) fn new(
        watch: Watch,
        cgroup: Cgroup,
        dirs: [PathBuf; 2],
        link: Link,
        maker: (Arc<Pool>, LauncherId),
    ) -> Self {
        Self { watch, cgroup, dirs, link, maker }
    }

    /// Removes its connection and folders, and where the runtime could not do it, its groups as well.
    fn sweep(&mut self, runtime_failed: bool) -> io::Result<()> {
        let disconnected = self.link.disconnect();
        if runtime_failed {
            self.cgroup.remove(KILL_PATIENCE)?;
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

    /// With the container's process every other one of its process namespace is gone (`pid_namespaces(7)`), so its control
    /// groups are empty.
    fn end(&mut self) -> Result<Exit, Error> {
        self.watch.kill();
        self.watch.wait_exit(KILL_PATIENCE)?;
        let exit = self.maker.0.remove(self.maker.1, &mut self.watch);
        let removed = self.sweep(exit.is_err());
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
