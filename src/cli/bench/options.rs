//! The options of every bench target.

use std::path::PathBuf;

use clap::Parser;

use super::ThesisCode;
use crate::compare::stored::baseline::BaselineName;
use crate::model::attacker::Attacker;
use crate::model::configuration::Profile;
use crate::model::placement::Placement;
use crate::model::platform::{Networking, PlatformId};
use crate::platform::registry;

/// Headings of the help, as in `docs/running.md`.
const MEASURED: &str = "What to measure";
const METHOD: &str = "How to measure it";
const THESIS: &str = "The thesis's options";
const RESULTS: &str = "What to do with the results";

/// Measure how light, how scalable and how well isolated virtualization platforms are
#[derive(Debug, Clone, Parser)]
#[command(
    bin_name = "cargo bench --bench EXPERIMENT --",
    version,
    after_help = "Examples:\n  \
        cargo bench                                                   Run every experiment, quick profile\n  \
        cargo bench --bench boot -- --platform youki --profile standard\n  \
        cargo bench --bench isolation -- --attacker prime,stat --placement same-thread\n  \
        cargo bench --bench scalability -- --workload nginx,redis --platform native,youki\n  \
        cargo bench --bench scalability -- --name d_sql_s --platform youki --runs 5 --benchmark_time 100 --instances_per_benchmark 10\n  \
        cargo bench --bench footprint -- --minimum --platform fake    Find the smallest guest memory\n  \
        cargo bench --bench boot -- --save-baseline main              Save the run as baseline `main`\n  \
        cargo bench --bench boot -- --baseline main                   Compare with baseline `main`\n  \
        cargo bench --bench isolation -- --resume last                Continue an unfinished run\n\n\
        Exit codes:\n  \
        0    success\n  \
        1    confirmed regression (--baseline)\n  \
        2    invalid input\n  \
        3    nothing could run or be compared\n  \
        4    a case without a successful trial, or something was left behind\n  \
        130  interrupted; continue with --resume last"
)]
pub struct Options {
    /// Run only cases whose name contains FILTER, such as youki/sqlite; --list prints the names
    pub filter: Option<String>,

    /// How much to measure: quick (minutes), standard (hours), paper (as in the thesis)
    #[arg(long, default_value_t = Profile::Quick, help_heading = MEASURED)]
    pub profile: Profile,

    /// Platforms, comma-separated
    #[arg(long, value_delimiter = ',', help = platform_help(), help_heading = MEASURED)]
    pub platform: Vec<PlatformId>,

    /// Guest programs, comma-separated: hello, nginx, redis in boot [default: hello]; sleep, nginx, redis in footprint
    /// [default: sleep]; sqlite, nginx, redis in scalability and isolation [default: all]
    #[arg(long, value_delimiter = ',', help_heading = MEASURED)]
    pub workload: Vec<String>,

    /// Attackers, comma-separated (isolation): prime, stream, open, read, write, stat, fork [default: all on sqlite,
    /// prime,stream on servers]
    #[arg(long, value_delimiter = ',', help_heading = MEASURED)]
    pub attacker: Vec<Attacker>,

    /// CPUs of the attackers, comma-separated (isolation): same-thread, same-core, same-socket, other-socket, fill
    /// [default: all, quick: same-thread,same-core]
    #[arg(long, value_delimiter = ',', help_heading = MEASURED)]
    pub placement: Vec<Placement>,

    /// Find the smallest guest memory that still boots (footprint of virtual machines)
    #[arg(long, conflicts_with_all = ["benchmark_time", "instances_per_benchmark", "name"], help_heading = MEASURED)]
    pub minimum: bool,

    /// Number of passes over all cases [default: by profile]
    #[arg(long, value_name = "R", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = METHOD)]
    pub runs: Option<u32>,

    /// Abort a trial after this time [default: by profile]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=86_400), help_heading = METHOD)]
    pub timeout: Option<u64>,

    /// Seed of the trials' order [default: the time of day]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = METHOD)]
    pub seed: Option<u64>,

    /// Network of the instances: none, bridge [default: bridge for servers, their background and the thesis's Docker
    /// codes, else none]
    #[arg(long, help_heading = METHOD)]
    pub network: Option<Networking>,

    /// Rows that SQLite inserts [default: by profile]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=100_000_000), help_heading = METHOD)]
    pub rows: Option<u32>,

    /// How long wrk drives Nginx [default: by profile]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=3_600), help_heading = METHOD)]
    pub load_seconds: Option<u32>,

    /// Requests of each kind that redis-benchmark sends [default: by profile]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000), help_heading = METHOD)]
    pub requests: Option<u64>,

    /// Experiment of the thesis, such as d_boot or uk_sql_s; --platform selects another platform
    #[arg(long, value_name = "CODE", help_heading = THESIS)]
    pub name: Option<ThesisCode>,

    /// How many times background instances are added
    #[arg(long = "benchmark_time", alias = "benchmark-time", value_name = "B", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(0..=10_000), help_heading = THESIS)]
    pub benchmark_time: Option<u32>,

    /// How many background instances are added each time
    #[arg(long = "instances_per_benchmark", alias = "instances-per-benchmark", value_name = "I", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000), help_heading = THESIS)]
    pub instances_per_benchmark: Option<u32>,

    /// Folder for the run's folder [default: target/featherweight/runs]
    #[arg(long, value_name = "DIR", help_heading = RESULTS)]
    pub out: Option<PathBuf>,

    /// Save the run as a baseline, for --baseline and `cargo xtask compare`
    #[arg(long, value_name = "NAME", help_heading = RESULTS)]
    pub save_baseline: Option<BaselineName>,

    /// Compare with a baseline; re-measure apparent regressions, and exit with 1 if one is confirmed
    #[arg(long, value_name = "NAME", conflicts_with = "save_baseline", help_heading = RESULTS)]
    pub baseline: Option<BaselineName>,

    /// Continue an unfinished run: its id, its folder, or `last`
    #[arg(long, value_name = "RUN", conflicts_with_all = ["profile", "platform", "workload", "network", "load_seconds", "requests", "attacker", "placement", "runs", "benchmark_time", "instances_per_benchmark", "name", "minimum", "rows", "seed", "timeout", "filter"], help_heading = RESULTS)]
    pub resume: Option<String>,

    /// Print the plan and the estimated time without measuring
    #[arg(long)]
    pub dry_run: bool,

    /// Print the names of the cases without measuring
    #[arg(long)]
    pub list: bool,

    /// Passed by `cargo bench`; without it, a target runs once on the fake platform
    #[arg(long, hide = true)]
    pub bench: bool,

    /// Accepted for compatibility with libtest; ignored
    #[arg(long, hide = true)]
    pub test: bool,
    /// Accepted for compatibility with libtest; ignored
    #[arg(long, hide = true)]
    pub nocapture: bool,
    /// Accepted for compatibility with libtest; ignored
    #[arg(long, short, hide = true)]
    pub quiet: bool,
    /// Passed with --list by test runners: the format of the list
    #[arg(long, hide = true, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Passed with --list by test runners: list ignored tests only
    #[arg(long, hide = true)]
    pub ignored: bool,
    /// Accepted for compatibility with libtest; ignored
    #[arg(long, hide = true)]
    pub exact: bool,
}

fn platform_help() -> String {
    let defaults: Vec<String> = registry::defaults().iter().map(ToString::to_string).collect();
    format!("Platforms, comma-separated: {} [default: {}]", registry::accepted(), defaults.join(","))
}
