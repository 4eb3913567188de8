//! What observers of a run, or of a session that compares two arms, are notified of.
//!
//! Invariant: no observer is called while a trial is being timed.

use std::path::Path;
use std::time::Duration;

use crate::measure::plan::{Plan, PlannedTrial};
use crate::model::comparison::{ArmId, Stage, Verdict};
use crate::model::record::TrialRecord;
use crate::model::run::RunId;
use crate::stats::Estimate;
use crate::store::RunOutcome;

/// Observes a run or a session.
pub trait Observer {
    /// Called on the thread that measures, never between two time stamps of a trial.
    fn notice(&mut self, event: &Event<'_>);
}

impl Observer for () {
    fn notice(&mut self, _event: &Event<'_>) {}
}

/// Something that happened in a run or in a session.
#[derive(Debug)]
pub enum Event<'a> {
    /// A step of the preparation, as a line of text.
    Preparing(&'a str),
    /// A run begins, or continues after `done` trials.
    RunBegins {
        /// The run.
        run: &'a RunId,
        /// The run's folder.
        dir: &'a Path,
        /// All trials of the run.
        plan: &'a Plan,
        /// The number of trials that have records already.
        done: usize,
    },
    /// A trial of a run is about to begin.
    TrialBegins(&'a PlannedTrial),
    /// A trial of a run ended and its record is stored.
    TrialEnded(&'a PlannedTrial, &'a TrialRecord),
    /// A run ended.
    RunEnded(RunOutcome),
    /// A session knows its cases; each has run once in every arm.
    SessionBegins {
        /// The session.
        session: &'a RunId,
        /// The session's folder.
        dir: &'a Path,
        /// The number of cases.
        cases: usize,
        /// The number of cases that all arms can measure.
        measurable: usize,
    },
    /// A trial of a session was skipped or failed.
    ArmTrialFailed {
        /// The case.
        case: &'a str,
        /// The arm.
        arm: ArmId,
        /// The record with the reason.
        record: &'a TrialRecord,
    },
    /// A block of a session is measured and stored.
    BlockEnded(BlockProgress<'a>),
    /// A session ended.
    SessionEnded {
        /// How it ended.
        outcome: RunOutcome,
        /// The session's folder.
        dir: &'a Path,
    },
}

/// The progress of a session after a block.
#[derive(Debug, Clone, Copy)]
pub struct BlockProgress<'a> {
    /// The block's case.
    pub case: &'a str,
    /// The block's stage.
    pub stage: Stage,
    /// Finished blocks of this stage, over all cases.
    pub done: usize,
    /// The most blocks that this stage takes.
    pub most: usize,
    /// The longest time that the rest of this stage takes.
    pub left: Duration,
    /// The state of the case's metrics; empty where nothing is judged.
    pub standing: &'a [Standing],
}

/// The state of one metric of a case after a block.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The metric's name.
    pub metric: String,
    /// How much worse B is so far, as a logarithm, with the 98 % interval.
    pub shift: Option<Estimate>,
    /// The verdict; `None` while the metric needs more blocks.
    pub verdict: Option<DecidedVerdict>,
}

/// A verdict that more blocks cannot change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecidedVerdict {
    /// The verdict.
    pub verdict: Verdict,
    /// The number of blocks that it is based on.
    pub blocks: usize,
}
