//! One container of the engine.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::process::{PidfdFlags, pidfd_open};

use super::networks::Port;
use super::shared::{EngineOwner, Shared};
use super::{command, remains};
use crate::guest::GuestLine;
use crate::host::cgroup::{Cgroup, Controller, Hierarchies};
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::host::output;
use crate::model::event::Event;
use crate::model::platform::Networking;
use crate::model::program::Program;
use crate::platform::engine_api::{self, Attachment, Container, Network, Pending, Seen};
use crate::platform::link::Link;
use crate::platform::process::exit_notice::{ExitNotice, Notification, exit_of_code, passed_on};
use crate::platform::process::watch::{KILL_PATIENCE, Patience, Process, Watch, pid, pipe};
use crate::platform::process::watched::Body;
use crate::platform::{Endpoint, Error, Exit, LaunchSpec, Milestone, Purpose};

/// How long a command may take to have its container started.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long the engine may take to tell that a container ended which it has killed.
const END_PATIENCE: Duration = Duration::from_secs(60);

/// A container.
#[derive(Debug)]
pub(in crate::platform) struct DockerInstance {
    shared: Arc<Shared>,
    watch: Watch,
    told: Arc<ExitNotice>,
    /// The writing end of its output, until somebody has taken it.
    output: Option<OwnedFd>,
    attachment: Option<Attachment>,
    place: Place,
    id: Option<String>,
    program: Program,
    purpose: Purpose,
    is_pinned: bool,
    cgroup: OnceLock<Cgroup>,
}

/// A container's place in a network. Dropping it gives it back.
#[derive(Debug)]
enum Place {
    /// None, but for its own loopback.
    None,
    /// A port of the engine's bridge.
    Port(Port),
    /// A namespace in the run's network.
    Link(Link),
}

impl DockerInstance {
    /// Writes down what is about to be made, and takes a place in a network if it needs one. Asks for nothing else yet.
    pub(in crate::platform) fn prepare(shared: &Arc<Shared>, spec: &LaunchSpec) -> Result<Self, String> {
        shared.settle();
        let (read, write) = pipe().map_err(|e| e.to_string())?;
        let mut watch = Watch::new(&spec.name, read, &shared.interrupt);
        let place = Place::find(shared, spec, &mut watch)?;
        let engine = shared.engine.address().to_string();
        let written = shared.write_down(&Resource::Container { engine, name: spec.name.clone() });
        let told = written.and_then(|()| shared.ends.expect(&shared.engine, shared.ledger.run(), &spec.name));
        let told = told.map_err(|e| e.to_string())?;
        Ok(Self {
            shared: Arc::clone(shared),
            watch,
            told,
            output: Some(write),
            attachment: None,
            place,
            id: None,
            program: spec.image.program,
            purpose: spec.purpose,
            is_pinned: spec.cpus.is_some(),
            cgroup: OnceLock::new(),
        })
    }

    /// The network that it has a place in.
    pub(in crate::platform) fn network(&self) -> Network {
        match &self.place {
            Place::None => Network::None,
            Place::Port(port) => port.network(),
            Place::Link(link) => link.netns().map_or(Network::None, Network::Joined),
        }
    }

    /// Creates and starts it by the engine's API. The attachment is made before the start, so that no line is missed.
    pub(in crate::platform) fn start(&mut self, container: &Container) -> Result<(), String> {
        let output = self.output.take().ok_or("its output is taken")?;
        let engine = &self.shared.engine;
        self.watch.stamp(Event::Spawn);
        self.id = Some(engine.create(container).map_err(|e| with_cure(e.to_string()))?);
        self.watch.stamp(Event::Created);
        self.attachment = Some(engine.attach(&container.name, output).map_err(|e| e.to_string())?);
        self.watch.follow_told(Arc::clone(&self.told));
        let starting = engine.begin_start(&container.name);
        // A fast guest speaks before the engine answers.
        self.read_until(starting, START_PATIENCE, Patience::Interruptible)?.map_err(|e| e.to_string())?;
        self.look()
    }

    /// Looks where it is, if its placement will be read back: its lines are read meanwhile, and later it may be gone.
    fn look(&mut self) -> Result<(), String> {
        if self.is_pinned && self.shared.engine.address().is_local() {
            let looking = self.shared.engine.begin_inspect(self.watch.name());
            // One that has ended already has no place; whoever asks for it says so.
            let seen = self.read_until(looking, START_PATIENCE, Patience::Interruptible)?.ok();
            if let Some(cgroup) = seen.as_ref().and_then(group_of) {
                self.cgroup.get_or_init(|| cgroup);
            }
        }
        Ok(())
    }

    /// The engine's answer, for which is waited while the guest's lines are read; the error is that nothing can be read.
    fn read_until<T>(
        &mut self,
        pending: Pending<T>,
        limit: Duration,
        patience: Patience,
    ) -> Result<Result<T, engine_api::Error>, String> {
        let deadline = HostClock.now() + limit.into();
        let polled = || pending.fd().map_err(|e| e.to_string());
        while !self.watch.pump(Some(polled()?), deadline, patience).map_err(|e| e.to_string())?
            && HostClock.now() < deadline
        {}
        Ok(pending.wait())
    }

