//! A runtime's program: found in `PATH`, asked what it is, and called with a deadline.
//!
//! The commands are those of the OCI runtime specification (`runtime.md`, "Operations") with the options that runc,
//! crun, runsc and youki have in common.

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
use crate::platform::process::orphan::{Tells, end_group};
use crate::platform::process::spawn::{self, Start};
use crate::platform::process::watch::{Patience, Process, Watch};
use crate::platform::{Error, Exit, settings};

/// How long a runtime may take for one command before it counts as stuck and is killed.
const CALL_PATIENCE: Duration = Duration::from_secs(30);

/// How long it may take to tell its version.
const VERSION_PATIENCE: Duration = Duration::from_secs(10);

/// An OCI runtime.
#[derive(Debug)]
pub(super) struct Runtime {
    program: CString,
    environment: Vec<CString>,
    /// What it says of itself.
    pub(super) version: String,
    /// How it keeps guests apart.
    pub(super) kind: RuntimeKind,
    /// A mount that it would stumble over.
    pub(super) hides: Option<CString>,
}

/// How a runtime keeps its guests apart from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RuntimeKind {
    /// By namespaces: they are processes of this host's kernel.
    Namespaces,
    /// By a kernel of its own in a process, gVisor's sentry, with a helper for files, its gofer.
    Sandbox,
}

/// The files of one container, all below the run's own folder.
#[derive(Debug)]
pub(super) struct Files {
    /// Its bundle, with the runtime's log in it.
    pub(super) bundle: PathBuf,
    /// What the runtime keeps of it.
    pub(super) states: PathBuf,
}

/// A command of the specification, with the options it takes here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Command {
    /// Make the container; its process waits to be started.
    Create,
    /// Let the process run the guest.
    Start,
    /// Remove what has ended.
    Delete,
    /// Remove it whatever its state is.
    DeleteByForce,
}

impl Runtime {
    /// The runtime of that name, or the program that is `set`, for the run `run`. Its version tells what it is, whatever its
    /// file is called.
    pub(super) fn find(name: &str, set: Option<&Path>, run: &RunId) -> Result<Self, Unavailable> {
        let cure = || format!("install {name} (Debian: apt-get install {name}), or `cargo xtask setup`");
        let missing = || Unavailable { reason: format!("no `{name}` in PATH"), cure: cure() };
        let broken = |reason: String| Unavailable { reason, cure: cure() };
        let path = settings::program(set, || tools::find(name).ok_or_else(missing))?;
        let version = tools::version(&path, &["--version"], VERSION_PATIENCE)
            .ok_or_else(|| broken(format!("{} does not tell its version", path.display())))?;
        let kind = if version.starts_with("runsc") { RuntimeKind::Sandbox } else { RuntimeKind::Namespaces };
        let environment = vec![c_string(format!("{RUN_VARIABLE}={run}")), c_string(search_path())];
        Ok(Self { program: c_string(path.as_os_str()), environment, version, kind, hides: None })
    }

    /// Whether a guest is ended by an exit code or a signal of its process.
    pub(super) fn tells(&self) -> Tells {
        match self.kind {
            RuntimeKind::Namespaces => Tells::Signal,
            RuntimeKind::Sandbox => Tells::Code,
        }
    }

    /// Runs `command` on the container of `watch` to its end, which is success; whoever called reaps its process.
    /// What the guest prints meanwhile is stamped. `output` is where both write, the log without it.
    ///
    /// # Errors
    /// Tells what the runtime complained of. Nothing of its own process group is left then.
    pub(super) fn call(
        &self,
        watch: &mut Watch,
        command: Command,
        files: &Files,
        output: Option<BorrowedFd<'_>>,
    ) -> Result<Process, Error> {
        let action = format!("{} of the runtime", command.verb());
        let failed = |e: io::Error| Error::failed(action.clone(), e);
        let process = self.spawn(watch.name(), command, files, output).map_err(failed)?;
        match await_end(watch, command, &process) {
            Ok(Exit::Code(0)) => Ok(process),
            Ok(exit) => {
                end_group(&process);
                let log = std::fs::read_to_string(files.log()).unwrap_or_default();
                let told = complaint(&log).or_else(|| printed(watch));
                let told = told.unwrap_or_else(|| format!("no word but {exit:?}"));
                Err(Error::failed(action, told))
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
            hides: self.hides.as_deref(),
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
            // The platform of the sandbox stays its own choice: ptrace until 2023, then systrap. Its network is taken
            // from the namespace only if it does not take that for the host's own, which it does on kernels where
            // every namespace has /proc/sys/net/core/rmem_default (seen with 20221219 and 20240729 on 6.18).
            options.push("--network=none".to_owned());
        }
        options
    }
}

impl Files {
    /// Where the runtime writes its log.
    fn log(&self) -> PathBuf {
        self.bundle.join("runtime.log")
    }

