//! Network namespaces without names, and how to be in one for a moment.
//!
//! A thread's namespace is its own (`network_namespaces(7)`), so whatever has to happen in another one happens in a
//! thread that ends with it; the caller's never changes.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, id};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::netlink::Socket;

/// IPv6 of all links of the caller's network namespace, now and later (`ip-sysctl.rst` of the kernel).
const NO_IPV6: &str = "/proc/sys/net/ipv6/conf/all/disable_ipv6";

/// A network namespace that lives as long as this, or a process in it.
#[derive(Debug)]
pub(super) struct Namespace(pub(super) File);

impl Namespace {
    /// A new one, with nothing but a loopback that is down, and without IPv6, which would ask for routers and announce
    /// itself. The socket speaks to the kernel about what is in it.
    pub(super) fn make() -> io::Result<(Self, Socket)> {
        aside(|| {
            unshare(CloneFlags::CLONE_NEWNET).map_err(|e| failed("make a network namespace", e.into()))?;
            let own = File::open("/proc/thread-self/ns/net")?;
            match fs::write(NO_IPV6, "1") {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&format!("write {NO_IPV6}"), e)),
                _ => {}
            }
            Ok((Self(own), Socket::open()?))
        })?
    }

    /// Another conversation with the kernel about what is in it.
    pub(super) fn socket(&self) -> io::Result<Socket> {
        within(&self.0, Socket::open)?
    }

    /// Its descriptor, for the kernel.
    pub(super) fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Where other processes can open it, as long as this one lives.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", id(), self.fd()))
    }
}

/// Does `work` in the network namespace at `netns`, in a thread of its own.
///
/// # Errors
/// When the namespace cannot be entered; `work` was not done then.
pub fn inside<T: Send>(netns: &Path, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    within(&open(netns)?, work).map_err(|e| failed(&enter_what(netns), e))
}

/// Does `work` in `namespace`, in a thread of its own.
pub(super) fn within<T: Send>(namespace: &File, work: impl FnOnce() -> T + Send) -> io::Result<T> {
    aside(|| {
        setns(namespace, CloneFlags::CLONE_NEWNET)?;
        Ok(work())
    })?
}

/// Makes the program of `command` start in the network namespace at `netns`.
///
/// # Errors
/// When there is no such namespace. That it cannot be entered shows when the program is started.
pub fn enter(command: &mut Command, netns: &Path) -> io::Result<()> {
    let namespace = open(netns)?;
    let join = move || setns(&namespace, CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
    // SAFETY: between fork and exec it makes one system call and allocates nothing.
    unsafe { command.pre_exec(join) };
    Ok(())
}

fn open(netns: &Path) -> io::Result<File> {
    File::open(netns).map_err(|e| failed(&enter_what(netns), e))
}

fn enter_what(netns: &Path) -> String {
    format!("enter the network namespace {}", netns.display())
}

/// Does `work` in a thread that ends with it.
fn aside<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("fw-netns".to_owned()).spawn_scoped(scope, work)?;
        thread.join().map_err(|_| io::Error::other("the thread in the network namespace panicked"))
    })
}

fn failed(what: &str, e: io::Error) -> io::Error {
    io::Error::new(e.kind(), format!("{what}: {e}"))
}
