//! One container with what was made for it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::pool::{LauncherId, Pool, remove_dirs};
use crate::cgroup::Cgroup;
use crate::platform::link::Link;
use crate::platform::watch::{KILL_PATIENCE, Watch, threads_of};
use crate::platform::{Endpoint, Error, Event, Events, Exit, GuestThread, Instance, Milestone, StampedLine, Stopped};
use crate::say;
use crate::units::Nanos;

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
    stage: Stage,
}

#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Running,
    Removed,
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
        Self { watch, cgroup, dirs, link, maker, stage: Stage::Running }
    }

    /// Ends and removes everything; the exit of the container's process. With that process every other one of its
    /// process namespace is gone (`pid_namespaces(7)`), so its control groups are empty.
    fn end(&mut self) -> Result<Exit, Error> {
        self.stage = Stage::Removed;
        self.watch.kill();
        self.watch.wait_exit(KILL_PATIENCE)?;
        let exit = self.maker.0.remove(self.maker.1, &mut self.watch);
        let removed = self.sweep(exit.is_err());
        let exit = exit.and_then(|exit| removed.map(|()| exit));
        exit.map_err(|e| Error::failed(format!("remove {}", self.watch.name()), e))
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

impl Instance for YoukiInstance {
    fn name(&self) -> &str {
        self.watch.name()
    }

    fn events(&self) -> &Events {
        self.watch.events()
    }

    fn lines(&mut self) -> &[StampedLine] {
        self.watch.lines()
    }

    fn wait_for(&mut self, milestone: Milestone, deadline: Nanos) -> Result<Nanos, Error> {
        self.watch.wait_for(milestone, deadline)
    }

    fn threads(&self) -> Vec<GuestThread> {
        if self.watch.has_ended() { Vec::new() } else { threads_of(self.cgroup.procs()) }
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        Some(&self.cgroup)
    }

    fn endpoint(&self) -> Option<Endpoint> {
        self.link.endpoint()
    }

    fn kill(&mut self) {
        self.watch.kill();
    }

    fn stop(mut self: Box<Self>) -> Result<Stopped, Error> {
        let exit = self.end()?;
        self.watch.stamp(Event::Gone);
        let (events, lines) = self.watch.take();
        Ok(Stopped { exit, events, lines })
    }
}

impl Drop for YoukiInstance {
    fn drop(&mut self) {
        if self.stage == Stage::Running {
            let ended = self.end();
            let outcome = ended.map_or_else(|e| format!(": {e}"), |_| String::new());
            say::err!("{} was dropped without a stop: killed and removed{outcome}", self.watch.name());
        }
    }
}