    /// Where the runtime writes the number of the container's process.
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

    /// It and its options, without the container's name.
    fn arguments(self, files: &Files) -> Vec<String> {
        let made = ["--bundle".to_owned(), text(&files.bundle), "--pid-file".to_owned(), text(&files.pid())];
        let options = match self {
            Command::Create => made.to_vec(),
            Command::DeleteByForce => vec!["--force".to_owned()],
            Command::Start | Command::Delete => Vec::new(),
        };
        [vec![self.verb().to_owned()], options].concat()
    }

    /// Whether the user's wish to stop ends it: not where something is being removed.
    fn patience(self) -> Patience {
        match self {
            Command::Create | Command::Start => Patience::Interruptible,
            Command::Delete | Command::DeleteByForce => Patience::Cleanup,
        }
    }
}

/// What it printed last, where its output is the guest's.
fn printed(watch: &mut Watch) -> Option<String> {
    match &watch.lines().last()?.line {
        GuestLine::Other(text) => Some(text.clone()),
        _ => None,
    }
}

/// Waits for the end of the runtime's process, which is not reaped.
fn await_end(watch: &mut Watch, command: Command, process: &Process) -> Result<Exit, Error> {
    let begun = HostClock.now();
    let deadline = begun + CALL_PATIENCE.into();
    while !watch.pump(Some(process.handle.as_fd()), deadline, command.patience())? {
        if HostClock.now() >= deadline {
            return Err(Error::Deadline {
                name: watch.name().to_owned(),
                after: HostClock.now().saturating_sub(begun).to_string(),
                awaited: format!("the end of the runtime's {}", command.verb()),
                last: "it runs".to_owned(),
            });
        }
    }
    let lost = || Error::failed(format!("{} of the runtime", command.verb()), "its end is not told");
    process.peek_exit().ok_or_else(lost)
}

/// `PATH` as this process has it: some runtimes look for helpers.
fn search_path() -> OsString {
    let mut variable = OsString::from("PATH=");
    variable.push(std::env::var_os("PATH").unwrap_or_default());
    variable
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The text up to a zero byte, which no path and no name here has.
fn c_string(text: impl AsRef<OsStr>) -> CString {
    let bytes = text.as_ref().as_bytes();
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    CString::new(&bytes[..end]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use rustix::process::PidfdFlags;

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
    fn a_runtime_that_is_not_there_is_named_with_the_cure() {
        let why = runtime("no-such-runtime").expect_err("nobody has it").to_string();
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
        let runtime = Runtime { program, environment, version: String::new(), kind, hides: None };
        let words: Vec<_> = runtime.arguments("fw-1", command, &files(Path::new("/b"))).collect();
        assert_eq!(words.join(" "), expected);
    }

    /// Neither is a runtime: one says what it dislikes, the other nothing.
    #[rstest]
    #[case("sleep", Command::Start, "--help")]
    #[case("sleep", Command::Create, "--help")]
    #[case("false", Command::Create, "no word but Code(1)")]
    fn a_failed_command_tells_why(#[case] program: &str, #[case] command: Command, #[case] expected: &str) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (read, write) = pipe().expect("a pipe");
        let mut watch = Watch::new("fw-test", read, &Interrupt::new().expect("an eventfd"));
        let output = (command == Command::Create).then_some(write.as_fd());
        let outcome =
            runtime(program).expect("every system has it").call(&mut watch, command, &files(dir.path()), output);
        let error = outcome.expect_err("it is no runtime").to_string();
        assert!(error.contains(expected) && error.contains(command.verb()), "{error}");
    }

    #[test]
    fn the_users_wish_to_stop_ends_a_command_that_hangs_but_no_removal() {
        let (read, _write) = pipe().expect("a pipe");
        let interrupt = Interrupt::new().expect("an eventfd");
        let mut watch = Watch::new("fw-test", read, &interrupt);
        let mut hanging = std::process::Command::new("sleep").arg("600").spawn().expect("it starts");
        let handle = rustix::process::pidfd_open(rustix::process::Pid::from_child(&hanging), PidfdFlags::empty());
        let process = Process::new(hanging.id() as i32, handle.expect("a handle"));
        interrupt.raise();
        let interrupted = await_end(&mut watch, Command::Create, &process);
        hanging.kill().expect("killed");
        let removal = await_end(&mut watch, Command::Delete, &process);
        hanging.wait().expect("it ends");
        assert!(matches!(interrupted, Err(Error::Interrupted)), "{interrupted:?}");
        assert!(matches!(removal, Ok(Exit::Signal(9))), "{removal:?}");
    }
}
