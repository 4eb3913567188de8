//! The formats of an export, and which options go with them.

use crate::report::export::Better;

use super::Export;

/// A format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// One row a trial, every dimension a column (RFC 4180)
    Csv,
    /// Bencher Metric Format, for `bencher run --adapter json`
    Bencher,
    /// The input of github-action-benchmark's two custom tools
    Github,
    /// Criterion's tree below a target folder, which critcmp compares; times only
    Critcmp,
    /// OpenMetrics text, for Prometheus and its kin
    Openmetrics,
    /// The JSON of `hyperfine --export-json`; times only
    Hyperfine,
}

/// Which of github-action-benchmark's two tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Direction {
    /// Times, memory: `customSmallerIsBetter`
    Smaller,
    /// Throughput, fairness: `customBiggerIsBetter`
    Bigger,
}

/// Why options do not go together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused(pub(super) String);

impl Direction {
    /// The file of that direction in a folder of both.
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
    /// Checks that the options go with the format.
    ///
    /// # Errors
    /// Names the option that does not, or is missing.
    pub(super) fn check(&self) -> Result<(), Refused> {
        let refused = |message: &str| Err(Refused(message.to_owned()));
        match self.format {
            Format::Csv if !self.metrics.is_empty() => refused("--metric: csv has every metric a column; leave it out"),
            Format::Critcmp if self.output.is_none() => {
                refused("--format critcmp writes a tree: name its folder, such as --output target")
            }
            Format::Github if self.direction.is_none() && self.output.is_none() => refused(
                "--format github is a file a direction: add --output FOLDER for both, or --direction smaller|bigger",
            ),
            format if format != Format::Github && self.direction.is_some() => {
                refused("--direction goes with --format github alone")
            }
            format if format != Format::Critcmp && self.baseline.is_some() => {
                refused("--baseline goes with --format critcmp alone")
            }
            _ => self.baseline.as_deref().map_or(Ok(()), check_baseline),
        }
    }
}

/// A baseline is a folder's name; `change` is criterion's own, and critcmp passes it over.
fn check_baseline(name: &str) -> Result<(), Refused> {
    let is_folder = !name.is_empty() && !name.contains(['/', '\0']) && !["change", ".", ".."].contains(&name);
    let message = || Refused(format!("--baseline `{name}`: no name of a folder that critcmp reads; such as `main`"));
    is_folder.then_some(()).ok_or_else(message)
}
