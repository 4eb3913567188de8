//! What each experiment does in a trial. What it plans is in [`crate::plan`].
//!
//! Invariant: an experiment asks a platform for its capabilities, never for its name.

mod boot;
mod footprint;
mod isolation;
mod scalability;
mod stage;
mod victim;

pub use stage::Stage;

use crate::engine::Background;
use crate::plan::PlannedTrial;
use crate::platform::{Error, Events};
use crate::store::{Cpus, Experiment, Metric};

/// What a good trial yields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// Its numbers.
    pub metrics: Vec<Metric>,
    /// The victim's events.
    pub events: Events,
    /// The CPUs asked for and read back.
    pub cpus: Cpus,
    /// Operations of all attackers while the victim lived.
    pub attack_ops: Option<u64>,
}

/// Runs one trial on `stage`, beside the background it asks for. Everything it launches is gone when it returns.
///
/// # Errors
/// The class tells what follows: a failed record, a skip, or the end of the run.
pub fn run(stage: &Stage<'_>, background: &mut Background, trial: &PlannedTrial) -> Result<Measured, Error> {
    match trial.experiment {
        Experiment::Boot => boot::run(stage, background, trial),
        Experiment::Footprint => footprint::run(stage, background, trial),
        Experiment::Scalability => scalability::run(stage, background, trial),
        Experiment::Isolation => isolation::run(stage, background, trial),
    }
}
