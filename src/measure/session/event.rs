//! What the engine tells those who watch. Nothing is told while a trial is being timed.

use std::path::Path;

use crate::measure::plan::{Plan, PlannedTrial};
use crate::model::record::TrialRecord;
use crate::model::run::RunId;
use crate::store::RunOutcome;

/// Something that happened in a run.
#[derive(Debug)]
pub enum EngineEvent<'a> {
    /// Something is being prepared: a line of text.
    Preparing(&'a str),
    /// The run begins, or goes on after `done` trials.
    Begun {
        /// The run.
        run: &'a RunId,
        /// Its folder.
        dir: &'a Path,
        /// What it will do.
        plan: &'a Plan,
        /// Trials already recorded.
        done: usize,
    },
    /// A trial is about to begin.
    TrialBegins(&'a PlannedTrial),
    /// A trial ended and is recorded.
    TrialEnded(&'a PlannedTrial, &'a TrialRecord),
    /// The run ended.
    Ended(RunOutcome),
}

/// Watches a run.
pub trait Observer {
    /// Called on the engine's thread, never between two time stamps of a trial.
    fn notice(&mut self, event: &EngineEvent<'_>);
}

impl Observer for () {
    fn notice(&mut self, _event: &EngineEvent<'_>) {}
}
