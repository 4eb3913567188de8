//! The limits, paths and exceptions that the rules read. Every exception states its reason.

/// The maximum number of lines in a Rust file, including tests.
pub(super) const FILE_LINES: usize = 400;

/// The maximum number of lines in a function.
pub(super) const FUNCTION_LINES: usize = 60;

/// The maximum number of lines in the README.
pub(super) const README_LINES: usize = 160;

/// The maximum number of lines in a page that is written by hand.
pub(super) const PAGE_LINES: usize = 250;

/// A generated report that the README shows. It is not a page of the book.
pub(super) const EXAMPLE: &str = "docs/example/";

/// Modules that take data and return data. They use no files, processes or clocks.
pub(super) const PURE: &[&str] = &[
    "src/cli/bench/profile.rs",
    "src/cli/bench/resolve.rs",
    "src/cli/bench/thesis.rs",
    "src/compare/history/change.rs",
    "src/compare/history/entry.rs",
    "src/compare/history/intake.rs",
    "src/compare/history/parse.rs",
    "src/compare/history/question.rs",
    "src/compare/rule/",
    "src/guest/line.rs",
    "src/host/noise/verdict.rs",
    "src/host/placement/policy.rs",
    "src/host/placement/policy/",
    "src/measure/plan/",
    "src/measure/workload/figures.rs",
    "src/measure/workload/redis_benchmark.rs",
    "src/measure/workload/wrk.rs",
    "src/model/attacker.rs",
    "src/model/cpuset.rs",
    "src/model/names.rs",
    "src/model/units.rs",
    "src/report/export/",
    "src/report/figures/",
    "src/report/model/",
    "src/stats/",
    "src/cli/history/show.rs",
    "xtask/src/power/proof/",
    "src/cli/setup/packages.rs",
    "src/cli/setup/plan.rs",
    "src/cli/setup/runtimes.rs",
];

/// Modules of the standard library that a pure module must not use.
pub(super) const IMPURE_MODULES: &[&str] = &["env", "fs", "net", "process", "thread"];

/// Types that a pure module must not use because they read a clock.
pub(super) const CLOCKS: &[&str] = &["HostClock", "Instant", "SystemTime", "Timestamp"];

/// Crates that only some folders or files may use.
pub(super) const CONFINED: &[(&str, &[&str])] = &[
    ("anyhow", &["src/cli/", "xtask/", "tests/"]),
    ("bollard", &["src/platform/engine_api/"]),
    ("tokio", &["src/platform/engine_api/"]),
    // The example compares the platform with a plain loop around the crate.
    // A test of the bundle parses the generated configuration with the crate's types.
    ("libcontainer", &["src/platform/youki/", "src/platform/bundle.rs", "examples/bare_loop.rs"]),
];

/// The experiments, which ask for capabilities instead of platform names.
pub(super) const EXPERIMENTS: &str = "src/measure/experiment/";

/// Programs that would interpret their arguments.
pub(super) const SHELLS: &[&str] =
    &["sh", "bash", "dash", "zsh", "/bin/sh", "/bin/bash", "/usr/bin/env", "/usr/bin/bash"];

/// Files that sleep: file, number of calls, why no event can be awaited instead.
pub(super) const PAUSES: &[(&str, usize, &str)] = &[
    (
        "src/host/cgroup/group.rs",
        1,
        "cgroup v1 reports no event when a group empties; removal retries until a deadline",
    ),
    ("src/host/clock.rs", 1, "implements the clock"),
    ("src/host/ledger/reap.rs", 4, "polls processes, groups and engines until a deadline; none of them sends an event"),
    (
        "src/measure/experiment/isolation.rs",
        1,
        "attackers count once per interval; polls until all have counted, with a deadline",
    ),
    ("src/measure/trial/settle.rs", 1, "an idle host sends no event; polls until it is steady, with a deadline"),
    ("src/platform/machine/port_probe.rs", 1, "retries a port until the server accepts or its machine ends"),
    ("src/platform/youki/pool.rs", 1, "polls a launcher until it has exited, with a deadline"),
    ("tests/crash.rs", 5, "kills the harness at random moments and polls for what containers and engines leave"),
    ("tests/faults.rs", 1, "polls for a server before it answers, with a deadline"),
    ("src/cli/setup/daemon.rs", 1, "a daemon sends no event when it is ready; polls until it answers, with a deadline"),
];

/// Top-level folders that differ from machine to machine.
pub(super) const MACHINE_FOLDERS: &[&str] = &["Users", "home", "mnt", "root", "tmp", "work", "workspaces"];

/// Files that may contain such a path, with the reason.
pub(super) const MACHINE_PATHS: &[(&str, &str)] =
    &[("src/host/facts/read.rs", "a mount point in the mountinfo of a test")];
