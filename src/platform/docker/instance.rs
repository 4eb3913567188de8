//! One container of the engine.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::cgroup::cgroup_of;
use super::networks::Port;
use super::shared::{EngineOwner, Shared};
use super::{Error, command, strays};
use crate::guest::GuestLine;
use crate::host::cgroup::Cgroup;
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::host::output;
use crate::model::event::Event;
use crate::model::platform::Networking;
use crate::model::program::Program;
use crate::platform::engine_api::{Attachment, Container, Network, Pending};
use crate::platform::link::Link;
use crate::platform::process::exit_notice::{ExitNotice, Notification, exit_of_code, guest_exit};
use crate::platform::process::handle::Process;
use crate::platform::process::host_error::During;
use crate::platform::process::watch::{KILL_PATIENCE, Patience, Watch, pipe};
use crate::platform::process::watched::Body;
use crate::platform::{self, Endpoint, Exit, LaunchSpec, Milestone, Purpose};

/// How long the start of a container may take.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long the engine may take to kill a container and to report its exit.
const END_PATIENCE: Duration = Duration::from_secs(60);

/// A container.
#[derive(Debug)]
pub(in crate::platform) struct DockerInstance {
    shared: Arc<Shared>,
    watch: Watch,
    notice: Arc<ExitNotice>,
    /// The writing end of its output, until the attachment or the command takes it.
    output: Option<OwnedFd>,
    attachment: Option<Attachment>,
    connection: Connection,
    id: Option<String>,
    program: Program,
    purpose: Purpose,
    is_pinned: bool,
    cgroup: OnceLock<Cgroup>,
}

/// A container's connection to a network. Dropping it disconnects.
#[derive(Debug)]
enum Connection {
    /// Only its own loopback.
    None,
    /// A port of the engine's bridge.
    Port(Port),
    /// A namespace in the run's network.
    Link(Link),
}

impl DockerInstance {
    /// Records the container in the ledger and connects it if it needs a network. Creates nothing else yet.
    pub(in crate::platform) fn prepare(shared: &Arc<Shared>, spec: &LaunchSpec) -> Result<Self, Error> {
        shared.pin_engine_thread();
        let (read, write) = pipe().during("create a pipe")?;
        let mut watch = Watch::new(&spec.name, read, &shared.interrupt);
        let connection = Connection::open(shared, spec, &mut watch)?;
        let engine = shared.engine.address().to_string();
        shared.record(&Resource::Container { engine, name: spec.name.clone() })?;
        let notice = shared.exits.track(&shared.engine, shared.ledger.run(), &spec.name)?;
        Ok(Self {
            shared: Arc::clone(shared),
            watch,
            notice,
            output: Some(write),
            attachment: None,
            connection,
            id: None,
            program: spec.image.program,
            purpose: spec.purpose,
            is_pinned: spec.cpus.is_some(),
            cgroup: OnceLock::new(),
        })
    }

    /// The network that it joins.
    pub(in crate::platform) fn network(&self) -> Network {
        match &self.connection {
            Connection::None => Network::None,
            Connection::Port(port) => port.network(),
            Connection::Link(link) => link.netns().map_or(Network::None, Network::Joined),
        }
    }

    /// Creates and starts it with the engine's API. Attaches before the start, so that no line is missed.
    pub(in crate::platform) fn start(&mut self, container: &Container) -> Result<(), Error> {
        let output = self.output.take().ok_or(Error::OutputInUse)?;
        let engine = &self.shared.engine;
        self.watch.stamp(Event::Spawn);
        self.id = Some(engine.create(container).map_err(Error::creation)?);
        self.watch.stamp(Event::Created);
        self.attachment = Some(engine.attach(&container.name, output)?);
        self.watch.follow_notice(Arc::clone(&self.notice));
        let starting = engine.begin_start(&container.name);
        // A fast guest prints before the engine answers.
        self.wait_reading(starting, START_PATIENCE, Patience::Interruptible)?;
        self.read_cgroup_if_pinned()
    }

    /// Finds the cgroup of a pinned container now, since its placement is read back and it may be gone later.
    fn read_cgroup_if_pinned(&mut self) -> Result<(), Error> {
        if !self.is_pinned || !self.shared.engine.address().is_local() {
            return Ok(());
        }
        let inspecting = self.shared.engine.begin_inspect(self.watch.name());
        match self.wait_reading(inspecting, START_PATIENCE, Patience::Interruptible) {
            Ok(state) => {
                if let Some(cgroup) = cgroup_of(&state) {
                    self.cgroup.get_or_init(|| cgroup);
                }
                Ok(())
            }
            // It may have ended already; then reading back its placement reports that.
            Err(Error::Engine(_)) => Ok(()),
            Err(other) => Err(other),
        }
    }

