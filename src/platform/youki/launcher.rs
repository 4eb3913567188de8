//! The launcher: a small process with one thread that creates containers with `libcontainer` for the harness.
//!
//! The library forks from the process that calls it, and forking a large process with many threads is slow. So the
//! harness starts its own executable again as a launcher, which runs only this loop. Invariant: a launcher is the
//! parent of its containers and reaps one only on request, so a reported process number stays valid until then.

use std::collections::HashMap;
use std::error::Error as _;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::syscall::syscall::SyscallType;
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

use super::message::{LauncherRequest, Reply, receive, send};
use crate::host::clock::{Clock, HostClock};
use crate::host::output;
use crate::platform::Exit;

/// The `argv[0]` that makes a process a launcher.
pub(super) const NAME: &str = "featherweight-launcher";

/// Set once this executable has called [`launcher_entry`].
static ENTRY: AtomicBool = AtomicBool::new(false);

/// Becomes a launcher if this process was started as one, and then never returns. Every binary that runs instances must
/// call it first in `main`, before it starts a thread.
pub fn launcher_entry() {
    ENTRY.store(true, Ordering::SeqCst);
    if std::env::args_os().next().is_some_and(|name| name == NAME) {
        let code = match serve() {
            Ok(()) => 0,
            Err(e) => {
                output::err!("{NAME}: {e}");
                1
            }
        };
        exit(code);
    }
}

/// Whether this executable can start as a launcher.
pub(super) fn has_entry() -> bool {
    ENTRY.load(Ordering::SeqCst)
}

/// Serves requests until the harness closes its socket.
fn serve() -> io::Result<()> {
    // The Rust runtime ignores SIGPIPE, and a guest would inherit that.
    // SAFETY: the default action runs no code of this process.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl)? };
    // Otherwise its name would be `exe`, after the link that it was started through.
    nix::sys::prctl::set_name(c"fw-launcher")?;
    let socket = take_socket()?;
    let mut launcher = Launcher::default();
    while let Some((request, file)) = receive(socket.as_fd())? {
        launcher.answer(socket.as_fd(), request, file)?;
    }
    Ok(())
}

/// Takes the socket from the standard input, so that no container inherits it there.
fn take_socket() -> io::Result<OwnedFd> {
    let socket = io::stdin().as_fd().try_clone_to_owned()?;
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    Ok(socket)
}

#[derive(Default)]
struct Launcher {
    containers: HashMap<String, (Container, Pid)>,
}

impl Launcher {
    fn answer(&mut self, socket: BorrowedFd<'_>, request: LauncherRequest, file: Option<OwnedFd>) -> io::Result<()> {
        let reply = match request {
            LauncherRequest::Launch { name, bundle, states } => {
                let Some(output) = file else {
                    let reason = "the request has no output descriptor".to_owned();
                    return send(socket, &Reply::Failed { reason }, None);
                };
                match create(&name, &bundle, &states, output) {
                    Ok((container, pid)) => {
                        send(socket, &Reply::Created { pid: pid.as_raw() }, None)?;
                        self.start(name, container, pid)
                    }
                    Err(e) => {
                        self.reap_strays();
                        failed(&e)
                    }
                }
            }
            LauncherRequest::Remove { name } => self.remove(&name),
        };
        send(socket, &reply, None)
    }

    fn start(&mut self, name: String, mut container: Container, pid: Pid) -> Reply {
        let at = HostClock.now();
        match container.start() {
            Ok(()) => {
                self.containers.insert(name, (container, pid));
                Reply::Started { at }
            }
            Err(e) => {
                let _ = kill(pid, Signal::SIGKILL);
                match delete(&mut container, pid) {
                    Ok(_) => failed(&e),
                    Err(deletion) => Reply::Failed { reason: format!("{}; {deletion}", chain(&e)) },
                }
            }
        }
    }

    fn remove(&mut self, name: &str) -> Reply {
        let Some((mut container, pid)) = self.containers.remove(name) else {
            return Reply::Failed { reason: "the launcher that created it has ended".to_owned() };
        };
        match delete(&mut container, pid) {
            Ok(exit) => Reply::Removed { exit },
            Err(e) => Reply::Failed { reason: e.to_string() },
        }
    }

    /// Kills and reaps children that belong to no container, which a failed creation leaves.
    fn reap_strays(&self) {
        let own = std::process::id();
        let children = std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()).map(Pid::from_raw) {
            if !self.containers.values().any(|&(_, pid)| pid == child) {
                let _ = kill(child, Signal::SIGKILL);
                let _ = waitpid(child, None);
            }
        }
    }
}

fn create(name: &str, bundle: &Path, states: &Path, output: OwnedFd) -> Result<(Container, Pid), LibcontainerError> {
    let error_output = output.try_clone().map_err(LibcontainerError::OtherIO)?;
    let container = ContainerBuilder::new(name.to_owned(), SyscallType::default())
        .with_root_path(states)?
        .with_stdin(File::open("/dev/null").map_err(LibcontainerError::OtherIO)?)
        .with_stdout(output)
        .with_stderr(error_output)
        .validate_id()?
        .as_init(bundle)
        .with_systemd(false)
        .build()?;
    let pid = container.pid().ok_or_else(|| LibcontainerError::Other("the container has no process".to_owned()))?;
    // The library uses another version of nix with its own type.
    Ok((container, Pid::from_raw(pid.as_raw())))
}

/// Why a container could not be deleted.
#[derive(Debug, thiserror::Error)]
enum DeleteError {
    #[error("failed to wait for its exit: {0}")]
    Wait(nix::errno::Errno),
    #[error("{}", chain(.0))]
    Runtime(LibcontainerError),
    #[error("failed to reap it: {0}")]
    Reap(nix::errno::Errno),
    #[error("failed to reap it: unexpected status {0:?}")]
    Status(WaitStatus),
}

/// Deletes a container after its process has ended, then reaps the process. The order matters: while the process is a
/// zombie, its number cannot be reused, and the library sees that it has ended.
fn delete(container: &mut Container, pid: Pid) -> Result<Exit, DeleteError> {
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).map_err(DeleteError::Wait)?;
    let deleted = container.delete(false);
    let exit = match waitpid(pid, None) {
        Ok(WaitStatus::Exited(_, code)) => Ok(Exit::Code(code)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Exit::Signal(signal as i32)),
        Ok(other) => Err(DeleteError::Status(other)),
        Err(e) => Err(DeleteError::Reap(e)),
    };
    deleted.map_err(DeleteError::Runtime)?;
    exit
}

fn failed(e: &LibcontainerError) -> Reply {
    Reply::Failed { reason: chain(e) }
}

/// Formats an error with its causes, because the library's outer errors are as vague as "io error".
fn chain(e: &LibcontainerError) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(e) = cause {
        let inner = e.to_string();
        if !text.ends_with(&inner) {
            text.push_str(": ");
            text.push_str(&inner);
        }
        cause = e.source();
    }
    text
}
