//! `summary.json`: every case with its numbers, for programs.

use serde::Serialize;

use super::model::{CaseResult, Notice, tally};
use crate::model::platform::PlatformId;
use crate::model::record::SCHEMA;
use crate::store::{RunOutcome, StoredRun};

/// The content of `summary.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SummaryFile {
    /// The schema of its records.
    pub schema: u32,
    /// The version that computed it.
    pub version: String,
    /// The warnings.
    pub notices: Vec<Notice>,
    /// The runs.
    pub runs: Vec<RunSummary>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RunSummary {
    /// Its id.
    pub run: String,
    /// Its experiment.
    pub experiment: String,
    /// Its state.
    pub outcome: RunOutcome,
    /// The number of its trials.
    pub trials: usize,
    /// The number of planned trials.
    pub planned: u64,
    /// The platforms whose times come from a virtual clock.
    pub simulated: Vec<PlatformId>,
    /// The noise guard's reasons against it.
    pub invalid: Vec<String>,
    /// Its cases.
    pub cases: Vec<CaseResult>,
}

/// The summary of `runs`.
pub(super) fn summary(runs: &[StoredRun], notices: Vec<Notice>) -> SummaryFile {
    let summary = |run: &StoredRun| RunSummary {
        run: run.file.run.to_string(),
        experiment: run.file.experiment().to_string(),
        outcome: run.file.outcome,
        trials: run.trials.len(),
        planned: run.file.planned,
        simulated: run.file.platforms.iter().filter(|p| p.capabilities.simulated).map(|p| p.id.clone()).collect(),
        invalid: run.file.noise.iter().flat_map(|n| n.invalid.clone()).collect(),
        cases: tally(run),
    };
    let runs = runs.iter().map(summary).collect();
    SummaryFile { schema: SCHEMA, version: env!("CARGO_PKG_VERSION").into(), notices, runs }
}
