//! The preflight of limits: what a run needs from the host, which limits are too low, and how to raise them.
//!
//! Invariants: [`check`] is pure. No limit is ever lowered. [`plan`] returns the old values before anything changes, so
//! that they can be recorded and a crashed run's changes undone ([`restore`]).

mod raise;
mod read;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::units::Bytes;

pub use raise::{Change, RaisedLimits, plan, restore};

/// The limits of the host. `None` is unlimited or unknown, which is never too low.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// The highest process number (`kernel.pid_max`).
    pub pid_max: Option<u64>,
    /// Threads on the host (`kernel.threads-max`).
    pub threads_max: Option<u64>,
    /// Threads that exist now.
    pub threads: Option<u64>,
    /// Processes that the harness's control groups still allow.
    pub cgroup_pids_left: Option<u64>,
    /// Memory that the harness's control groups still allow.
    pub cgroup_memory_left: Option<Bytes>,
    /// Processes of the harness's user (`RLIMIT_NPROC`); does not apply to root.
    pub user_processes: Option<u64>,
    /// Open files of the harness (`RLIMIT_NOFILE`, soft limit).
    pub open_files: Option<u64>,
    /// Open files of the harness (hard limit).
    pub open_files_hard: Option<u64>,
    /// Open files on the host (`fs.file-max`).
    pub host_files: Option<u64>,
    /// Files that are open on the host now.
    pub host_files_open: Option<u64>,
    /// Inotify instances of one user.
    pub inotify_instances: Option<u64>,
    /// Inotify watches of one user.
    pub inotify_watches: Option<u64>,
    /// Neighbor entries up to which none is collected (`gc_thresh1`).
    #[serde(rename = "neighbours_kept")]
    pub neighbors_kept: Option<u64>,
    /// Neighbor entries above which old ones are collected after five seconds (`gc_thresh2`).
    #[serde(rename = "neighbours_soft")]
    pub neighbors_soft: Option<u64>,
    /// Neighbor entries above which new ones are refused (`gc_thresh3`).
    #[serde(rename = "neighbours_hard")]
    pub neighbors_hard: Option<u64>,
    /// Neighbor entries that exist now.
    #[serde(rename = "neighbours")]
    pub neighbors: Option<u64>,
    /// Memory available to new processes.
    pub memory_available: Option<Bytes>,
}

/// What a run needs at its highest level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Instances that run at once.
    pub instances: u64,
    /// Processes and threads of each instance, with its monitor or runtime.
    pub processes_each: u64,
    /// The part of `processes_each` that runs as the harness's user in the harness's control groups. Containers of an
    /// engine do not.
    pub own_processes_each: u64,
    /// Further processes and threads, of attackers.
    pub processes_more: u64,
    /// Files that the harness keeps open for each instance.
    pub fds_each: u64,
    /// Inotify instances for each instance: some runtimes watch its control group.
    pub inotify_each: u64,
    /// Neighbor entries that the kernel learns for each instance, in one table for all network namespaces. The permanent
    /// entries of the run's own network ([`crate::host::network`]) do not count.
    pub neighbors_each: u64,
    /// Memory of each instance.
    pub memory_each: Bytes,
    /// The part of `memory_each` that is charged to the harness's control groups.
    pub own_memory_each: Bytes,
}

/// A limit that is too low.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortfall {
    /// The kernel's name of the limit.
    pub what: String,
    /// The current limit; memory in bytes.
    pub have: u64,
    /// The limit that the run needs.
    pub need: u64,
    /// How to raise it.
    pub cure: String,
    /// How the harness can raise it for the duration of the run; `None` if it cannot.
    pub raisable: Option<Knob>,
}

/// A limit that the harness can raise itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// A file relative to the root (`proc/sys/kernel/pid_max`). Requires root.
    Sysctl(PathBuf),
    /// The harness's own soft limit of open files. Requires no privileges.
    OpenFiles,
}

/// After the first round, the kernel does not reuse process numbers below this (`RESERVED_PIDS`, `kernel/pid.c`).
const RESERVED_PIDS: u64 = 300;
/// The highest `pid_max` of a 64-bit kernel (`PID_MAX_LIMIT`, `include/linux/threads.h`).
const PID_MAX_LIMIT: u64 = 4 * 1024 * 1024;
/// Ports of a bridge: ten bits without number 0 (`BR_PORT_BITS`, `net/bridge/br_private.h`).
pub const BRIDGE_PORTS: u64 = 1023;
/// Files that the harness itself has open: streams, libraries, the store, epoll.
const OWN_FILES: u64 = 64;
/// A reserve for the host's own services.
const SPARE: u64 = 64;

