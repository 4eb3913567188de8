//! The formats of an export, and the options that each supports.

use crate::report::export::Better;

use super::Export;
use crate::cli::exit::BadInput;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One row per trial, one column per dimension (RFC 4180)
    Csv,
    /// Bencher Metric Format, for `bencher run --adapter json`
    Bencher,
    /// The two custom inputs of github-action-benchmark
    Github,
    /// Criterion's tree in a target folder, for critcmp; times only
    Critcmp,
    /// OpenMetrics text, for Prometheus
    Openmetrics,
    /// The JSON of `hyperfine --export-json`; times only
    Hyperfine,
}

/// An input of github-action-benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Direction {
    /// Smaller is better, as for times and memory: `customSmallerIsBetter`
    Smaller,
    /// Bigger is better, as for throughput and fairness: `customBiggerIsBetter`
    Bigger,
}

impl Direction {
    /// The name of its file in the output folder.
    pub(super) fn file_name(self) -> &'static str {
        match self {
            Direction::Smaller => "smaller-is-better.json",
            Direction::Bigger => "bigger-is-better.json",
        }
    }
}

impl From<Direction> for Better {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Smaller => Better::Smaller,
            Direction::Bigger => Better::Bigger,
        }
    }
}

impl Export {
    /// Checks that the format supports the options.
    ///
    /// # Errors
    /// Names an option that the format does not support, or that is missing.
    pub(super) fn check(&self) -> Result<(), BadInput> {
        let is_github = self.format == Format::Github;
        let problem = match self.format {
            Format::Csv if !self.metrics.is_empty() => {
                "--metric: csv always has every metric as a column; expected another --format"
            }
            Format::Critcmp if self.output.is_none() => {
                "--format critcmp: writes a folder; expected --output FOLDER, such as --output target"
            }
            Format::Github if self.direction.is_none() && self.output.is_none() => {
                "--format github: writes a file per direction; expected --output FOLDER for both, or --direction"
            }
            _ if !is_github && self.direction.is_some() => "--direction: expected --format github",
            format if format != Format::Critcmp && self.baseline.is_some() => "--baseline: expected --format critcmp",
            _ => return self.baseline.as_deref().map_or(Ok(()), check_baseline),
        };
        Err(BadInput(problem.to_owned()))
    }
}

/// Checks the name of a folder for critcmp, which ignores `change`, criterion's own folder.
fn check_baseline(name: &str) -> Result<(), BadInput> {
    let is_folder = !name.is_empty() && !name.contains(['/', '\0']) && !["change", ".", ".."].contains(&name);
    let error =
        || BadInput(format!("--baseline `{name}`: not a folder that critcmp reads; expected a name such as `main`"));
    is_folder.then_some(()).ok_or_else(error)
}
