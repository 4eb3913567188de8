//! Processes by handles, which a reused process number cannot mislead.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid};

use crate::host::clock::{Clock, HostClock};
use crate::platform::process::exit_notice::exit_of_status;
use crate::platform::process::orphan::SignalEncoding;
use crate::platform::process::poll::poll_four;
use crate::platform::{Exit, GuestThread, ThreadRole};

/// A process with its handle.
#[derive(Debug)]
pub(in crate::platform) struct Process {
    /// Its number in the host's process namespace.
    pub(in crate::platform) pid: i32,
    /// A descriptor of the process (`pidfd_open(2)`).
    pub(in crate::platform) handle: OwnedFd,
    /// How its exit status reports the signal that ended the guest.
    pub(in crate::platform) signals: SignalEncoding,
}

/// Why a process could not be opened or reaped.
#[derive(Debug, thiserror::Error)]
pub(in crate::platform) enum ProcessError {
    #[error("invalid process number `{0}`")]
    InvalidPid(String),
    #[error("failed to open a handle of process {pid}: {source}")]
    Open { pid: i32, source: io::Error },
    #[error("failed to reap process {pid}: {source}")]
    Reap { pid: i32, source: io::Error },
    #[error("process {pid} has no exit status")]
    NoStatus { pid: i32 },
    #[error("the instance has no process")]
    NoProcess,
}

impl Process {
    /// A process that is the guest itself.
    pub(in crate::platform) fn new(pid: i32, handle: OwnedFd) -> Self {
        Self { pid, handle, signals: SignalEncoding::WaitStatus }
    }

    /// Opens the process `raw`, which is the guest itself.
    pub(in crate::platform) fn open(raw: i32) -> Result<Self, ProcessError> {
        let handle = pidfd_open(pid(raw)?, PidfdFlags::empty());
        let handle = handle.map_err(|e| ProcessError::Open { pid: raw, source: e.into() })?;
        Ok(Self::new(raw, handle))
    }

    /// Its exit status, without reaping it; `None` while it runs, or if this process may not read the status.
    pub(in crate::platform) fn peek_exit(&self) -> Option<Exit> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        match waitid(WaitId::PidFd(self.handle.as_fd()), options) {
            Ok(status) => status.and_then(|status| exit_of(&status)).map(|exit| self.signals.decode(exit)),
            // Not our child: the kernel shows the status to processes that may trace it (proc_pid_stat(5), exit_code).
            Err(_) => {
                let stat = procfs::process::Process::new(self.pid).and_then(|p| p.stat()).ok()?;
                (stat.state == 'Z').then_some(stat.exit_code).flatten().map(exit_of_status)
            }
        }
    }

    /// Reaps it: a child of this process that has ended.
    pub(in crate::platform) fn reap(&self) -> Result<Exit, ProcessError> {
        let status = waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED);
        let status = status.map_err(|e| ProcessError::Reap { pid: self.pid, source: e.into() })?;
        let exit = status.and_then(|status| exit_of(&status)).map(|exit| self.signals.decode(exit));
        exit.ok_or(ProcessError::NoStatus { pid: self.pid })
    }
}

/// Waits until these processes have ended, at most for `patience`.
pub(in crate::platform) fn wait_ended(handles: &[OwnedFd], patience: Duration) {
    let deadline = HostClock.now() + patience.into();
    for handle in handles {
        while HostClock.now() < deadline
            && matches!(poll_four([Some(handle.as_fd()), None, None, None], deadline), Ok([false, ..]))
        {}
    }
}

/// Lists the threads of these processes, from `/proc`.
pub(in crate::platform) fn threads_of(pids: impl IntoIterator<Item = i32>) -> Vec<GuestThread> {
    let mut threads = Vec::new();
    for pid in pids {
        for entry in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            if let Some(tid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
                threads.push(GuestThread { pid, tid, role: ThreadRole::Process });
            }
        }
    }
    threads
}

/// Converts a process number to the type of `rustix`.
pub(in crate::platform) fn pid(raw: i32) -> Result<Pid, ProcessError> {
    Pid::from_raw(raw).ok_or_else(|| ProcessError::InvalidPid(raw.to_string()))
}

fn exit_of(status: &WaitIdStatus) -> Option<Exit> {
    match status.exit_status() {
        Some(code) => Some(Exit::Code(code)),
        None => status.terminating_signal().map(Exit::Signal),
    }
}
