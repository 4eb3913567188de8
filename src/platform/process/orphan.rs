//! Orphans: processes that runtimes and guests leave behind when they end.
//!
//! A runtime exits once it has created its container. The container's process then becomes a child of the nearest
//! ancestor that is a subreaper (`PR_SET_CHILD_SUBREAPER`, `prctl(2)`), and only that ancestor learns its exit status.
//! So the harness becomes a subreaper as soon as a platform needs it. From then on each platform reaps the orphans that
//! it causes by their process group, which nothing else of the harness shares.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rustix::process::{
    Signal, WaitId, WaitIdOptions, getpgid, kill_process_group, pidfd_send_signal, set_child_subreaper,
};

use crate::platform::Exit;
use crate::platform::process::handle::{Process, pid, wait_ended};
use crate::platform::process::watch::KILL_PATIENCE;

/// How a process's exit status reports the signal that ended the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::platform) enum SignalEncoding {
    /// In the wait status: the process is the guest.
    WaitStatus,
    /// As an exit code of 128 plus the signal, like a shell (`bash(1)`): the process contains the guest.
    ExitCode,
}

impl SignalEncoding {
    /// Returns the guest's exit status. A code beyond the last signal is the guest's own.
    pub(in crate::platform) fn decode(self, exit: Exit) -> Exit {
        match exit {
            Exit::Code(code @ 129..=192) if self == SignalEncoding::ExitCode => Exit::Signal(code - 128),
            other => other,
        }
    }
}

/// Makes this process the subreaper of its descendants. May be called repeatedly.
pub(in crate::platform) fn become_subreaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Kills the process group of `leader` and reaps its members that are children of this process. Does nothing unless
/// `leader` is a child of this process, because otherwise its number may belong to another group by now.
pub(in crate::platform) fn end_group(leader: &Process) {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if rustix::process::waitid(WaitId::PidFd(leader.handle.as_fd()), options).is_err() {
        return;
    }
    if let Ok(group) = pid(leader.pid) {
        // Fails only if the group is empty.
        let _ = kill_process_group(group, Signal::KILL);
    }
    reap_group(leader.pid);
}

/// Reaps the children of this process in the group `leader`. Waits at most [`KILL_PATIENCE`] for those that live, so
/// kill them first.
pub(in crate::platform) fn reap_group(leader: i32) {
    reap_within(leader, KILL_PATIENCE);
}

fn reap_within(leader: i32, patience: Duration) {
    let group = nix::unistd::Pid::from_raw(leader);
    let give_up = Instant::now() + patience;
    loop {
        let left = give_up.saturating_duration_since(Instant::now());
        match waitid(Id::PGid(group), WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG) {
            Err(Errno::ECHILD) => return,
            _ if left.is_zero() => return,
            Ok(WaitStatus::StillAlive) => wait_ended(&children_in(leader), left),
            // One was reaped, or its status cannot be decoded, such as a signal without a name.
            _ => {}
        }
    }
}

/// Opens this process's children in that process group. Includes zombies: one with live threads cannot be reaped.
fn children_in(group: i32) -> Vec<OwnedFd> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let all = procfs::process::all_processes().into_iter().flatten().flatten();
    let stats = all.filter_map(|process| process.stat().ok());
    let children = stats.filter(|stat| stat.ppid == own && stat.pgrp == group);
    children.filter_map(|stat| Process::open(stat.pid).ok()).map(|process| process.handle).collect()
}

/// Kills these processes, waits at most `patience` for their exit, and reaps those that are children of this process.
pub(in crate::platform) fn end_all(pids: &[i32], patience: Duration) {
    let processes = pids.iter().filter_map(|&pid| Process::open(pid).ok());
    let handles: Vec<OwnedFd> = processes.map(|process| process.handle).collect();
    for handle in &handles {
        // Fails only if the process is gone already.
        let _ = pidfd_send_signal(handle, Signal::KILL);
    }
    wait_ended(&handles, patience);
    for handle in &handles {
        // Fails for a process with another parent.
        let _ = rustix::process::waitid(WaitId::PidFd(handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// Returns those of `pids` that lead a process group.
pub(in crate::platform) fn leaders(pids: &[i32]) -> Vec<Process> {
    pids.iter().filter_map(|&raw| Process::open(raw).ok()).filter(leads_group).collect()
}

fn leads_group(process: &Process) -> bool {
    pid(process.pid).is_ok_and(|number| getpgid(Some(number)) == Ok(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_ended_only_by_its_leader() {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new("sleep");
        let mut leader = command.arg("600").process_group(0).spawn().expect("it starts");
        let group = leader.id() as i32;
        let mut member = command.process_group(group).spawn().expect("it starts");
        let numbers = [group, member.id() as i32];

        let leading = leaders(&numbers);
        assert_eq!(leading.iter().map(|p| p.pid).collect::<Vec<_>>(), [group]);
        end_group(&leading[0]);
        assert!(leader.wait().is_err() && member.wait().is_err(), "both are reaped");
        // Its number may belong to another process now.
        end_group(&leading[0]);
    }

    #[test]
    fn a_group_that_lives_on_is_not_awaited_for_ever_and_one_that_ends_is_reaped() {
        use std::os::unix::process::CommandExt;
        let mut child = std::process::Command::new("sleep").arg("600").process_group(0).spawn().expect("it starts");
        let group = child.id() as i32;
        reap_within(group, Duration::from_millis(20));
        assert_eq!(child.try_wait().expect("it is still ours"), None);
        child.kill().expect("it lives");
        reap_within(group, Duration::from_secs(60));
        assert!(child.wait().is_err(), "it is reaped");
    }

    #[test]
    fn exit_codes_above_128_are_signals_only_if_the_process_contains_the_guest() {
        let decoded = [0, 7, 129, 134, 192, 193, 255].map(|code| SignalEncoding::ExitCode.decode(Exit::Code(code)));
        let [abort, last] = [6, 64].map(Exit::Signal);
        assert_eq!(decoded[..3], [Exit::Code(0), Exit::Code(7), Exit::Signal(1)]);
        assert_eq!(decoded[3..], [abort, last, Exit::Code(193), Exit::Code(255)]);
        assert_eq!(SignalEncoding::WaitStatus.decode(Exit::Code(134)), Exit::Code(134));
    }
}
