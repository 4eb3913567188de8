//! `bwrap`: the guest program in a sandbox of bubblewrap.
//!
//! The harness starts `bwrap`, which creates the namespaces and mounts, forks the guest, and writes its process number to
//! an inherited descriptor. Before `bwrap` executes the guest, it waits for a byte on another one. Until then, the harness
//! puts the guest into its control group; so `bwrap` itself stays outside of the limits. `bwrap` exits with the guest's
//! status. Invariant: nothing of a sandbox is in the file system.

mod command;
mod instance;

use std::ffi::CString;
use std::fs::File;
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use command::Descriptors;
use instance::BwrapInstance;

use super::groups::{Groups, PROCESS_CONTROLLERS};
use super::link::Link;
use super::{Context, Error, Instance, LaunchSpec, Platform, ResourceCost, SettingKind, Settings, UnsupportedSetting};
use crate::guest::{GuestLine, Image};
use crate::host::cgroup::Cgroup;
use crate::host::clock::{Clock, HostClock};
use crate::host::ledger::Resource;
use crate::host::tools;
use crate::model::event::Event;
use crate::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId, Unavailable};
use crate::model::run::RUN_VARIABLE;
use crate::model::units::Nanos;
use crate::platform::process::handle::{Process, ProcessError};
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::orphan::{SignalEncoding, become_subreaper};
use crate::platform::process::spawn::{self, FIRST_PASSED, Start};
use crate::platform::process::watch::{Patience, Watch, pipe};
use crate::platform::process::watched::Watched;

/// The settings of an arm that it supports.
pub(super) const SETTINGS: &[SettingKind] =
    &[SettingKind::Images, SettingKind::Guests, SettingKind::Busy, SettingKind::Quota, SettingKind::Delay];

/// What the host bears for a sandbox: the guest and `bwrap`.
pub(super) const COST: ResourceCost = ResourceCost { tasks: 2, neighbors: 1, ..ResourceCost::PROCESS };

/// Its program, in `PATH`.
const PROGRAM: &str = "bwrap";

/// How long `bwrap` may take to print its version, or to create a sandbox: milliseconds on an idle host.
const PATIENCE: Duration = Duration::from_secs(60);

/// Sandboxes of bubblewrap.
#[derive(Debug)]
pub struct Bwrap {
    id: PlatformId,
    context: Context,
    clock: HostClock,
    groups: Result<Groups, String>,
    bubblewrap: OnceLock<Result<Bubblewrap, Unavailable>>,
}

/// The program on this host.
#[derive(Debug, Clone)]
struct Bubblewrap {
    program: PathBuf,
    version: String,
}

impl Bwrap {
    /// The platform for one run.
    pub fn new(context: Context) -> Self {
        let groups = Groups::find(&context, |all| all.only(&context.settings.controllers(PROCESS_CONTROLLERS)));
        Self { id: PlatformId::new(PROGRAM), context, clock: HostClock, groups, bubblewrap: OnceLock::new() }
    }

    /// The program, tested once.
    fn bubblewrap(&self) -> Result<&Bubblewrap, Unavailable> {
        self.bubblewrap.get_or_init(Bubblewrap::find).as_ref().map_err(Unavailable::clone)
    }

    /// Creates the control group of an instance with limits; `None` if this host has no usable control groups.
    fn confine(&self, spec: &LaunchSpec) -> io::Result<Option<Cgroup>> {
        let Ok(groups) = &self.groups else { return Ok(None) };
        let cgroup = match spec.limits {
            Some(limits) => Some(groups.confine(&spec.name, spec.cpus.as_ref(), limits.memory, limits.pids)?),
            None => None,
        };
        groups.slow_down(&spec.name, cgroup, self.context.settings.quota(spec))
    }

