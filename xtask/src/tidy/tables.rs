//! What the rules know of this repository. Every exception has its reason.

/// The longest file, tests included.
pub(super) const FILE_LINES: usize = 400;

/// The longest function.
pub(super) const FUNCTION_LINES: usize = 60;

/// Modules that take data and return data: they touch neither files nor processes nor clocks.
pub(super) const PURE: &[&str] = &[
    "src/attacker.rs",
    "src/cli/profile.rs",
    "src/cli/resolve.rs",
    "src/cli/thesis.rs",
    "src/cpuset.rs",
    "src/guest/line.rs",
    "src/history/change.rs",
    "src/history/entry.rs",
    "src/history/intake.rs",
    "src/history/parse.rs",
    "src/history/question.rs",
    "src/host/noise/verdict.rs",
    "src/names.rs",
    "src/placement/policy.rs",
    "src/placement/policy/",
    "src/plan/",
    "src/report/export/",
    "src/proof/",
    "src/regression/",
    "src/report/figures/",
    "src/report/model/",
    "src/stats/",
    "src/units.rs",
    "src/workload/figures.rs",
    "src/workload/redis_benchmark.rs",
    "src/workload/wrk.rs",
    "xtask/src/history/show.rs",
    "xtask/src/setup/packages.rs",
    "xtask/src/setup/plan.rs",
    "xtask/src/setup/runtimes.rs",
];

/// Modules of the standard library that a pure module does not name.
pub(super) const IMPURE_MODULES: &[&str] = &["env", "fs", "net", "process", "thread"];

/// Types that a pure module does not name: each of them reads a clock.
pub(super) const CLOCKS: &[&str] = &["HostClock", "Instant", "SystemTime", "Timestamp"];

/// Crates that stay behind one door.
pub(super) const CONFINED: &[(&str, &[&str])] = &[
    ("bollard", &["src/docker/"]),
    ("tokio", &["src/docker/"]),
    // The example measures what the platform adds to the plainest loop around the crate.
    // A test reads a bundle's configuration with the crate's own types.
    ("libcontainer", &["src/platform/youki/", "src/platform/bundle.rs", "examples/"]),
];

/// Programs that would take arguments apart.
pub(super) const SHELLS: &[&str] =
    &["sh", "bash", "dash", "zsh", "/bin/sh", "/bin/bash", "/usr/bin/env", "/usr/bin/bash"];

/// Functions over the limit: file, function, its lines, why it stays in one piece.
pub(super) const LONG_FUNCTIONS: &[(&str, &str, usize, &str)] = &[];

/// Files that let time pass: file, how often, why that is no readiness by sleeping.
pub(super) const PAUSES: &[(&str, usize, &str)] = &[
    ("src/clock.rs", 1, "the clock itself"),
    ("src/engine/settle.rs", 1, "a host at rest sends no event: it is looked at until it is steady, with a deadline"),
    (
        "src/experiment/isolation.rs",
        1,
        "attackers count once in an interval: looked at until all moved, with a deadline",
    ),
    ("src/cgroup/group.rs", 1, "a group that empties cannot be awaited on v1: removal is tried again, with a deadline"),
    (
        "src/ledger/reap.rs",
        4,
        "processes and groups are looked at until they are gone, with a deadline; engines tell nobody what is under way",
    ),
    (
        "tests/crash.rs",
        5,
        "a harness is killed at any moment at all; its first container, its death and what engines leave are looked at",
    ),
    ("tests/faults.rs", 1, "a server is caught before it answers: looked at until it is there, with a deadline"),
    (
        "xtask/src/setup/daemon.rs",
        1,
        "a daemon that gets ready tells nobody: it is asked until it answers, with a deadline",
    ),
    (
        "src/platform/machine/knock.rs",
        1,
        "a server that says nothing tells nobody: its port is tried until it answers, or its machine ends",
    ),
    ("src/platform/youki/pool.rs", 1, "a launcher that was told to end is looked at until it has, with a deadline"),
];

/// First folders of paths that exist on somebody's machine only.
pub(super) const MACHINE_FOLDERS: &[&str] = &["Users", "home", "mnt", "root", "tmp", "work", "workspaces"];

/// Files that may name such a path all the same, and why.
pub(super) const MACHINE_PATHS: &[(&str, &str)] = &[("src/host/facts/read.rs", "a mount point in a test's mountinfo")];
