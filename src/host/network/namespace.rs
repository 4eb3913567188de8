//! Network namespaces without names, and functions that work in one.
//!
//! Each thread has its own network namespace (`network_namespaces(7)`). Work in another namespace runs in a new thread, so
//! that the caller's namespace never changes.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::NetworkError;
use super::netlink::Socket;
use crate::host::error::failed_to;

/// Disables IPv6 for all present and future links of the caller's network namespace (`ip-sysctl.rst` of the kernel).
const NO_IPV6: &str = "/proc/sys/net/ipv6/conf/all/disable_ipv6";

/// A network namespace, kept alive by this value and by processes in it.
#[derive(Debug)]
pub(super) struct Namespace(pub(super) File);

impl Namespace {
    /// Creates a namespace whose only link is a loopback that is down. IPv6 is disabled because it would solicit routers and
    /// announce itself. The socket configures the new namespace.
    pub(super) fn create() -> io::Result<(Self, Socket)> {
        in_new_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|e| failed_to("create a network namespace", e.into()))?;
            let own = File::open("/proc/thread-self/ns/net")?;
            match fs::write(NO_IPV6, "1") {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed_to(format!("write {NO_IPV6}"), e)),
                _ => {}
            }
            Ok((Self(own), Socket::open()?))
        })?
    }

    /// Opens another socket that configures this namespace.
    pub(super) fn socket(&self) -> io::Result<Socket> {
        within(&self.0, Socket::open)?
    }

    /// The descriptor of the namespace.
    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// A path by which other processes can open it as long as this process has it open.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", id(), self.fd()))
    }
}

/// Executes `work` in the network namespace at `netns`, in a new thread.
///
/// # Errors
/// When the namespace cannot be entered; `work` is not executed then.
pub fn inside<T: Send>(netns: &Path, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    within(&open(netns)?, work).map_err(|e| failed_to(entering(netns), e))
}

/// Executes `work` in `namespace`, in a new thread.
pub(super) fn within<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    in_new_thread(|| {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    })?
}

/// Makes the program of `command` start in the network namespace at `netns`.
///
/// # Errors
/// When there is no such namespace. If it cannot be entered, starting the program fails.
pub fn enter(command: &mut Command, netns: &Path) -> io::Result<()> {
    let namespace = open(netns)?;
    let join = move || setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
    // SAFETY: between fork and exec the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(join) };
    Ok(())
}

fn open(netns: &Path) -> io::Result<File> {
    File::open(netns).map_err(|e| failed_to(entering(netns), e))
}

fn entering(netns: &Path) -> String {
    format!("enter the network namespace {}", netns.display())
}

fn in_new_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("fw-netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| NetworkError::ThreadPanicked.into())
    })
}