    /// Has the `docker` command make and start it, and waits until it is started.
    pub(super) fn run(&mut self, container: &Container) -> Result<(), String> {
        let output = self.output.take().ok_or("its output is taken")?;
        self.watch.stamp(Event::Spawn);
        let child = command::run(container, self.shared.engine.address(), self.shared.ledger.run(), output);
        let mut child = child.map_err(|e| format!("start the docker command: {e}"))?;
        let number = child.id() as i32;
        match pid(number).and_then(|pid| Ok(pidfd_open(pid, PidfdFlags::empty())?)) {
            Ok(handle) => self.watch.follow_command(Process::new(number, handle)),
            Err(e) => {
                // Nobody else could end it, or reap it. It fails only when it is gone.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("watch the docker command: {e}"));
            }
        }
        let deadline = HostClock.now() + START_PATIENCE.into();
        while self.told.started().is_none() && !self.watch.has_ended() {
            if HostClock.now() >= deadline {
                return Err(format!("the docker command has not started it after {START_PATIENCE:?}"));
            }
            // A command that is ended while the engine creates leaves a container that nobody knows yet.
            let is_created = self.told.created().is_some();
            let patience = if is_created { Patience::Interruptible } else { Patience::Cleanup };
            let told = self.watch.pump(Some(self.told.fd()), deadline, patience);
            let told = told.map_err(|e| e.to_string())?;
            if told && let Some(Notification::Lost(reason)) = self.told.listen() {
                return Err(reason);
            }
        }
        if let Some(at) = self.told.created() {
            self.watch.stamp_at(Event::Created, at);
        }
        self.refused()?;
        self.look()
    }

    /// The command's own words, if it ended without a container: by its codes 125 to 127 (`docker-run(1)`).
    fn refused(&mut self) -> Result<(), String> {
        let exit = self.watch.process().filter(|_| self.watch.has_ended()).and_then(Process::peek_exit);
        match exit {
            Some(Exit::Code(125..=127)) if self.told.exit().is_none() || self.told.started().is_none() => {
                let words = self.watch.lines().iter().filter_map(|stamped| match &stamped.line {
                    GuestLine::Other(text) => Some(text.as_str()),
                    _ => None,
                });
                Err(with_cure(words.collect::<Vec<_>>().join(" ")))
            }
            _ => Ok(()),
        }
    }

    /// Removes whatever a failed launch has made: why it failed, and what stays.
    pub(in crate::platform) fn abandon(mut self, reason: String) -> String {
        self.end_command();
        // A command keeps the id to itself, and after the removal nobody knows it.
        let seen = || self.shared.engine.inspect(self.watch.name()).ok().map(|seen| seen.id);
        self.id = self.id.take().or_else(seen);
        let removed = self.remove();
        if let Some(id) = self.id.as_deref().filter(|_| self.shared.engine.address().is_local()) {
            remains::end(id);
        }
        match removed {
            Ok(()) => reason,
            Err(e) => {
                if self.shared.interrupt.is_raised() {
                    // The reason of an interrupted launch is shown to nobody.
                    output::err!("{}: {e}", self.watch.name());
                }
                format!("{reason}; {e}")
            }
        }
    }

    fn end_process(&mut self) -> Result<Exit, String> {
        if !self.watch.has_ended() {
            let name = self.watch.name().to_owned();
            let killing = self.shared.engine.kill(&name);
            match self.read_until(killing, END_PATIENCE, Patience::Cleanup)? {
                Ok(()) => {}
                // It has ended, and so nothing may ever be told of it: the engine is asked instead.
                Err(e) if e.is_absent() || e.is_conflict() => self.ask_for_the_end(&name),
                Err(e) => {
                    self.end_command();
                    return Err(e.to_string());
                }
            }
            let waited = self.watch.wait_exit(END_PATIENCE);
            // An engine that was lost and is back can have been asked meanwhile.
            waited.map(drop).or_else(|e| self.told.exit().map(drop).ok_or(e.to_string()))?;
        }
        self.end_command().or_else(|| self.told.exit()).ok_or_else(|| "how it ended is not known".to_owned())
    }

    fn ask_for_the_end(&self, name: &str) {
        let exit = self.shared.engine.inspect(name).ok().and_then(|seen| seen.exit);
        if let Some(exit) = exit.and_then(|code| i32::try_from(code).ok()).map(exit_of_code) {
            self.told.tell(Notification::Ended { at: HostClock.now(), exit });
        } else {
            self.watch.kill();
        }
    }

    /// Ends and reaps the command, if it was started by one: how that ended.
    fn end_command(&mut self) -> Option<Exit> {
        self.watch.process()?;
        self.watch.kill();
        self.watch.wait_exit(KILL_PATIENCE).ok()?;
        self.watch.drain(KILL_PATIENCE);
        self.watch.process()?.reap().ok().map(passed_on)
    }

