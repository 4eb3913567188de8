//! The run's own Podman service: its start, and its end with all that it leaves.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::process::{add_subreaper, separate_mounts};
use super::settings::Settings;
use crate::host::cgroup::Cgroup;
use crate::host::ledger::{Ledger, Resource};
use crate::host::output;
use crate::platform::engine_api::Address;
use crate::platform::groups::Groups;
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::orphan::reap_group;
use crate::platform::process::watch::KILL_PATIENCE;

/// How long its start and its end may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The pause between two checks of its socket.
const CHECK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// A running service. Dropping it ends the service and removes its folder.
#[derive(Debug)]
pub(in crate::platform) struct Service {
    process: Child,
    settings: Settings,
    /// The parent cgroup of its containers, and the cgroup of their monitors.
    cgroups: [Cgroup; 2],
    groups: Arc<Groups>,
    name: String,
}

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error("the Podman service does not listen: {last_line}")]
    NotListening { last_line: String },
}

impl Service {
    /// Starts the service `name` and waits until it listens. After an error, none of its processes runs.
    pub(super) fn start(
        ledger: &Ledger,
        groups: &Arc<Groups>,
        name: &str,
        settings: Settings,
    ) -> Result<Self, ServiceError> {
        ledger.record(&Resource::Process { name: name.to_owned() }).during("record the Podman service")?;
        let containers = groups.record(name).during("record the cgroup of Podman's containers")?;
        let monitors = groups.foresee(&format!("{name}/conmon")).during("record the cgroup of Podman's monitors")?;
        let process = Self::spawn(&settings)?;
        let cgroups = [containers, monitors];
        let service = Self { process, settings, cgroups, groups: Arc::clone(groups), name: name.to_owned() };
        service.await_listening()?;
        Ok(service)
    }

    fn spawn(settings: &Settings) -> Result<Child, ServiceError> {
        settings.write().during("write the configuration of Podman")?;
        let output = File::create(settings.log()).during("create the log of Podman")?;
        let errors = output.try_clone().during("duplicate the log of Podman")?;
        let mut command = Command::new(&settings.program);
        command.args(settings.arguments()).env_clear().envs(settings.environment());
        command.stdin(Stdio::null()).stdout(output).stderr(errors);
        add_subreaper(&mut command);
        let mounts = separate_mounts(&mut command, &settings.dir, settings.hidden.as_deref());
        mounts.during("separate the mounts of Podman")?;
        Ok(command.spawn().during("start podman")?)
    }

    /// Its address.
    pub(super) fn address(&self) -> Address {
        Address::Unix(self.settings.socket())
    }

    /// The parent of its containers' control groups.
    pub(in crate::platform) fn cgroup_parent(&self) -> String {
        self.groups.path(&self.name)
    }

    /// Whether it still listens.
    pub(in crate::platform) fn is_alive(&self) -> bool {
        UnixStream::connect(self.settings.socket()).is_ok()
    }

    /// Kills the container `id` without the service's help.
    pub(in crate::platform) fn end_container(&self, id: &str) {
        let group = self.groups.foresee(&format!("{}/libpod-{id}", self.name));
        if let Err(e) = group.and_then(|group| group.remove(KILL_PATIENCE)) {
            output::err!("the cgroup of the container {id} stays in the ledger: {e}");
        }
    }

    fn await_listening(&self) -> Result<(), ServiceError> {
        let ended = pidfd_open(Pid::from_child(&self.process), PidfdFlags::empty()).during("watch podman")?;
        let give_up = Instant::now() + PATIENCE;
        while !self.is_alive() {
            // Its exit ends the wait at once.
            let exited = poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&CHECK_INTERVAL));
            if exited.during("poll podman")? > 0 || Instant::now() >= give_up {
                let log = fs::read_to_string(self.settings.log()).unwrap_or_default();
                let last_line = log.lines().last().unwrap_or("no output").to_owned();
                return Err(ServiceError::NotListening { last_line });
            }
        }
        Ok(())
    }

    /// Ends the service, then the monitors of remaining containers, and with them the subreaper.
    fn end(&mut self) -> Result<(), HostError> {
        let group = Pid::from_child(&self.process);
        // Fails only if the group is empty.
        let _ = kill_process_group(group, Signal::TERM);
        let [containers, monitors] = &self.cgroups;
        monitors.remove(KILL_PATIENCE).during("remove the cgroup of Podman's monitors")?;
        if !self.await_exit()? {
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.process.wait().during("reap podman")?;
        reap_group(group.as_raw_nonzero().get());
        containers.remove_if_empty();
        let dir = &self.settings.dir;
        match fs::remove_dir_all(dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            outcome => outcome.during_with(|| format!("remove {}", dir.display())),
        }
    }

    /// Waits at most [`PATIENCE`] for the exit of the subreaper. Returns whether it has exited.
    fn await_exit(&self) -> Result<bool, HostError> {
        let handle = pidfd_open(Pid::from_child(&self.process), PidfdFlags::empty()).during("watch podman")?;
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&handle, PollFlags::IN)], Some(&patience)).during("poll podman")?;
        Ok(ready > 0)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Err(e) = self.end() {
            output::err!("a Podman service stays in the ledger for cargo xtask clean: {e}");
        }
    }
}
