//! Featherweight's own chores: everything around a measurement that is not the measurement.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use featherweight::cli::{ab, clean, compare, doctor, exit, export, gate, history, images, report, setup};
use featherweight::model::exit::Exit;
use xtask::{power, tidy};

/// Featherweight's chores around `cargo bench`.
#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask",
    version,
    after_help = "Examples:\n  \
        cargo xtask setup                     install and start what is missing, after asking\n  \
        cargo xtask doctor                    before the first run: what can run here, what cannot and why\n  \
        cargo xtask report last               the page of the latest run; without `last`, of every experiment\n  \
        cargo xtask ab --a youki --b oci:runc  is B slower than A? measured now, side by side\n  \
        cargo xtask export --output all.csv   the stored trials, for R, pandas or a spreadsheet\n  \
        cargo xtask compare main last         the latest run against a saved baseline\n  \
        cargo xtask clean                     after a crash: remove what it left, and nothing else\n\n\
        Exit codes: 0 fine, 1 a regression, 2 bad input, 3 nothing to work on, 4 something failed or was left behind."
)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    Setup(setup::Setup),
    Ab(Box<ab::Ab>),
    Images(images::Images),
    Doctor(doctor::Doctor),
    Report(report::Report),
    Export(export::Export),
    Compare(compare::Compare),
    History(history::History),
    Gate(gate::Gate),
    Nightly(gate::Nightly),
    Power(power::Power),
    Clean(clean::Clean),
    Tidy(tidy::Tidy),
}

fn main() -> ExitCode {
    // Doctor asks the platforms, and one of them starts this executable again.
    featherweight::platform::launcher_entry();
    let done = Cli::parse().chore.run();
    let exit = done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        exit::of(&error)
    });
    exit.into()
}

impl Chore {
    fn run(self) -> anyhow::Result<Exit> {
        match self {
            Chore::Setup(setup) => setup.run(),
            Chore::Ab(ab) => ab.run(),
            Chore::Images(images) => images.run().map(|()| Exit::Fine),
            Chore::Doctor(doctor) => doctor.run().map(|()| Exit::Fine),
            Chore::Report(report) => report.run().map(|()| Exit::Fine),
            Chore::Export(export) => export.run().map(|()| Exit::Fine),
            Chore::Compare(compare) => compare.run(),
            Chore::History(history) => history.run(),
            Chore::Gate(gate) => gate.run(),
            Chore::Nightly(nightly) => nightly.run(),
            Chore::Power(power) => power.run().map(|()| Exit::Fine),
            Chore::Clean(clean) => clean.run(),
            Chore::Tidy(tidy) => tidy.run(),
        }
    }
}
