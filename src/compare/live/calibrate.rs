//! How much busy work is so many percent: by the arm's own trials without it.

use super::ArmId;
use super::error::Stop;
use super::runners::{ArmRunners, Around, Turn};
use crate::model::record::{Outcome, TrialRecord};
use crate::model::units::{Nanos, Unit};
use crate::platform::Error;
use crate::stats::{self, Sample};

/// How many trials the median stands on.
const TRIALS: u32 = 20;

/// The median of what a case is about, in time, over trials of a lane that has nothing injected; with the metric's name.
///
/// # Errors
/// When the case is about no time, or too few of its trials are good.
pub(super) fn median(
    runners: &mut ArmRunners,
    which: ArmId,
    name: &str,
    around: Around<'_>,
) -> Result<(Nanos, &'static str), Stop> {
    let first = runners.warm_up_one(which, name, around)?;
    let (first, _) = first.map_err(|bad| Stop::input(format!("{which}: {name}: {}", reason(&bad))))?;
    let metric = about(&first).ok_or_else(|| {
        Stop::input(format!("{which}: {name} is about no time to take a share of; inject a time, such as busy:400us"))
    })?;
    let values = (0..TRIALS).map(|block| {
        let record = runners.run(Turn { which, name, order: 0, block }, around)?;
        Ok(record.metric(metric))
    });
    let values: Vec<f64> = values.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect();
    match Sample::new(values) {
        Ok(sample) if sample.count() > TRIALS as usize / 2 => Ok((Nanos(stats::median(&sample) as u64), metric)),
        _ => Err(Stop::input(format!(
            "{which}: {name}: most of {TRIALS} trials failed, so no share of them can be taken"
        ))),
    }
}

/// The first time that the case is about.
fn about(trial: &TrialRecord) -> Option<&'static str> {
    let headlines = super::metric::headline(trial.case.experiment, trial.case.workload);
    headlines
        .iter()
        .find(|(name, unit, _)| *unit == Unit::Nanos && trial.metric(name).is_some())
        .map(|(name, _, _)| *name)
}

/// Why a trial has no numbers.
pub(super) fn reason(trial: &TrialRecord) -> String {
    let why = trial.reason.as_deref().unwrap_or("no reason given");
    if trial.outcome == Outcome::Skipped { format!("skipped: {why}") } else { why.to_owned() }
}
