//! `cargo bench --bench boot`: see `featherweight::experiment` for what it measures.

use std::process::ExitCode;

use featherweight::cli;
use featherweight::store::Experiment;

fn main() -> ExitCode {
    cli::bench(Experiment::Boot)
}
