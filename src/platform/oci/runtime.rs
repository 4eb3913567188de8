//! A runtime's program: found in `PATH`, identified by its version, and called with a deadline.
//!
//! The commands are the operations of the OCI runtime specification (`runtime.md`) with the options that runc, crun,
//! runsc and youki share.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::complaint::complaint;
use crate::guest::GuestLine;
use crate::host::clock::{Clock, HostClock};
use crate::host::tools;
use crate::model::platform::Unavailable;
use crate::model::run::{RUN_VARIABLE, RunId};
use crate::platform::process::handle::Process;
use crate::platform::process::host_error::{During, HostError};
use crate::platform::process::orphan::{SignalEncoding, end_group};
use crate::platform::process::spawn::{self, Start};
use crate::platform::process::watch::{Patience, Watch};
use crate::platform::{Error, Exit, settings};

/// How long a runtime may take for one command before it counts as stuck and is killed.
const CALL_PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to report its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(10);

/// An OCI runtime.
#[derive(Debug)]
pub(super) struct Runtime {
    program: CString,
    environment: Vec<CString>,
    /// Its version, as it reports it.
    pub(super) version: String,
    /// How it isolates guests.
    pub(super) kind: RuntimeKind,
    /// A mount that it rejects, and therefore must not see.
    pub(super) hidden: Option<CString>,
}

/// How a runtime isolates its guests from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuntimeKind {
    /// With namespaces: guests are processes of this host's kernel.
    Namespaces,
    /// With its own kernel in a process, gVisor's sentry, and a helper for files, its gofer.
    Sandbox,
}

/// The files of one container, all in the run's folder.
#[derive(Debug)]
pub(super) struct Files {
    /// Its bundle, which also has the runtime's log.
    pub(super) bundle: PathBuf,
    /// The runtime's state of it.
    pub(super) states: PathBuf,
}

/// A command of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Create the container; its process waits for the start.
    Create,
    /// Start the guest in that process.
    Start,
    /// Remove an ended container.
    Delete,
    /// Remove it in any state.
    DeleteByForce,
}

impl Runtime {
    /// Finds the runtime of that name, or the program that is `set`, for the run `run`. The version identifies its
    /// kind, whatever the file's name is.
    pub(super) fn find(name: &str, set: Option<&Path>, run: &RunId) -> Result<Self, Unavailable> {
        let unavailable = |reason: String| Unavailable {
            reason,
            cure: format!("install {name} (Debian: apt-get install {name}), or `cargo xtask setup`"),
        };
        let find = || tools::find(name).ok_or_else(|| unavailable(format!("no `{name}` in PATH")));
        let path = settings::program(set, find)?;
        let version = tools::version(&path, &["--version"], VERSION_PATIENCE)
            .ok_or_else(|| unavailable(format!("{} does not report its version", path.display())))?;
        let kind = if version.starts_with("runsc") { RuntimeKind::Sandbox } else { RuntimeKind::Namespaces };
        let environment = vec![c_string(format!("{RUN_VARIABLE}={run}")), c_string(search_path())];
        Ok(Self { program: c_string(path.as_os_str()), environment, version, kind, hidden: None })
    }

    /// How the exit status of a container's process reports the signal that ended the guest.
    pub(super) fn signal_encoding(&self) -> SignalEncoding {
        match self.kind {
            RuntimeKind::Namespaces => SignalEncoding::WaitStatus,
            RuntimeKind::Sandbox => SignalEncoding::ExitCode,
        }
    }

    /// Runs `command` on the container of `watch` until it succeeds, and stamps the guest's output meanwhile. The
    /// runtime and the guest write to `output`, or the runtime to its log if there is none. The caller must reap the
    /// returned process. After an error, the runtime's process group is gone.
    pub(super) fn call(
        &self,
        watch: &mut Watch,
        command: Command,
        files: &Files,
        output: Option<BorrowedFd<'_>>,
    ) -> Result<Process, CallError> {
        let spawned = self.spawn(watch.name(), command, files, output);
        let process = spawned.during_with(|| format!("call the runtime's {}", command.verb()))?;
        match await_end(watch, command, &process) {
            Ok(Exit::Code(0)) => Ok(process),
            Ok(exit) => {
                end_group(&process);
                let log = std::fs::read_to_string(files.log()).unwrap_or_default();
                let complaint = complaint(&log).or_else(|| last_output(watch));
                Err(CallError::Failed { command, exit, complaint })
            }
            Err(e) => {
                end_group(&process);
                Err(e)
            }
        }
    }

