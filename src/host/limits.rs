//! Limits preflight: what many instances need of the host, what is short, and the cure.
//!
//! Invariants: [`check`] is pure; a limit is never lowered; nothing is changed before its old value could be written
//! down ([`plan`] tells it), so that a crashed run's changes can be undone ([`restore`]).

mod raise;
mod read;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::units::Bytes;

pub use raise::{Change, RaisedLimits, plan, restore};

/// What the host allows. `None` is unlimited or unknown: neither can be found short.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Process numbers (`kernel.pid_max`).
    pub pid_max: Option<u64>,
    /// Threads of the whole host (`kernel.threads-max`).
    pub threads_max: Option<u64>,
    /// Threads there are now.
    pub threads: Option<u64>,
    /// What the harness's own control groups still allow: processes.
    pub cgroup_pids_left: Option<u64>,
    /// What the harness's own control groups still allow: memory.
    pub cgroup_memory_left: Option<Bytes>,
    /// Processes of the harness's user (`RLIMIT_NPROC`); it does not bind root.
    pub user_processes: Option<u64>,
    /// Open files of the harness, as it is now (`RLIMIT_NOFILE`, soft).
    pub open_files: Option<u64>,
    /// Open files of the harness, at the most (hard).
    pub open_files_hard: Option<u64>,
    /// Open files of the whole host (`fs.file-max`).
    pub host_files: Option<u64>,
    /// Files open on the whole host now.
    pub host_files_open: Option<u64>,
    /// Inotify instances of one user.
    pub inotify_instances: Option<u64>,
    /// Inotify watches of one user.
    pub inotify_watches: Option<u64>,
    /// Neighbours kept without being collected (`gc_thresh1`).
    pub neighbours_kept: Option<u64>,
    /// Neighbours collected after five seconds (`gc_thresh2`).
    pub neighbours_soft: Option<u64>,
    /// Neighbours refused (`gc_thresh3`).
    pub neighbours_hard: Option<u64>,
    /// Neighbours there are now.
    pub neighbours: Option<u64>,
    /// Memory that new work can have.
    pub memory_available: Option<Bytes>,
}

/// What a run needs, at its largest step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Instances at once.
    pub instances: u64,
    /// Processes and threads of each, its monitor or runtime included.
    pub processes_each: u64,
    /// Those of them that are the harness's own user's, in the harness's own control groups: an engine's are not.
    pub own_processes_each: u64,
    /// Processes and threads besides, of attackers.
    pub processes_more: u64,
    /// Files that the harness keeps open for each.
    pub fds_each: u64,
    /// Inotify instances for each: some runtimes watch an instance's control group.
    pub inotify_each: u64,
    /// Neighbours that the kernel learns by each, in one table for all network namespaces. In the run's own network
    /// ([`crate::host::network`]) they are set, and counted by no table.
    pub neighbours_each: u64,
    /// Memory of each.
    pub memory_each: Bytes,
    /// What of it is charged to the harness's own control groups.
    pub own_memory_each: Bytes,
}

/// A limit that is too low.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// The limit, by the kernel's name.
    pub what: String,
    /// What there is, in the limit's own count; memory in bytes.
    pub have: u64,
    /// What the run needs.
    pub need: u64,
    /// What to do about it.
    pub cure: String,
    /// How the harness can raise it for the time of the run; `None` when it cannot.
    pub raisable: Option<Knob>,
}

/// What the harness can turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// A file under the root (`proc/sys/kernel/pid_max`); needs root.
    Sysctl(PathBuf),
    /// The harness's own soft limit of open files; needs nothing.
    OpenFiles,
}

/// Process numbers below this are not handed out again after the first round (`RESERVED_PIDS`, `kernel/pid.c`).
const RESERVED_PIDS: u64 = 300;
/// The most process numbers a 64-bit kernel can have (`PID_MAX_LIMIT`, `include/linux/threads.h`).
const PID_MAX_LIMIT: u64 = 4 * 1024 * 1024;
/// Ports of a bridge: ten bits, of which number 0 is not used (`BR_PORT_BITS`, `net/bridge/br_private.h`).
pub const BRIDGE_PORTS: u64 = 1023;
/// Files that the harness needs for itself: streams, libraries, the store, epoll.
const OWN_FILES: u64 = 64;
/// What else happens on a host while a run goes on: room for its own services.
const SPARE: u64 = 64;

