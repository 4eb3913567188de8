//! From a planned trial and its outcome to its record.

use crate::measure::experiment::{self, Measured};
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::{Background, TrialRig};
use crate::model::event::{Event, Events};
use crate::model::program::Program;
use crate::model::record::{Case, Outcome, Role, SCHEMA, TrialRecord};
use crate::model::units::Nanos;
use crate::platform::Error;

/// Runs one trial and makes its record. A failure also gets a record, even one from before the trial (`cleared`).
///
/// # Errors
/// [`Error::Interrupted`] and [`Error::Fatal`] only: then there is no record.
pub(super) fn run(
    rig: &TrialRig<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    cleared: Result<(), Error>,
) -> Result<TrialRecord, Error> {
    let started = now();
    let mut measured = Measured::default();
    let ended = cleared.and_then(|()| experiment::run(rig, background, trial, &mut measured));
    let (outcome, reason) = match ended {
        Ok(()) => (Outcome::Ok, None),
        Err(error @ (Error::Interrupted | Error::Fatal(_))) => return Err(error),
        Err(Error::Unavailable(why)) => (Outcome::Skipped, Some(why.to_string())),
        Err(error) => (Outcome::Failed, Some(error.to_string())),
    };
    if outcome != Outcome::Ok {
        measured.metrics.clear();
        measured.attack_ops = None;
        measured.flags.clear();
    }
    Ok(TrialRecord {
        schema: SCHEMA,
        run: rig.ledger.run().clone(),
        order: trial.order,
        trial: trial.trial,
        role: trial.role,
        case: case(rig, trial)?,
        started,
        cpus: measured.cpus,
        metrics: measured.metrics,
        events: relative(&measured.events),
        attack_ops: measured.attack_ops.filter(|_| trial.role == Role::Measured),
        flags: measured.flags,
        outcome,
        reason,
    })
}

/// The case that a planned trial measures on this rig.
fn case(rig: &TrialRig<'_>, trial: &PlannedTrial) -> Result<Case, Error> {
    Ok(Case {
        experiment: trial.experiment,
        platform: trial.platform.clone(),
        accelerator: rig.platform.capabilities().accelerator,
        workload: trial.workload,
        attacker: trial.attacker,
        placement: trial.placement,
        background: trial.background,
        victims: trial.victims,
        image: digest(rig, trial.workload)?,
    })
}

/// The digest of what a guest boots from; empty for a guest that is missing, whose trials are skipped.
fn digest(rig: &TrialRig<'_>, program: Program) -> Result<String, Error> {
    match rig.image(program) {
        Ok(image) => Ok(rig.platform.boot_artifact(image).digest),
        Err(Error::Unavailable(_)) => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// The present second, RFC 3339 in UTC.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Events counted from `spawn`.
fn relative(events: &Events) -> Events {
    let spawn = events.get(&Event::Spawn).copied().unwrap_or(Nanos(0));
    events.iter().map(|(&event, &at)| (event, at.saturating_sub(spawn))).collect()
}