    fn spawn(
        &self,
        name: &str,
        command: Command,
        files: &Files,
        output: Option<BorrowedFd<'_>>,
    ) -> io::Result<Process> {
        let (input, log) = (File::open("/dev/null")?, files.open_log()?);
        let own = [self.program.clone()].into_iter();
        let start = Start {
            program: self.program.clone(),
            arguments: own.chain(self.arguments(name, command, files).map(c_string)).collect(),
            environment: self.environment.clone(),
            input: input.as_fd(),
            output: output.unwrap_or(log.as_fd()),
            error: None,
            passed: &[],
            cpus: None,
            cgroup_fds: &[],
            rlimits: &[],
            hides: self.hidden.as_deref(),
            netns: None,
        };
        let (pid, handle) = spawn::start(&start)?;
        Ok(Process::new(pid, handle))
    }

    fn arguments(&self, name: &str, command: Command, files: &Files) -> impl Iterator<Item = String> {
        self.options(files).into_iter().chain(command.arguments(files)).chain([name.to_owned()])
    }

    /// The options before any command.
    fn options(&self, files: &Files) -> Vec<String> {
        let mut options = vec!["--root".to_owned(), text(&files.states)];
        options.extend(["--log".to_owned(), text(&files.log()), "--log-format".to_owned(), "json".to_owned()]);
        if self.kind == RuntimeKind::Sandbox {
            // The sandbox chooses its own platform: ptrace until 2023, then systrap. It uses the namespace's network
            // only if it does not mistake that for the host's, which it does on kernels where every namespace has
            // /proc/sys/net/core/rmem_default (seen with 20221219 and 20240729 on 6.18).
            options.push("--network=none".to_owned());
        }
        options
    }
}

impl Files {
    /// The runtime's log.
    fn log(&self) -> PathBuf {
        self.bundle.join("runtime.log")
    }

    /// The file to which the runtime writes the number of the container's process.
    pub(super) fn pid(&self) -> PathBuf {
        self.bundle.join("pid")
    }

    fn open_log(&self) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.log())
    }
}

impl Command {
    fn verb(self) -> &'static str {
        match self {
            Command::Create => "create",
            Command::Start => "start",
            Command::Delete | Command::DeleteByForce => "delete",
        }
    }

    /// The command and its options, without the container's name.
    fn arguments(self, files: &Files) -> Vec<String> {
        let mut arguments = vec![self.verb().to_owned()];
        match self {
            Command::Create => {
                arguments.extend(["--bundle".to_owned(), text(&files.bundle)]);
                arguments.extend(["--pid-file".to_owned(), text(&files.pid())]);
            }
            Command::DeleteByForce => arguments.push("--force".to_owned()),
            Command::Start | Command::Delete => {}
        }
        arguments
    }

    /// Whether the user's interrupt ends it. Removals are not interruptible.
    fn patience(self) -> Patience {
        match self {
            Command::Create | Command::Start => Patience::Interruptible,
            Command::Delete | Command::DeleteByForce => Patience::Cleanup,
        }
    }
}

/// Why a call of the runtime failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// The runtime could not be started.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The runtime failed.
    #[error("the runtime's {} failed: {}", command.verb(), reason(*exit, complaint.as_deref()))]
    Failed { command: Command, exit: Exit, complaint: Option<String> },
    /// The runtime's exit status is not available.
    #[error("the exit status of the runtime's {} is unknown", .0.verb())]
    UnknownExit(Command),
    /// The wait for the runtime failed.
    #[error(transparent)]
    Wait(#[from] Error),
}

impl CallError {
    /// Whether the runtime rejects a host that mounts both versions of cgroups. Runtimes report that only as text.
    pub(super) fn is_hybrid_mode_rejected(&self) -> bool {
        matches!(self, CallError::Failed { complaint: Some(text), .. } if text.contains("hybrid"))
    }
}

fn reason(exit: Exit, complaint: Option<&str>) -> String {
    match (complaint, exit) {
        (Some(text), _) => text.to_owned(),
        (None, Exit::Code(code)) => format!("it printed nothing and exited with code {code}"),
        (None, Exit::Signal(signal)) => format!("it printed nothing and was ended by signal {signal}"),
    }
}

/// The last line of its output, if it writes to the guest's.
fn last_output(watch: &mut Watch) -> Option<String> {
    match &watch.lines().last()?.line {
        GuestLine::Other(text) => Some(text.clone()),
        _ => None,
    }
}

