//! `cargo bench --bench isolation`; `featherweight::measure::experiment` documents what it measures.

use std::process::ExitCode;

use featherweight::cli;
use featherweight::model::record::Experiment;

fn main() -> ExitCode {
    cli::bench(Experiment::Isolation)
}