    /// Waits for the engine's answer and reads the guest's output meanwhile.
    fn wait_reading<T>(&mut self, pending: Pending<T>, limit: Duration, patience: Patience) -> Result<T, Error> {
        let deadline = HostClock.now() + limit.into();
        let fd = pending.fd().ok_or(Error::NotPollable)?;
        while !self.watch.pump(Some(fd), deadline, patience)? && HostClock.now() < deadline {}
        Ok(pending.wait()?)
    }

    /// Creates and starts it with the `docker` command, and waits until it has started.
    pub(super) fn run(&mut self, container: &Container) -> Result<(), Error> {
        let output = self.output.take().ok_or(Error::OutputInUse)?;
        self.watch.stamp(Event::Spawn);
        let child = command::run(container, self.shared.engine.address(), self.shared.ledger.run(), output);
        let mut child = child.during("start the docker command")?;
        match Process::open(child.id() as i32) {
            Ok(process) => self.watch.follow_command(process),
            Err(e) => {
                // Nothing else could kill or reap it. Fails only if it is gone.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(Error::Process(e));
            }
        }
        self.await_start()?;
        if let Some(at) = self.notice.created() {
            self.watch.stamp_at(Event::Created, at);
        }
        self.check_command()?;
        self.read_cgroup_if_pinned()
    }

    /// Waits until the events report the start, or the command has ended.
    fn await_start(&mut self) -> Result<(), Error> {
        let deadline = HostClock.now() + START_PATIENCE.into();
        while self.notice.started().is_none() && !self.watch.has_ended() {
            if HostClock.now() >= deadline {
                return Err(Error::StartTimeout(START_PATIENCE));
            }
            // Killing the command while the engine creates would leave a container whose name is still unknown.
            let is_created = self.notice.created().is_some();
            let patience = if is_created { Patience::Interruptible } else { Patience::Cleanup };
            let reported = self.watch.pump(Some(self.notice.fd()), deadline, patience)?;
            if reported && let Some(Notification::Lost(error)) = self.notice.acknowledge() {
                return Err(Error::Engine(error));
            }
        }
        Ok(())
    }

    /// Fails with the command's message if it ended without a container, with an exit code of 125 to 127
    /// (`docker-run(1)`).
    fn check_command(&mut self) -> Result<(), Error> {
        let exit = self.watch.process().filter(|_| self.watch.has_ended()).and_then(Process::peek_exit);
        let has_run = self.notice.exit().is_some() && self.notice.started().is_some();
        if has_run || !matches!(exit, Some(Exit::Code(125..=127))) {
            return Ok(());
        }
        let mut lines = Vec::new();
        for stamped in self.watch.lines() {
            if let GuestLine::Other(text) = &stamped.line {
                lines.push(text.as_str());
            }
        }
        Err(Error::command(lines.join(" ")))
    }

    /// Removes everything that a failed launch has created. Returns why the launch failed, with what could not be
    /// removed.
    pub(in crate::platform) fn abandon(mut self, launch: Error) -> Error {
        self.stop_command();
        // The command does not report the id, and after the removal the engine cannot either.
        if self.id.is_none() {
            self.id = self.shared.engine.inspect(self.watch.name()).ok().map(|state| state.id);
        }
        let removed = self.remove();
        if let Some(id) = self.id.as_deref().filter(|_| self.shared.engine.address().is_local()) {
            strays::kill(id);
        }
        match removed {
            Ok(()) => launch,
            Err(removal) => {
                if self.shared.interrupt.is_raised() {
                    // The error of an interrupted launch is not reported, so print what stays.
                    output::err!("{}: {}", self.watch.name(), removal.with_help());
                }
                Error::Abandoned { launch: Box::new(launch), removal: Box::new(removal) }
            }
        }
    }

    /// Kills it if it lives, and returns its exit status.
    fn end_process(&mut self) -> Result<Exit, Error> {
        if !self.watch.has_ended() {
            self.kill_and_wait()?;
        }
        self.stop_command().or_else(|| self.notice.exit()).ok_or(Error::UnknownExit)
    }