/// Waits for the exit of the runtime's process, without reaping it.
fn await_end(watch: &mut Watch, command: Command, process: &Process) -> Result<Exit, CallError> {
    let begun = HostClock.now();
    let deadline = begun + CALL_PATIENCE.into();
    while !watch.pump(Some(process.handle.as_fd()), deadline, command.patience())? {
        if HostClock.now() >= deadline {
            return Err(CallError::Wait(Error::Deadline {
                name: watch.name().to_owned(),
                after: HostClock.now().saturating_sub(begun).to_string(),
                awaited: format!("the end of the runtime's {}", command.verb()),
                last: "it runs".to_owned(),
            }));
        }
    }
    process.peek_exit().ok_or(CallError::UnknownExit(command))
}

/// This process's `PATH`, in which some runtimes look for helpers.
fn search_path() -> OsString {
    let mut variable = OsString::from("PATH=");
    variable.push(std::env::var_os("PATH").unwrap_or_default());
    variable
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Converts the text up to a zero byte. No path or name here has one.
fn c_string(text: impl AsRef<OsStr>) -> CString {
    let bytes = text.as_ref().as_bytes();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::host::interrupt::Interrupt;
    use crate::platform::process::watch::pipe;

    fn runtime(name: &str) -> Result<Runtime, Unavailable> {
        Runtime::find(name, None, &RunId::generate())
    }

    fn files(dir: &Path) -> Files {
        Files { bundle: dir.to_owned(), states: dir.join("states") }
    }

    #[test]
    fn a_missing_runtime_is_named_with_the_remedy() {
        let why = runtime("no-such-runtime").expect_err("no host has it").to_string();
        assert!(why.contains("`no-such-runtime`") && why.contains("install no-such-runtime"), "{why}");
    }

    #[rstest]
    #[case(
        RuntimeKind::Namespaces,
        Command::Create,
        "--root /b/states --log /b/runtime.log --log-format json create --bundle /b --pid-file /b/pid fw-1"
    )]
    #[case(
        RuntimeKind::Sandbox,
        Command::Start,
        "--root /b/states --log /b/runtime.log --log-format json --network=none start fw-1"
    )]
    #[case(
        RuntimeKind::Namespaces,
        Command::DeleteByForce,
        "--root /b/states --log /b/runtime.log --log-format json delete --force fw-1"
    )]
    fn commands_have_their_options(#[case] kind: RuntimeKind, #[case] command: Command, #[case] expected: &str) {
        let (program, environment) = (CString::default(), Vec::new());
        let runtime = Runtime { program, environment, version: String::new(), kind, hidden: None };
        let words: Vec<_> = runtime.arguments("fw-1", command, &files(Path::new("/b"))).collect();
        assert_eq!(words.join(" "), expected);
    }

    /// Neither is a runtime: one prints an error, the other nothing.
    #[rstest]
    #[case("sleep", Command::Start, "--help")]
    #[case("sleep", Command::Create, "--help")]
    #[case("false", Command::Create, "it printed nothing and exited with code 1")]
    fn a_failed_command_reports_why(#[case] program: &str, #[case] command: Command, #[case] expected: &str) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (read, write) = pipe().expect("a pipe");
        let mut watch = Watch::new("fw-test", read, &Interrupt::new().expect("an eventfd"));
        let output = (command == Command::Create).then_some(write.as_fd());
        let outcome =
            runtime(program).expect("every system has it").call(&mut watch, command, &files(dir.path()), output);
        let error = outcome.expect_err("not a runtime").to_string();
        assert!(error.contains(expected) && error.contains(command.verb()), "{error}");
    }

    #[test]
    fn an_interrupt_ends_a_hanging_command_but_not_a_removal() {
        let (read, _write) = pipe().expect("a pipe");
        let interrupt = Interrupt::new().expect("an eventfd");
        let mut watch = Watch::new("fw-test", read, &interrupt);
        let mut hanging = std::process::Command::new("sleep").arg("600").spawn().expect("it starts");
        let process = Process::open(hanging.id() as i32).expect("a handle");
        interrupt.raise();
        let interrupted = await_end(&mut watch, Command::Create, &process);
        hanging.kill().expect("killed");
        let removal = await_end(&mut watch, Command::Delete, &process);
        hanging.wait().expect("it ends");
        assert!(matches!(interrupted, Err(CallError::Wait(Error::Interrupted))), "{interrupted:?}");
        assert!(matches!(removal, Ok(Exit::Signal(9))), "{removal:?}");
    }
}
