//! `cargo xtask`: the commands around `cargo bench`. The library has those for users, this crate those for its developers.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use featherweight::cli::{ab, clean, compare, doctor, exit, export, gate, history, images, report, setup};
use featherweight::model::exit::Exit;
use xtask::{power, tidy};

/// Set up, compare, report and clean up benchmark runs
#[derive(Debug, Parser)]
#[command(
    bin_name = "cargo xtask",
    version,
    after_help = "Examples:\n  \
        cargo xtask setup                      Install and start missing tools, after confirmation\n  \
        cargo xtask doctor                     Check which platforms can run on this host\n  \
        cargo xtask report last                Write the report of the latest run\n  \
        cargo xtask ab --a youki --b oci:runc  Measure whether B is slower than A\n  \
        cargo xtask compare main last          Compare the latest run with a baseline\n  \
        cargo xtask export --output all.csv    Export trials for R, pandas or a spreadsheet\n  \
        cargo xtask clean                      Remove the leftovers of a crashed run\n\n\
        Exit codes:\n  \
        0  success\n  \
        1  confirmed regression\n  \
        2  invalid input\n  \
        3  nothing to work on\n  \
        4  failure, or something was left behind"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
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
    // A platform starts this executable again as its launcher.
    featherweight::platform::launcher_entry();
    let result = Cli::parse().command.run();
    result.unwrap_or_else(|error| exit::report(&error)).into()
}

impl Command {
    fn run(self) -> anyhow::Result<Exit> {
        match self {
            Command::Setup(setup) => setup.run(),
            Command::Ab(ab) => ab.run(),
            Command::Images(images) => images.run().map(|()| Exit::Fine),
            Command::Doctor(doctor) => doctor.run().map(|()| Exit::Fine),
            Command::Report(report) => report.run().map(|()| Exit::Fine),
            Command::Export(export) => export.run().map(|()| Exit::Fine),
            Command::Compare(compare) => compare.run(),
            Command::History(history) => history.run(),
            Command::Gate(gate) => gate.run(),
            Command::Nightly(nightly) => nightly.run(),
            Command::Power(power) => power.run().map(|()| Exit::Fine),
            Command::Clean(clean) => clean.run(),
            Command::Tidy(tidy) => tidy.run(),
        }
    }
}