/// What is too low for `needs`; empty when the host suffices.
pub fn check(limits: &Limits, needs: &Needs) -> Vec<Shortfall> {
    [processes(limits, needs), files(limits, needs), network(limits, needs), memory(limits, needs)].concat()
}

fn processes(limits: &Limits, needs: &Needs) -> Vec<Shortfall> {
    let new = needs.instances.saturating_mul(needs.processes_each).saturating_add(needs.processes_more);
    let own = needs.instances.saturating_mul(needs.own_processes_each);
    let with = |more: u64| limits.threads.unwrap_or(0).saturating_add(SPARE).saturating_add(more);
    let there = with(new);
    let numbers = there.saturating_add(RESERVED_PIDS);
    let pid_max = match numbers > PID_MAX_LIMIT {
        false => sysctl("kernel.pid_max", limits.pid_max, numbers),
        true => fixed("kernel.pid_max", limits.pid_max, numbers, "run fewer instances: the kernel has no more numbers"),
    };
    let raise_user = "raise the user's limit of processes (ulimit -u) or run as root";
    let raise_cgroup = "raise pids.max of the session's control group";
    [
        pid_max,
        sysctl("kernel.threads-max", limits.threads_max, there),
        fixed("RLIMIT_NPROC", limits.user_processes, if own == 0 { 0 } else { with(own) }, raise_user),
        fixed("pids.max", limits.cgroup_pids_left, own, raise_cgroup),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn files(limits: &Limits, needs: &Needs) -> Vec<Shortfall> {
    let new = needs.instances.saturating_mul(needs.fds_each).saturating_add(OWN_FILES);
    let host = limits.host_files_open.unwrap_or(0).saturating_add(SPARE).saturating_add(new);
    let watched = match needs.inotify_each {
        0 => 0,
        each => needs.instances.saturating_mul(each).saturating_add(SPARE),
    };
    let inotify = |what, have| if watched == 0 { None } else { sysctl(what, have, watched) };
    let is_soft = limits.open_files_hard.is_none_or(|hard| hard >= new);
    let own = short("RLIMIT_NOFILE", limits.open_files, new).map(|s| match is_soft {
        true => Shortfall { cure: "raised for the run".to_owned(), raisable: Some(Knob::OpenFiles), ..s },
        false => Shortfall { cure: format!("raise the hard limit of open files: ulimit -Hn {new}"), ..s },
    });
    [
        own,
        sysctl("fs.file-max", limits.host_files, host),
        inotify("fs.inotify.max_user_instances", limits.inotify_instances),
        inotify("fs.inotify.max_user_watches", limits.inotify_watches),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A neighbour table that holds every instance without collecting any (`arp(7)`).
fn network(limits: &Limits, needs: &Needs) -> Vec<Shortfall> {
    if needs.neighbours_each == 0 {
        return Vec::new();
    }
    let new = needs.instances.saturating_mul(needs.neighbours_each);
    let all = limits.neighbours.unwrap_or(0).saturating_add(SPARE).saturating_add(new);
    let table = |n: u32, have| sysctl(&format!("net.ipv4.neigh.default.gc_thresh{n}"), have, all);
    [
        // From the hard one down: no step of the raising leaves a limit above the next harder one.
        table(3, limits.neighbours_hard),
        table(2, limits.neighbours_soft),
        table(1, limits.neighbours_kept),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn memory(limits: &Limits, needs: &Needs) -> Vec<Shortfall> {
    let all = needs.memory_each.0.saturating_mul(needs.instances);
    let bytes = |b: Option<Bytes>| b.map(|b| b.0);
    [
        fixed("MemAvailable", bytes(limits.memory_available), all, "run fewer instances, or free memory"),
        fixed(
            "memory.max",
            bytes(limits.cgroup_memory_left),
            needs.own_memory_each.0.saturating_mul(needs.instances),
            "raise the memory limit of the session's control group",
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn short(what: &str, have: Option<u64>, need: u64) -> Option<Shortfall> {
    let have = have.filter(|&have| have < need)?;
    Some(Shortfall { what: what.to_owned(), have, need, cure: String::new(), raisable: None })
}

fn fixed(what: &str, have: Option<u64>, need: u64, cure: &str) -> Option<Shortfall> {
    Some(Shortfall { cure: cure.to_owned(), ..short(what, have, need)? })
}

/// A limit of the kernel's: its name is its path under `proc/sys`, with dots for slashes.
fn sysctl(name: &str, have: Option<u64>, need: u64) -> Option<Shortfall> {
    let path = PathBuf::from("proc/sys").join(name.replace('.', "/"));
    let cure = format!("sysctl -w {name}={need} (root does this for the run)");
    Some(Shortfall { cure, raisable: Some(Knob::Sysctl(path)), ..short(name, have, need)? })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::host::fixture::Host;

    const ONE: Needs = Needs {
        instances: 1,
        processes_each: 1,
        own_processes_each: 1,
        processes_more: 0,
        fds_each: 1,
        inotify_each: 0,
        neighbours_each: 0,
        memory_each: Bytes::MIB,
        own_memory_each: Bytes::MIB,
    };

    fn on_the_vm(needs: &Needs) -> Vec<String> {
        let limits = Limits::read(Host::materialise("vm-2x1").root());
        check(&limits, needs).into_iter().map(|s| format!("{} {} < {}", s.what, s.have, s.need)).collect()
    }

    #[rstest]
    #[case::little(ONE, &[])]
    #[case::process_numbers(Needs { instances: 1000, processes_each: 40, fds_each: 0, ..ONE }, &["kernel.pid_max 32768 < 40451"])]
    #[case::attackers(Needs { processes_more: 40_000, ..ONE }, &["kernel.pid_max 32768 < 40452"])]
    #[case::open_files(Needs { instances: 1000, fds_each: 3, ..ONE }, &["RLIMIT_NOFILE 1024 < 3064"])]
    #[case::inotify(Needs { instances: 1000, inotify_each: 1, ..ONE },
        &["RLIMIT_NOFILE 1024 < 1064", "fs.inotify.max_user_instances 128 < 1064"])]
    #[case::network(Needs { instances: 1200, fds_each: 0, neighbours_each: 1, ..ONE }, &[
        "net.ipv4.neigh.default.gc_thresh3 1024 < 1265",
        "net.ipv4.neigh.default.gc_thresh2 512 < 1265",
        "net.ipv4.neigh.default.gc_thresh1 128 < 1265",
    ])]
    #[case::memory(Needs { instances: 100, memory_each: Bytes::GIB, ..ONE }, &["MemAvailable 24766406656 < 107374182400"])]
    fn only_what_this_run_needs_is_short(#[case] needs: Needs, #[case] expected: &[&str]) {
        assert_eq!(on_the_vm(&needs), expected);
    }

    #[rstest]
    #[case::the_harness_s_own(1, &["RLIMIT_NPROC", "pids.max", "memory.max"])]
    #[case::an_engine_s(0, &[])]
    fn only_what_is_the_harness_s_own_counts_against_its_own_limits(#[case] own: u64, #[case] expected: &[&str]) {
        let (few, little) = (Some(10), Some(Bytes::MIB));
        let limits =
            Limits { user_processes: few, cgroup_pids_left: few, cgroup_memory_left: little, ..Limits::default() };
        let own_memory_each = Bytes(own * Bytes::MIB.0);
        let needs = Needs { instances: 1000, own_processes_each: own, own_memory_each, ..ONE };
        assert_eq!(check(&limits, &needs).iter().map(|short| short.what.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn an_unknown_or_unlimited_limit_is_never_short() {
        let many =
            Needs { instances: u64::MAX, processes_each: 9, fds_each: 9, inotify_each: 9, neighbours_each: 9, ..ONE };
        assert!(check(&Limits::default(), &many).is_empty());
    }

    #[test]
    fn open_files_are_raisable_up_to_the_hard_limit_only() {
        let limits = Limits { open_files: Some(1024), open_files_hard: Some(4096), ..Limits::default() };
        let knob = |instances| check(&limits, &Needs { instances, ..ONE })[0].raisable.clone();
        assert_eq!(knob(2000), Some(Knob::OpenFiles));
        assert_eq!(knob(9000), None);
    }

    #[test]
    fn more_process_numbers_than_the_kernel_has_cannot_be_raised() {
        let limits = Limits { pid_max: Some(PID_MAX_LIMIT), ..Limits::default() };
        let shortfall = &check(&limits, &Needs { instances: PID_MAX_LIMIT, ..ONE })[0];
        assert_eq!((shortfall.what.as_str(), &shortfall.raisable), ("kernel.pid_max", &None));
    }
}
