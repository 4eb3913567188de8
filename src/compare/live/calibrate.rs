//! Calibration: turns a share of busy work into a time, by the arm's own trials without it.

use super::ArmId;
use super::error::{AbError, CalibrateError, Stop};
use super::prepared_arms::{PreparedArms, Turn};
use crate::model::metric::{self, MetricInfo};
use crate::model::record::{Outcome, TrialRecord};
use crate::model::units::{Nanos, Unit};
use crate::platform::Error;
use crate::stats::{self, Sample};

/// The number of trials behind the median.
const TRIALS: u32 = 20;

/// The median of the case's first time among its headlines, over trials of an arm without injected work; with the metric.
///
/// # Errors
/// When no headline of the case is a time, or too few of its trials succeed.
pub(super) fn median(
    arms: &mut PreparedArms<'_>,
    arm: ArmId,
    name: &str,
) -> Result<(Nanos, &'static MetricInfo), Stop> {
    let failed = |reason| Stop::from(AbError::Calibrate { arm, case: name.to_owned(), reason });
    let first = arms.warm_up_one(arm, name, None)?;
    let (first, _) = first.map_err(|bad| failed(CalibrateError::FirstTrial(reason(&bad))))?;
    let metric = first_time(&first).ok_or_else(|| failed(CalibrateError::NoTime))?;
    let values = (0..TRIALS).map(|block| {
        let record = arms.run(Turn { arm, name, order: 0, block }, None)?;
        Ok(record.metric(metric.name))
    });
    let values: Vec<f64> = values.collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect();
    match Sample::new(values) {
        Ok(sample) if sample.count() > TRIALS as usize / 2 => Ok((Nanos(stats::median(&sample) as u64), metric)),
        _ => Err(failed(CalibrateError::MostFailed(TRIALS))),
    }
}

/// The first headline of the case that is a time and that this trial has.
fn first_time(trial: &TrialRecord) -> Option<&'static MetricInfo> {
    let headlines = metric::headline(trial.case.experiment, trial.case.workload);
    headlines.iter().copied().find(|metric| metric.unit == Unit::Nanos && trial.metric(metric.name).is_some())
}

/// Why a trial has no metrics.
pub(super) fn reason(trial: &TrialRecord) -> String {
    let why = trial.reason.as_deref().unwrap_or("no reason given");
    if trial.outcome == Outcome::Skipped { format!("skipped: {why}") } else { why.to_owned() }
}