/// Lists the limits that are too low for `needs`.
pub fn check(limits: &Limits, needs: &Needs) -> Vec<Shortfall> {
    [processes(limits, needs), files(limits, needs), network(limits, needs), memory(limits, needs)].concat()
}

fn processes(limits: &Limits, needs: &Needs) -> Vec<Shortfall> {
    let new = needs.instances.saturating_mul(needs.processes_each).saturating_add(needs.processes_more);
    let own = needs.instances.saturating_mul(needs.own_processes_each);
    let in_addition = |more: u64| limits.threads.unwrap_or(0).saturating_add(SPARE).saturating_add(more);
    let threads = in_addition(new);
    let numbers = threads.saturating_add(RESERVED_PIDS);
    let pid_max = match numbers > PID_MAX_LIMIT {
        false => sysctl("kernel.pid_max", limits.pid_max, numbers),
        true => {
            fixed("kernel.pid_max", limits.pid_max, numbers, "run fewer instances: the kernel allows no more processes")
        }
    };
    let raise_user = "raise the user's limit of processes (ulimit -u) or run as root";
    let raise_cgroup = "raise pids.max of the session's control group";
    [
        pid_max,
        sysctl("kernel.threads-max", limits.threads_max, threads),
        fixed("RLIMIT_NPROC", limits.user_processes, if own == 0 { 0 } else { in_addition(own) }, raise_user),
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

/// The thresholds of the neighbor table, which must hold every instance without collecting any (`arp(7)`).
fn network(limits: &Limits, needs: &Needs) -> Vec<Shortfall> {
    if needs.neighbors_each == 0 {
        return Vec::new();
    }
    let new = needs.instances.saturating_mul(needs.neighbors_each);
    let all = limits.neighbors.unwrap_or(0).saturating_add(SPARE).saturating_add(new);
    let table = |n: u32, have| sysctl(&format!("net.ipv4.neigh.default.gc_thresh{n}"), have, all);
    [
        // The hard threshold is raised first, so that no threshold ever exceeds the next one.
        table(3, limits.neighbors_hard),
        table(2, limits.neighbors_soft),
        table(1, limits.neighbors_kept),
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

/// A kernel limit. Its name is its path below `proc/sys` with dots instead of slashes.
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
        neighbors_each: 0,
        memory_each: Bytes::MIB,
        own_memory_each: Bytes::MIB,
    };

    fn on_the_vm(needs: &Needs) -> Vec<String> {
        let limits = Limits::read(Host::materialize("vm-2x1").root());
        check(&limits, needs).into_iter().map(|s| format!("{} {} < {}", s.what, s.have, s.need)).collect()
    }

    #[rstest]
    #[case::little(ONE, &[])]
    #[case::process_numbers(Needs { instances: 1000, processes_each: 40, fds_each: 0, ..ONE }, &["kernel.pid_max 32768 < 40451"])]
    #[case::attackers(Needs { processes_more: 40_000, ..ONE }, &["kernel.pid_max 32768 < 40452"])]
    #[case::open_files(Needs { instances: 1000, fds_each: 3, ..ONE }, &["RLIMIT_NOFILE 1024 < 3064"])]
    #[case::inotify(Needs { instances: 1000, inotify_each: 1, ..ONE },
        &["RLIMIT_NOFILE 1024 < 1064", "fs.inotify.max_user_instances 128 < 1064"])]
    #[case::network(Needs { instances: 1200, fds_each: 0, neighbors_each: 1, ..ONE }, &[
        "net.ipv4.neigh.default.gc_thresh3 1024 < 1265",
        "net.ipv4.neigh.default.gc_thresh2 512 < 1265",
        "net.ipv4.neigh.default.gc_thresh1 128 < 1265",
    ])]
    #[case::memory(Needs { instances: 100, memory_each: Bytes::GIB, ..ONE }, &["MemAvailable 24766406656 < 107374182400"])]
    fn only_limits_that_the_run_needs_are_reported(#[case] needs: Needs, #[case] expected: &[&str]) {
        assert_eq!(on_the_vm(&needs), expected);
    }

    #[rstest]
    #[case::of_the_harness(1, &["RLIMIT_NPROC", "pids.max", "memory.max"])]
    #[case::of_an_engine(0, &[])]
    fn only_processes_of_the_harness_count_against_its_own_limits(#[case] own: u64, #[case] expected: &[&str]) {
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
            Needs { instances: u64::MAX, processes_each: 9, fds_each: 9, inotify_each: 9, neighbors_each: 9, ..ONE };
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
