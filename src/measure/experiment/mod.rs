//! What each experiment does in a trial. What it plans is in [`crate::measure::plan`].
//!
//! Invariant: an experiment asks a platform for its capabilities, never for its name.

mod boot;
mod footprint;
mod isolation;
mod minimum;
mod scalability;
mod server;
mod sqlite;
mod victim;

use crate::measure::plan::PlannedTrial;
use crate::measure::trial::{Background, Stage};
use crate::model::event::Events;
use crate::model::record::{Cpus, Experiment, Metric};
use crate::platform::Error;

/// What a trial yields: all of it when it is good, the events and CPUs alone when it fails.
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
    /// Why its numbers deserve caution.
    pub flags: Vec<String>,
}

/// Runs one trial on `stage`, beside the background it asks for, into `measured`. Everything it launches is gone when it
/// returns. The events of a victim that failed are kept: they tell one that stopped answering from one that never began.
///
/// # Errors
/// The class tells what follows: a failed record, a skip, or the end of the run.
pub fn run(
    stage: &Stage<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    match trial.experiment {
        Experiment::Boot => boot::run(stage, background, trial, measured)?,
        Experiment::Footprint if stage.configuration.is_minimum() => minimum::run(stage, background, trial, measured)?,
        Experiment::Footprint => footprint::run(stage, background, trial, measured)?,
        Experiment::Scalability => scalability::run(stage, background, trial, measured)?,
        Experiment::Isolation => isolation::run(stage, background, trial, measured)?,
    }
    if trial.experiment != Experiment::Isolation {
        // What the host has left is a matter of the ladder; in isolation it was read long before the trial.
        measured.metrics.extend(background.contexts().map(|(_, now)| now.metrics()).unwrap_or_default());
    }
    Ok(())
}