    /// Creates everything that a sandbox needs, and starts it.
    fn start(&self, spec: &LaunchSpec, program: &Path) -> Result<BwrapInstance, StartError> {
        check_program(&spec.image)?;
        // A guest whose `bwrap` was killed becomes a child of the harness.
        become_subreaper().during("become a subreaper")?;
        let recorded = self.context.ledger.record(&Resource::Process { name: spec.name.clone() });
        recorded.during("record its process in the ledger")?;
        let (read, output) = pipe().during("create a pipe")?;
        let mut watch = Watch::new(&spec.name, read, &self.context.interrupt);
        let cgroup = self.confine(spec).during("create its cgroup")?;
        if spec.network == Networking::Bridge {
            // Connecting is a part of the boot.
            watch.stamp(Event::Spawn);
        }
        let link = Link::connect(&self.context, spec);
        if let (Err(_), Some(cgroup)) = (&link, &cgroup) {
            cgroup.remove_if_empty();
        }
        let mut instance = BwrapInstance::new(watch, cgroup, link.during("connect it to the run's network")?);
        let started = self.run(spec, program, &mut instance, output);
        if started.is_err() {
            instance.abandon();
        }
        started.map(|()| instance)
    }

    /// Starts `bwrap`, puts the guest into its control group, and lets it run.
    fn run(
        &self,
        spec: &LaunchSpec,
        program: &Path,
        instance: &mut BwrapInstance,
        output: OwnedFd,
    ) -> Result<(), StartError> {
        let (mut info, info_writer) = io::pipe().during("create a pipe")?;
        let (gate_reader, mut gate) = io::pipe().during("create a pipe")?;
        let passed = [info_writer.as_fd(), gate_reader.as_fd()];
        self.spawn(spec, program, instance, output, &passed).during("start bwrap")?;
        drop((info_writer, gate_reader));
        let guest = Process::open(read_guest(instance, &mut info)?)?;
        join(instance.cgroup.as_ref(), guest.pid).during("move the guest into its cgroup")?;
        instance.set_guest(guest);
        instance.watch.stamp(Event::Created);
        gate.write_all(b"\n").map_err(|_| ended_early(instance))
    }

    /// Starts the process; the spawn event is stamped just before the clone.
    fn spawn(
        &self,
        spec: &LaunchSpec,
        program: &Path,
        instance: &mut BwrapInstance,
        output: OwnedFd,
        passed: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let program = CString::new(program.as_os_str().as_bytes())?;
        let mut arguments = vec![program.clone()];
        for argument in command::arguments(spec, Descriptors { info: FIRST_PASSED, gate: FIRST_PASSED + 1 }) {
            arguments.push(CString::new(argument)?);
        }
        let input = File::open("/dev/null")?;
        let netns = instance.netns().map(File::open).transpose()?;
        let start = Start {
            program,
            arguments,
            environment: vec![CString::new(format!("{RUN_VARIABLE}={}", self.context.ledger.run()))?],
            input: input.as_fd(),
            output: output.as_fd(),
            error: None,
            passed,
            cpus: spec.cpus.as_ref(),
            cgroup_fds: &[],
            rlimits: &[],
            hides: None,
            netns: netns.as_ref().map(AsFd::as_fd),
        };
        instance.watch.stamp(Event::Spawn);
        let (pid, handle) = spawn::start(&start)?;
        instance.watch.follow(Process { signals: SignalEncoding::ExitCode, ..Process::new(pid, handle) });
        Ok(())
    }
}

