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

/// Measures how light, how scalable and how well isolated a virtualization platform is.
///
/// Every number comes from fresh trials on the host's monotonic clock. Trials are written to the run's folder as they
/// end, so a run that is stopped, or crashes, goes on with --resume last.
#[derive(Debug, Clone, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        cargo bench                                                  everything, quick profile\n  \
        cargo bench --bench boot -- --platform youki --profile standard\n  \
        cargo bench --bench isolation -- --attacker prime,stat --placement same-thread\n  \
        cargo bench --bench scalability -- --workload nginx,redis --platform native,youki\n  \
        cargo bench --bench scalability -- --name d_sql_s --platform youki --runs 5 --benchmark_time 100 --instances_per_benchmark 10\n  \
        cargo bench --bench footprint -- --minimum --platform fake\n  \
        cargo bench --bench boot -- --save-baseline main             then change something, and\n  \
        cargo bench --bench boot -- --baseline main                  is it slower?\n  \
        cargo bench --bench isolation -- --resume last\n\n\
        Exit codes: 0 fine, 1 a confirmed regression (--baseline), 2 bad input, 3 nothing could run or be compared, 4 a case without a single good trial, or something left behind."
)]
pub struct Options {
    /// Run only cases whose name contains this word, such as youki/sqlite or same-thread; see --list
    pub filter: Option<String>,

    /// How much to measure: quick (minutes), standard (hours), paper (the thesis's own numbers)
    #[arg(long, default_value_t = Profile::Quick)]
    pub profile: Profile,

    /// Where to measure, comma-separated; the registry knows the names
    #[arg(long, value_delimiter = ',', help = platform_help())]
    pub platform: Vec<PlatformId>,

    /// What is measured, comma-separated: scalability and isolation sqlite, nginx, redis [default: all]; boot hello,
    /// nginx, redis [default: hello]; footprint sleep, nginx, redis [default: sleep]
    #[arg(long, value_delimiter = ',')]
    pub workload: Vec<String>,

    /// How instances are connected: none, bridge [default: bridge for servers and what stands beside them, and for the
    /// thesis's Docker experiments; none for the rest]
    #[arg(long)]
    pub network: Option<Networking>,

    /// How long wrk drives Nginx, in seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub load_seconds: Option<u32>,

    /// The requests of each kind that redis-benchmark makes
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1_000..=1_000_000_000))]
    pub requests: Option<u64>,

    /// The attackers of isolation, comma-separated: prime, stream, open, read, write, stat, fork [default: all beside
    /// sqlite; prime,stream beside servers]
    #[arg(long, value_delimiter = ',')]
    pub attacker: Vec<Attacker>,

    /// Where attackers run, comma-separated: same-thread, same-core, same-socket, other-socket, fill [default: all; quick: same-thread,same-core]
    #[arg(long, value_delimiter = ',')]
    pub placement: Vec<Placement>,

    /// How often the whole is repeated
    #[arg(long, value_name = "R", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub runs: Option<u32>,

    /// How many times background instances are added in a ladder (the thesis's option)
    #[arg(long = "benchmark_time", alias = "benchmark-time", value_name = "B", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub benchmark_time: Option<u32>,

    /// How many background instances are added each time (the thesis's option)
    #[arg(long = "instances_per_benchmark", alias = "instances-per-benchmark", value_name = "I", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub instances_per_benchmark: Option<u32>,

    /// An experiment of the thesis by its code, such as d_boot or uk_sql_s; --platform measures it elsewhere
    #[arg(long, value_name = "CODE")]
    pub name: Option<ThesisCode>,

    /// Instead of weighing idle instances, look for the smallest guest memory that still boots: footprint of virtual
    /// machines
    #[arg(long, conflicts_with_all = ["benchmark_time", "instances_per_benchmark", "name"])]
    pub minimum: bool,

    /// Rows that the SQLite victim inserts
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub rows: Option<u32>,

    /// The folder that receives the run's folder [default: target/featherweight/runs]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Keep the run under this name, in place of what had it, for --baseline and `cargo xtask compare`
    #[arg(long, value_name = "NAME")]
    pub save_baseline: Option<BaselineName>,

    /// Compare with the run kept under this name. What looks worse is measured again, everything provisioned anew; only
    /// what is worse again is a regression, with exit code 1
    #[arg(long, value_name = "NAME", conflicts_with = "save_baseline")]
    pub baseline: Option<BaselineName>,

    /// Go on with a run that did not finish: its id, its folder, or "last"
    #[arg(long, value_name = "RUN|last", conflicts_with_all = ["profile", "platform", "workload", "network", "load_seconds", "requests", "attacker", "placement", "runs", "benchmark_time", "instances_per_benchmark", "name", "minimum", "rows", "seed", "timeout", "filter"])]
    pub resume: Option<String>,

    /// Print the plan with the time it will take, and do nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Print the names of the cases, and do nothing
    #[arg(long)]
    pub list: bool,

    /// Seeds the order of the trials [default: the time of day]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<u64>,

    /// Give a trial up after this many seconds
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: Option<u64>,

    /// Said by `cargo bench`; without it each target is tried once, on the fake platform
    #[arg(long, hide = true)]
    pub bench: bool,

    /// Said by test runners; taken and passed over
    #[arg(long, hide = true)]
    pub test: bool,
    /// Said by test runners; taken and passed over
    #[arg(long, hide = true)]
    pub nocapture: bool,
    /// Said by test runners; taken and passed over
    #[arg(long, short, hide = true)]
    pub quiet: bool,
    /// Said by test runners; taken and passed over
    #[arg(long, hide = true, value_name = "FORMAT")]
    pub format: Option<String>,
    /// Said by test runners; taken and passed over
    #[arg(long, hide = true)]
    pub ignored: bool,
    /// Said by test runners; taken and passed over
    #[arg(long, hide = true)]
    pub exact: bool,
}

fn platform_help() -> String {
    let defaults: Vec<String> = registry::defaults().iter().map(ToString::to_string).collect();
    format!("Where to measure, comma-separated: {} [default: {}]", registry::accepted(), defaults.join(","))
}