    fn kill_and_wait(&mut self) -> Result<(), Error> {
        let name = self.watch.name().to_owned();
        let killing = self.shared.engine.kill(&name);
        match self.wait_reading(killing, END_PATIENCE, Patience::Cleanup) {
            Ok(()) => {}
            // It has ended, and its event may be lost, so ask the engine.
            Err(Error::Engine(e)) if e.is_absent() || e.is_conflict() => self.request_exit(&name),
            Err(e) => {
                self.stop_command();
                return Err(e);
            }
        }
        match self.watch.wait_exit(END_PATIENCE) {
            // The watch fails once the events were lost, but the engine may be back and have reported the exit.
            Err(_) if self.notice.exit().is_some() => Ok(()),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// Asks the engine for the exit code. If it has none, kills the watched command.
    fn request_exit(&self, name: &str) {
        let exit = self.shared.engine.inspect(name).ok().and_then(|state| state.exit);
        if let Some(exit) = exit.and_then(|code| i32::try_from(code).ok()).map(exit_of_code) {
            self.notice.report(Notification::Ended { at: HostClock.now(), exit });
        } else {
            self.watch.kill();
        }
    }

    /// Kills and reaps the command, if there is one, and returns the guest's exit status.
    fn stop_command(&mut self) -> Option<Exit> {
        self.watch.process()?;
        self.watch.kill();
        self.watch.wait_exit(KILL_PATIENCE).ok()?;
        self.watch.drain(KILL_PATIENCE);
        self.watch.process()?.reap().ok().map(guest_exit)
    }

    /// Removes the container, its connection and its attachment.
    fn remove(&mut self) -> Result<(), Error> {
        self.attachment = None;
        let removed = self.shared.engine.remove(self.watch.name());
        if let (Err(_), Some(id), EngineOwner::Run { service }) = (&removed, &self.id, &self.shared.owner) {
            // The service may be gone while the container still runs.
            service.end_container(id);
        }
        self.shared.exits.untrack(self.watch.name());
        self.connection = Connection::None;
        removed.map_err(Error::Removal)
    }

    /// The cgroup of its first process, if that runs on this host.
    fn find_cgroup(&self) -> Option<Cgroup> {
        if !self.shared.engine.address().is_local() || self.watch.has_ended() {
            return None;
        }
        self.shared.engine.inspect(self.watch.name()).ok().as_ref().and_then(cgroup_of)
    }
}

impl Connection {
    /// Connects as `spec` requires. Connecting is a part of the boot, whichever program does it.
    fn open(shared: &Shared, spec: &LaunchSpec, watch: &mut Watch) -> Result<Self, Error> {
        match (spec.network, &shared.owner) {
            (Networking::None, _) => Ok(Connection::None),
            (Networking::Bridge, EngineOwner::User) => shared.networks.port(shared).map(Connection::Port),
            (Networking::Bridge, EngineOwner::Run { .. }) => {
                watch.stamp(Event::Spawn);
                let link = Link::connect(&shared.context, spec).during("connect to the run's network")?;
                Ok(Connection::Link(link))
            }
        }
    }
}

impl Body for DockerInstance {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn end(&mut self) -> Result<Exit, platform::Error> {
        let exit = self.end_process();
        let removed = self.remove();
        let exit = removed.and(exit);
        exit.map_err(|e| e.into_failure(format!("remove {}", self.watch.name())))
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        match self.cgroup.get() {
            Some(cgroup) => Some(cgroup),
            None => self.find_cgroup().map(|cgroup| self.cgroup.get_or_init(|| cgroup)),
        }
    }

    fn endpoint(&self) -> Option<Endpoint> {
        if let Connection::Link(link) = &self.connection {
            return link.endpoint();
        }
        if !self.shared.engine.address().is_local() {
            // Its bridge is on another host.
            return None;
        }
        let port = self.program.listens()?;
        let address = self.shared.engine.inspect(self.watch.name()).ok()?.address?;
        Some(Endpoint { address: SocketAddr::new(address, port), netns: None })
    }

    fn kill(&mut self) {
        self.shared.engine.begin_kill(self.watch.name());
    }

    fn reached(&mut self, milestone: Milestone) {
        if self.purpose == Purpose::Background && milestone == Milestone::Ready {
            self.attachment = None;
            self.watch.stop_reading();
        }
    }
}
