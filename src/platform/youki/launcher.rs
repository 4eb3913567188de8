//! The launcher: a small process of one thread that makes containers with `libcontainer` for the harness.
//!
//! The library forks from the process that calls it, and forking a large process with many threads is slow, so the
//! harness starts its own executable again as a launcher, which is nothing but this loop. Invariant: a launcher is the
//! parent of its containers and reaps one only when asked to, so a process number it has told stays true until then.

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

/// The name by which a launcher knows that it is one: its `argv[0]`.
pub(super) const NAME: &str = "featherweight-launcher";

/// Set once this executable has shown that it becomes a launcher when it is started as one.
static ENTRY: AtomicBool = AtomicBool::new(false);

/// Becomes a launcher if this process was started as one, and then never returns. Every binary that runs instances
/// calls it first thing in `main`, before it starts a thread.
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

/// Whether this executable can be started as a launcher.
pub(super) fn has_entry() -> bool {
    ENTRY.load(Ordering::SeqCst)
}

/// Serves requests until the harness is gone.
fn serve() -> io::Result<()> {
    // The Rust runtime ignores SIGPIPE, and a guest would inherit that.
    // SAFETY: the default action is no handler of ours.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl)? };
    // Else it would be called `exe`, after the link it was started by.
    nix::sys::prctl::set_name(c"fw-launcher")?;
    let socket = take_socket()?;
    let mut launcher = Launcher::default();
    while let Some((request, file)) = receive(socket.as_fd())? {
        launcher.answer(socket.as_fd(), request, file)?;
    }
    Ok(())
}

/// The socket came as the standard input; no container may inherit it there.
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
                let output = file.ok_or_else(|| io::Error::other("a launch came without its output"))?;
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
                    Err(more) => Reply::Failed { reason: format!("{}; {more}", chain(&e)) },
                }
            }
        }
    }

    fn remove(&mut self, name: &str) -> Reply {
        let Some((mut container, pid)) = self.containers.remove(name) else {
            return Reply::Failed { reason: "the launcher that made it has ended".to_owned() };
        };
        delete(&mut container, pid).map_or_else(|reason| Reply::Failed { reason }, |exit| Reply::Removed { exit })
    }

    /// Ends and reaps children that belong to no container: what a failed creation left.
    fn reap_strays(&self) {
        let me = std::process::id();
        let children = std::fs::read_to_string(format!("/proc/self/task/{me}/children")).unwrap_or_default();
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
    // The library's own version of nix has another type for it.
    Ok((container, Pid::from_raw(pid.as_raw())))
}

/// Deletes a container after its process has ended, then reaps the process: as long as it is a zombie, its number is
/// no other process's, and the library sees that it has ended.
fn delete(container: &mut Container, pid: Pid) -> Result<Exit, String> {
    waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).map_err(|e| format!("wait for its end: {e}"))?;
    let deleted = container.delete(false);
    let exit = match waitpid(pid, None) {
        Ok(WaitStatus::Exited(_, code)) => Ok(Exit::Code(code)),
        Ok(WaitStatus::Signaled(_, signal, _)) => Ok(Exit::Signal(signal as i32)),
        Ok(other) => Err(format!("reap it: unexpected {other:?}")),
        Err(e) => Err(format!("reap it: {e}")),
    };
    deleted.map_err(|e| chain(&e))?;
    exit
}

fn failed(e: &LibcontainerError) -> Reply {
    Reply::Failed { reason: chain(e) }
}

/// An error with its causes; the library's outer ones say as little as "io error".
fn chain(e: &LibcontainerError) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(e) = cause {
        let more = e.to_string();
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = e.source();
    }
    text
}
