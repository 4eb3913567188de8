//! `summary.json`: every case with its numbers, for programs.

use serde::Serialize;

use super::model::{CaseResult, Notice, tally};
use crate::model::platform::PlatformId;
use crate::model::record::SCHEMA;
use crate::store::{RunOutcome, StoredRun};

/// What `summary.json` holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct SummaryFile {
    /// The schema of the records it was computed from.
    pub schema: u32,
    /// The version that computed it.
    pub version: String,
    /// What must be known first.
    pub notices: Vec<Notice>,
    /// The runs.
    pub runs: Vec<RunSummary>,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct RunSummary {
    /// Its id.
    pub run: String,
    /// What it measured.
    pub experiment: String,
    /// How it stands.
    pub outcome: RunOutcome,
    /// How many trials it has.
    pub trials: usize,
    /// How many it should have.
    pub planned: u64,
    /// Platforms whose times are a virtual clock's.
    pub simulated: Vec<PlatformId>,
    /// Why the noise guard calls it invalid.
    pub invalid: Vec<String>,
    /// Its cases.
    pub cases: Vec<CaseResult>,
}

/// The summary of `runs`.
pub(super) fn summary(runs: &[StoredRun], notices: Vec<Notice>) -> SummaryFile {
    let of = |run: &StoredRun| RunSummary {
        run: run.file.run.to_string(),
        experiment: run.file.experiment().to_string(),
        outcome: run.file.outcome,
        trials: run.trials.len(),
        planned: run.file.planned,
        simulated: run.file.platforms.iter().filter(|p| p.capabilities.simulated).map(|p| p.id.clone()).collect(),
        invalid: run.file.noise.iter().flat_map(|n| n.invalid.clone()).collect(),
        cases: tally(run),
    };
    let runs = runs.iter().map(of).collect();
    SummaryFile { schema: SCHEMA, version: env!("CARGO_PKG_VERSION").into(), notices, runs }
}
