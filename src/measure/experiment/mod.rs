//! What each experiment does in a trial. [`crate::measure::plan`] plans the trials.
//!
//! Invariant: an experiment depends on a platform's capabilities, never on its name.

mod boot;
mod footprint;
mod isolation;
mod minimum;
mod scalability;
mod server;
mod sqlite;
mod victim;

use crate::measure::plan::PlannedTrial;
use crate::measure::trial::{Background, TrialRig};
use crate::model::event::Events;
use crate::model::record::{Cpus, Experiment, Metric};
use crate::platform::Error;

/// The result of a trial. A trial that fails has events and CPUs only.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The metrics.
    pub metrics: Vec<Metric>,
    /// The victim's events.
    pub events: Events,
    /// The CPUs that were assigned, and read back.
    pub cpus: Cpus,
    /// Operations of all attackers while the victim lived.
    pub attack_ops: Option<u64>,
    /// Reasons to use the metrics with caution.
    pub flags: Vec<String>,
}

/// Runs one trial with its background and fills `measured`. Everything that it launches is gone when it returns.
/// The events of a failed victim are kept: they distinguish a victim that hung from one that never began.
///
/// # Errors
/// The error's class decides what follows: a failed record, a skip, or the end of the run.
pub fn run(
    rig: &TrialRig<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    match trial.experiment {
        Experiment::Boot => boot::run(rig, background, trial, measured)?,
        Experiment::Footprint if rig.configuration.is_minimum() => minimum::run(rig, background, trial, measured)?,
        Experiment::Footprint => footprint::run(rig, background, trial, measured)?,
        Experiment::Scalability => scalability::run(rig, background, trial, measured)?,
        Experiment::Isolation => isolation::run(rig, background, trial, measured)?,
    }
    if trial.experiment != Experiment::Isolation {
        // In isolation, the host was read long before the trial.
        measured.metrics.extend(background.contexts().map(|(_, now)| now.metrics()).unwrap_or_default());
    }
    Ok(())
}
