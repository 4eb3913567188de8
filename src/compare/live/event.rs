//! What a session tells those who watch. Nothing is told while a trial is being timed.

use std::path::Path;
use std::time::Duration;

use super::{ArmId, CaseFile};
use crate::compare::rule::{Next, Stage};
use crate::measure::session::{EngineEvent, Observer};
use crate::model::record::TrialRecord;
use crate::model::run::RunId;
use crate::stats::Estimate;
use crate::store::RunOutcome;

/// Something that happened in a session.
#[derive(Debug)]
pub enum Event<'a> {
    /// Something is being prepared: a line of text.
    Preparing(&'a str),
    /// The cases are known, and each has run once in every lane.
    Begun {
        /// The session.
        run: &'a RunId,
        /// Its folder.
        dir: &'a Path,
        /// What it measures.
        cases: &'a [CaseFile],
    },
    /// A trial ended badly.
    Bad {
        /// Its case.
        case: &'a str,
        /// Its lane.
        which: ArmId,
        /// Its record.
        record: &'a TrialRecord,
    },
    /// A block is measured and stored.
    Block {
        /// Its case.
        case: &'a str,
        /// The stage that it belongs to.
        stage: Stage,
        /// Blocks of this stage, over all cases: those that are done.
        done: usize,
        /// Those that it takes at the most.
        most: usize,
        /// How long the rest of this stage takes at the most.
        left: Duration,
        /// How the case's metrics stand; none where nothing is judged.
        standing: &'a [Standing],
    },
    /// The session ended.
    Ended {
        /// How.
        outcome: RunOutcome,
        /// Its folder.
        dir: &'a Path,
    },
}

/// How a metric stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// The metric.
    pub metric: String,
    /// How much worse B is so far, with the 98 % interval.
    pub shift: Option<Estimate>,
    /// What comes next.
    pub next: Next,
}

/// Watches a session.
pub trait Watcher {
    /// Called on the session's thread, never between two time stamps of a trial.
    fn notice(&mut self, event: &Event<'_>);
}

impl Watcher for () {
    fn notice(&mut self, _event: &Event<'_>) {}
}

/// Hands on what the engine's parts tell while they prepare.
pub(super) struct Relay<'a>(pub(super) &'a mut dyn Watcher);

impl Observer for Relay<'_> {
    fn notice(&mut self, event: &EngineEvent<'_>) {
        if let EngineEvent::Preparing(text) = event {
            self.0.notice(&Event::Preparing(text));
        }
    }
}
