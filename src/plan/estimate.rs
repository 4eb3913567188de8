//! How long trials take, roughly: for `--dry-run` and the progress bar's first guess, which then learns.
//!
//! The figures are medians of a two-core virtual machine: order of size, not anchors.

use super::{Configuration, PlannedTrial};
use crate::placement::Placement;
use crate::store::Experiment;
use crate::units::Nanos;

const LAUNCH: Nanos = Nanos(8_000_000);
const REMOVAL: Nanos = Nanos(3_000_000);
const SETTLE: Nanos = Nanos(400_000_000);
const ROW: Nanos = Nanos(40_000);
const READING: Nanos = Nanos(60_000);

/// The time of `trial` when `before` instances live as it begins.
pub(super) fn estimate(configuration: &Configuration, trial: &PlannedTrial, before: Option<u32>) -> Nanos {
    level_change(trial.background, before)
        + match trial.experiment {
            Experiment::Boot => times(LAUNCH, 2),
            Experiment::Footprint => times(READING, trial.background.into()),
            Experiment::Scalability => victim(configuration, trial.victims.into()),
            Experiment::Isolation => victim(configuration, rivals(trial)) + times(LAUNCH, 4),
        }
}

fn level_change(level: u32, before: Option<u32>) -> Nanos {
    match before {
        Some(before) if before == level => Nanos(0),
        Some(before) if before > level => SETTLE + times(REMOVAL, (before - level).into()),
        _ => SETTLE + times(LAUNCH, (level - before.unwrap_or(0)).into()),
    }
}

fn victim(configuration: &Configuration, slowdown: u64) -> Nanos {
    LAUNCH + REMOVAL + times(ROW, u64::from(configuration.rows) * slowdown)
}

/// How many share the victim's CPU, the victim included.
fn rivals(trial: &PlannedTrial) -> u64 {
    match trial.placement {
        Placement::SameThread if trial.attacker.is_some() => 2,
        _ => 1,
    }
}

fn times(span: Nanos, count: u64) -> Nanos {
    Nanos(span.0.saturating_mul(count))
}
