//! Processes that are not this process's children by birth: what runtimes and guests leave when they end.
//!
//! A runtime ends once it has made its container, whose process then goes to the nearest ancestor that asked for such
//! orphans (`PR_SET_CHILD_SUBREAPER`, `prctl(2)`), and only that one is told how it ended. So the harness asks for them
//! as soon as a platform needs it, and from then on whoever leaves orphans has them reaped: bare processes and runtimes
//! by their process group, which nothing else of the harness shares.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use rustix::process::{
    PidfdFlags, Signal, WaitId, WaitIdOptions, getpgid, kill_process_group, pidfd_open, pidfd_send_signal,
    set_child_subreaper,
};

use crate::platform::Exit;
use crate::platform::process::watch::{KILL_PATIENCE, Process, pid, wait_ended};

/// How a process tells by which signal its guest was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::platform) enum Tells {
    /// The kernel tells it: the process is the guest.
    Signal,
    /// By an exit code of 128 and the signal, as a shell does (`bash(1)`): the process runs the guest in itself.
    Code,
}

impl Tells {
    /// What `exit` says of the guest. A code beyond the last signal is the guest's own.
    pub(in crate::platform) fn read(self, exit: Exit) -> Exit {
        match exit {
            Exit::Code(code @ 129..=192) if self == Tells::Code => Exit::Signal(code - 128),
            other => other,
        }
    }
}

/// From now on orphans below this process become its children. Harmless twice.
pub(in crate::platform) fn adopt() -> io::Result<()> {
    Ok(set_child_subreaper(Some(rustix::process::getpid()))?)
}

/// Kills the process group of `leader` and reaps those of it that are this process's children; nothing if `leader` is
/// none of them, since its number, and with it that of the group, may be another's by now.
pub(in crate::platform) fn end_group(leader: &Process) {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    if rustix::process::waitid(WaitId::PidFd(leader.handle.as_fd()), look).is_err() {
        return;
    }
    if let Ok(group) = pid(leader.pid) {
        // It fails only when nobody is left.
        let _ = kill_process_group(group, Signal::KILL);
    }
    reap_group(leader.pid);
}

/// Reaps the processes of the group `leader` that are this process's children, and waits for those that live, at most
/// for [`KILL_PATIENCE`]: kill them before. Harmless if there are none.
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
            // One is reaped; other errors are of one process, such as a signal that has no name.
            _ => {}
        }
    }
}

/// Handles of this process's children in that process group, zombies included: one whose threads live cannot be reaped.
fn children_in(group: i32) -> Vec<OwnedFd> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let all = procfs::process::all_processes().into_iter().flatten().flatten();
    let stats = all.filter_map(|process| process.stat().ok());
    let children = stats.filter(|stat| stat.ppid == own && stat.pgrp == group);
    children.filter_map(|stat| pidfd_open(pid(stat.pid).ok()?, PidfdFlags::empty()).ok()).collect()
}

/// Kills these processes, waits until they have ended, at most for `patience`, and reaps those that became children of
/// this process.
pub(in crate::platform) fn end_all(pids: &[i32], patience: Duration) {
    let open = |&raw: &i32| pidfd_open(pid(raw).ok()?, PidfdFlags::empty()).ok();
    let handles: Vec<OwnedFd> = pids.iter().filter_map(open).collect();
    for handle in &handles {
        // It fails only when the process is gone already.
        let _ = pidfd_send_signal(handle, Signal::KILL);
    }
    wait_ended(&handles, patience);
    for handle in &handles {
        // It fails for whoever has another parent.
        let _ = rustix::process::waitid(WaitId::PidFd(handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }
}

/// Those of `pids` that lead a process group.
pub(in crate::platform) fn leaders(pids: &[i32]) -> Vec<Process> {
    let open = |&raw: &i32| {
        let number = pid(raw).ok()?;
        let handle = pidfd_open(number, PidfdFlags::empty()).ok()?;
        (getpgid(Some(number)) == Ok(number)).then(|| Process::new(raw, handle))
    };
    pids.iter().filter_map(open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_ended_by_its_leader_and_by_nobody_else() {
        use std::os::unix::process::CommandExt;
        let mut command = std::process::Command::new("sleep");
        let mut leader = command.arg("600").process_group(0).spawn().expect("it starts");
        let group = leader.id() as i32;
        let mut member = command.process_group(group).spawn().expect("it starts");
        let numbers = [group, member.id() as i32];

        let found = leaders(&numbers);
        assert_eq!(found.iter().map(|p| p.pid).collect::<Vec<_>>(), [group]);
        end_group(&found[0]);
        assert!(leader.wait().is_err() && member.wait().is_err(), "both are reaped");
        // Its number may be another's now.
        end_group(&found[0]);
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
    fn a_guest_in_a_process_is_told_as_a_shell_tells_it() {
        let told = [0, 7, 129, 134, 192, 193, 255].map(|code| Tells::Code.read(Exit::Code(code)));
        let [abort, last] = [6, 64].map(Exit::Signal);
        assert_eq!(told[..3], [Exit::Code(0), Exit::Code(7), Exit::Signal(1)]);
        assert_eq!(told[3..], [abort, last, Exit::Code(193), Exit::Code(255)]);
        assert_eq!(Tells::Signal.read(Exit::Code(134)), Exit::Code(134));
    }
}
