//! The run's own service of Podman: started, waited for, ended with all that it left.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::process::{mount_apart, reap_after};
use super::settings::Settings;
use crate::host::cgroup::Cgroup;
use crate::host::ledger::{Ledger, Resource};
use crate::host::output;
use crate::platform::engine_api::Address;
use crate::platform::groups::Groups;
use crate::platform::process::orphan::reap_group;
use crate::platform::process::watch::KILL_PATIENCE;

/// How long it may take to listen, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often it is looked whether it listens.
const LOOK_EVERY: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// A service that runs. Dropping it ends it, and removes its folder.
#[derive(Debug)]
pub(in crate::platform) struct Service {
    process: Child,
    settings: Settings,
    /// The group that its containers' groups are in, and the one of those that keep them.
    cgroups: [Cgroup; 2],
    groups: Arc<Groups>,
    name: String,
}

impl Service {
    /// Starts the service `name` and waits until it listens.
    ///
    /// # Errors
    /// Why it did not, in its own words if it said any. Nothing of it runs then.
    pub(super) fn start(ledger: &Ledger, groups: &Arc<Groups>, name: &str, settings: Settings) -> io::Result<Self> {
        ledger.record(&Resource::Process { name: name.to_owned() })?;
        let cgroups = [groups.record(name)?, groups.foresee(&format!("{name}/conmon"))?];
        settings.write()?;
        let log = File::create(settings.log())?;
        let mut command = Command::new(&settings.program);
        command.args(settings.arguments()).env_clear().envs(settings.environment());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        reap_after(&mut command);
        mount_apart(&mut command, &settings.dir, settings.hides.as_deref())?;
        let process = command.spawn().map_err(|e| about("start podman", e))?;
        let service = Self { process, settings, cgroups, groups: Arc::clone(groups), name: name.to_owned() };
        service.await_listening()?;
        Ok(service)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> Address {
        Address::Unix(self.settings.socket())
    }

    /// The control group that those of its containers are made in.
    pub(in crate::platform) fn cgroup_parent(&self) -> String {
        self.groups.path(&self.name)
    }

    /// Whether it still listens.
    pub(in crate::platform) fn lives(&self) -> bool {
        UnixStream::connect(self.settings.socket()).is_ok()
    }

    /// Ends the container `id` without asking the service.
    pub(in crate::platform) fn end_container(&self, id: &str) {
        let group = self.groups.foresee(&format!("{}/libpod-{id}", self.name));
        if let Err(e) = group.and_then(|group| group.remove(KILL_PATIENCE)) {
            output::err!("the group of the container {id} stays in the ledger: {e}");
        }
    }

    fn await_listening(&self) -> io::Result<()> {
        let ended = pidfd_open(Pid::from_child(&self.process), PidfdFlags::empty())?;
        let give_up = Instant::now() + PATIENCE;
        while !self.lives() {
            // Its end ends the wait at once.
            if poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&LOOK_EVERY))? > 0 || Instant::now() >= give_up {
                let said = fs::read_to_string(self.settings.log()).unwrap_or_default();
                let last = said.lines().last().unwrap_or("it said nothing");
                return Err(io::Error::other(format!("podman's service does not listen: {last}")));
            }
        }
        Ok(())
    }

    /// Ends it, then whoever still keeps a container, and with them the process that reaps for them.
    fn end(&mut self) -> io::Result<()> {
        let group = Pid::from_child(&self.process);
        // It fails only when nobody is left.
        let _ = kill_process_group(group, Signal::TERM);
        let [containers, keepers] = &self.cgroups;
        keepers.remove(KILL_PATIENCE)?;
        if !self.has_ended_within(PATIENCE)? {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.process.wait()?;
        reap_group(group.as_raw_nonzero().get());
        containers.remove_if_empty();
        match fs::remove_dir_all(&self.settings.dir) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(about(&self.settings.dir.display().to_string(), e)),
            _ => Ok(()),
        }
    }

    fn has_ended_within(&self, patience: Duration) -> io::Result<bool> {
        let ended = pidfd_open(Pid::from_child(&self.process), PidfdFlags::empty())?;
        let patience = Timespec::try_from(patience).map_err(io::Error::other)?;
        Ok(poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&patience))? > 0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Err(e) = self.end() {
            output::err!("a service of podman stays in the ledger for cargo xtask clean: {e}");
        }
    }
}

fn about(what: &str, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{what}: {e}"))
}
