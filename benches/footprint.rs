//! `cargo bench --bench footprint`: see `featherweight::measure::experiment` for what it measures.

use std::process::ExitCode;

use featherweight::cli;
use featherweight::model::record::Experiment;

fn main() -> ExitCode {
    cli::bench(Experiment::Footprint)
}