/// Why a sandbox could not be started.
#[derive(Debug, thiserror::Error)]
enum StartError {
    #[error(transparent)]
    Host(#[from] HostError),
    #[error(transparent)]
    Process(#[from] ProcessError),
    #[error(transparent)]
    Wait(#[from] Error),
    #[error("{} is missing", .0.display())]
    NoProgram(PathBuf),
    #[error("bwrap ended before its guest: {0}")]
    EndedEarly(String),
    #[error("bwrap did not report its guest within {} s", PATIENCE.as_secs())]
    NoReport,
}

impl Bubblewrap {
    /// Finds the program, and tests it with a sandbox.
    fn find() -> Result<Self, Unavailable> {
        let program = tools::find(PROGRAM).ok_or_else(|| {
            Unavailable::new(format!("{PROGRAM} is not in PATH"), "install it: cargo xtask setup --only bwrap")
        })?;
        let arguments = command::version(&program);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let help = "run as root, outside of a container that withholds CAP_SYS_ADMIN";
        match tools::output(&program, &arguments, PATIENCE) {
            Ok(Some(text)) if text.starts_with("bubblewrap ") => Ok(Self { program, version: text.trim().to_owned() }),
            Ok(Some(text)) => {
                let reason = text.lines().next().unwrap_or("it prints nothing");
                Err(Unavailable::new(format!("{PROGRAM} cannot create a sandbox: {reason}"), help))
            }
            Ok(None) => {
                Err(Unavailable::new(format!("{PROGRAM} does not finish within {} s", PATIENCE.as_secs()), help))
            }
            Err(e) => Err(Unavailable::new(format!("{PROGRAM} cannot be started: {e}"), help)),
        }
    }
}

fn check_program(image: &Image) -> Result<(), StartError> {
    let program = image.binary();
    if program.is_file() { Ok(()) } else { Err(StartError::NoProgram(program)) }
}

/// Reads the guest's process number from what `bwrap` writes: a JSON object with `child-pid`.
fn read_guest(instance: &mut BwrapInstance, info: &mut PipeReader) -> Result<i32, StartError> {
    let deadline = HostClock.now() + Nanos::from(PATIENCE);
    let mut text = Vec::new();
    while HostClock.now() < deadline {
        if !instance.watch.pump(Some(info.as_fd()), deadline, Patience::Interruptible)? {
            continue;
        }
        let mut part = [0; 1024];
        match info.read(&mut part).during("read the report of bwrap")? {
            0 => return Err(ended_early(instance)),
            read => text.extend_from_slice(&part[..read]),
        }
        if let Some(pid) = child_pid(&text) {
            return Ok(pid);
        }
    }
    Err(StartError::NoReport)
}

/// The guest in what `bwrap` has reported so far; `None` if the object is not complete.
fn child_pid(text: &[u8]) -> Option<i32> {
    let object: serde_json::Value = serde_json::from_slice(text).ok()?;
    object["child-pid"].as_i64()?.try_into().ok()
}

/// Moves a guest that waits for its start into its group.
fn join(cgroup: Option<&Cgroup>, guest: i32) -> io::Result<()> {
    for file in cgroup.map_or_else(|| Ok(Vec::new()), Cgroup::open_cgroup_fds)? {
        File::from(file).write_all(guest.to_string().as_bytes())?;
    }
    Ok(())
}

/// An error with the reason that `bwrap` printed.
fn ended_early(instance: &mut BwrapInstance) -> StartError {
    let mut reason = "no output".to_owned();
    for stamped in instance.watch.lines() {
        if let GuestLine::Other(text) = &stamped.line {
            reason = text.clone();
        }
    }
    StartError::EndedEarly(reason)
}

impl Platform for Bwrap {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: self.groups.is_ok(),
            launch_concurrency: thread::available_parallelism().map_or(1, usize::from),
            host_processes: true,
            network: rustix::process::geteuid().is_root(),
            own_memory: false,
            simulated: false,
        }
    }

    fn supports(&self, settings: &Settings) -> Result<(), UnsupportedSetting> {
        settings.only(&self.id, SETTINGS)
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        let bubblewrap = self.bubblewrap()?;
        let note = match &self.groups {
            Ok(groups) => format!("limits by cgroups ({})", groups.mode()),
            Err(why) => format!("no limits: {why}"),
        };
        Ok(PlatformFacts { version: bubblewrap.version.clone(), notes: vec![note] })
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        check_program(image).map_err(|e| Error::failed(format!("prepare {} on {}", image.program, self.id), e))
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        if self.context.interrupt.is_raised() {
            return Err(Error::Interrupted);
        }
        let program = &self.bubblewrap()?.program;
        match self.start(spec, program) {
            Ok(instance) => Ok(Box::new(Watched::new(instance))),
            Err(StartError::Wait(Error::Interrupted)) => Err(Error::Interrupted),
            Err(e) => Err(Error::failed(format!("launch {} on {}", spec.name, self.id), e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_is_known_once_the_report_is_complete() {
        let report = b"{\n    \"child-pid\": 28304,\n    \"ipc-namespace\": 4026532179\n}\n";
        assert_eq!((child_pid(&report[..25]), child_pid(report)), (None, Some(28304)));
    }
}