    /// Has the engine remove the container, and lets go of the rest.
    fn remove(&mut self) -> Result<(), String> {
        self.attachment = None;
        let removed = self.shared.engine.remove(self.watch.name());
        if let (Err(_), Some(id), EngineOwner::Run { service }) = (&removed, &self.id, &self.shared.keeper) {
            // Its service may be gone, and it not.
            service.end_container(id);
        }
        self.shared.ends.forget(self.watch.name());
        self.place = Place::None;
        removed.map_err(|e| format!("it stays in the ledger for cargo xtask clean: {e}"))
    }

    /// The group of its first process, if that is one of this host.
    fn find_cgroup(&self) -> Option<Cgroup> {
        if !self.shared.engine.address().is_local() || self.watch.has_ended() {
            return None;
        }
        self.shared.engine.inspect(self.watch.name()).ok().as_ref().and_then(group_of)
    }
}

impl Place {
    /// The place that `spec` asks for. Connecting is a part of the boot, whoever does it.
    fn find(shared: &Shared, spec: &LaunchSpec, watch: &mut Watch) -> Result<Self, String> {
        match (spec.network, &shared.keeper) {
            (Networking::None, _) => Ok(Place::None),
            (Networking::Bridge, EngineOwner::User) => shared.networks.port(shared).map(Place::Port),
            (Networking::Bridge, EngineOwner::Run { .. }) => {
                watch.stamp(Event::Spawn);
                Link::connect(&shared.context, spec).map(Place::Link).map_err(|e| e.to_string())
            }
        }
    }
}

/// What goes wrong outside the harness, as the engine and its command say it, and the cure.
const CURES: [(&str, &str); 2] = [
    ("No such image", "it was removed behind the run's back: a new run loads it again"),
    ("Cannot connect to the Docker daemon", "start it: dockerd, or systemctl start docker"),
];

/// What was said, with the cure if there is one.
fn with_cure(words: String) -> String {
    let known = CURES.iter().find(|(what, _)| words.contains(what));
    known.map(|(_, cure)| format!("{words}; {cure}")).unwrap_or(words)
}

/// The group of a container of an engine of this host, if it runs.
fn group_of(seen: &Seen) -> Option<Cgroup> {
    let table = std::fs::read_to_string(format!("/proc/{}/cgroup", seen.pid?)).ok()?;
    let path = group_path(&table).filter(|path| names(path, &seen.id))?;
    let hierarchies = Hierarchies::read(Path::new("/")).ok()?.of_runtimes();
    Some(Arc::new(hierarchies).group(Path::new(path)))
}

/// The path of a process's group, by the table in `/proc/<pid>/cgroup` (`cgroups(7)`): where its processes are counted,
/// in version 1, else the only one.
fn group_path(table: &str) -> Option<&str> {
    let lines = || table.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    let counted = lines().find(|(names, _)| names.split(',').any(|name| name == Controller::Pids.name()));
    counted.or_else(|| lines().find(|(names, _)| names.is_empty())).map(|(_, path)| path)
}

/// Whether the group `path` is that of the container `id`, as every engine calls it. Behind the socket may be another
/// machine, or a virtual one: its process numbers are other processes here.
fn names(path: &str, id: &str) -> bool {
    !id.is_empty() && path.contains(id)
}

impl Body for DockerInstance {
    fn watch(&self) -> &Watch {
        &self.watch
    }

    fn watch_mut(&mut self) -> &mut Watch {
        &mut self.watch
    }

    fn end(&mut self) -> Result<Exit, Error> {
        let exit = self.end_process();
        let removed = self.remove();
        let failed = |e: String| Error::failed(format!("remove {}", self.watch.name()), e);
        removed.map_err(failed)?;
        exit.map_err(failed)
    }

    fn cgroup(&self) -> Option<&Cgroup> {
        match self.cgroup.get() {
            Some(cgroup) => Some(cgroup),
            None => self.find_cgroup().map(|cgroup| self.cgroup.get_or_init(|| cgroup)),
        }
    }

    fn endpoint(&self) -> Option<Endpoint> {
        if let Place::Link(link) = &self.place {
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
            self.watch.stop_listening();
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::v1("12:pids:/docker/ab\n5:memory:/docker/ab\n0::/other\n", Some("/docker/ab"))]
    #[case::v2("0::/system.slice/docker-ab.scope\n", Some("/system.slice/docker-ab.scope"))]
    #[case::nothing("", None)]
    fn the_group_of_a_process_is_found(#[case] table: &str, #[case] path: Option<&str>) {
        assert_eq!(group_path(table), path);
    }

    #[rstest]
    #[case::docker("/docker/ab12", "ab12", true)]
    #[case::systemd("/system.slice/docker-ab12.scope", "ab12", true)]
    #[case::podman("/fw/libpod-ab12", "ab12", true)]
    #[case::somebody_else("/user.slice", "ab12", false)]
    #[case::no_id("/user.slice", "", false)]
    fn only_a_group_that_names_the_container_is_its(#[case] path: &str, #[case] id: &str, #[case] its: bool) {
        assert_eq!(names(path, id), its);
    }
}
