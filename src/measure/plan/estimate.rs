//! Roughly how long trials take: for `--dry-run` and the progress bar's first guess.
//!
//! The figures are medians from a two-core virtual machine: orders of magnitude, not references.

use super::PlannedTrial;
use crate::model::configuration::Configuration;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::program::Program;
use crate::model::record::Experiment;
use crate::model::units::Nanos;
use crate::platform::registry::{self, LaunchEstimate};

const SETTLE: Nanos = Nanos(400_000_000);
const ROW: Nanos = Nanos(40_000);
const READING: Nanos = Nanos(60_000);
/// The time for a load generator to start and end, and for its server to get ready.
const AROUND_A_LOAD: Nanos = Nanos(150_000_000);
/// The time of one request of `redis-benchmark` with pipelining on one core. It makes two kinds, one after the other.
const REQUEST: Nanos = Nanos(3_000);

/// The boots of one search for the smallest memory of a guest with some hundred MiB.
const PROBES: u64 = 12;

/// The estimate of a platform; that of an engine for a platform of another version.
fn estimate_of(platform: &PlatformId) -> LaunchEstimate {
    registry::entry(platform).map_or(LaunchEstimate::ENGINE, |entry| entry.estimate)
}

/// The background instances when a trial begins.
#[derive(Debug)]
pub(super) struct Living {
    platform: PlatformId,
    idle: Program,
    level: u32,
}

impl Living {
    /// The instances that `trial` leaves.
    pub(super) fn after(trial: &PlannedTrial) -> Self {
        Self { platform: trial.platform.clone(), idle: trial.idle(), level: trial.background }
    }

    /// The instances that `trial` can keep.
    fn for_trial(&self, trial: &PlannedTrial) -> Option<u32> {
        (self.platform == trial.platform && self.idle == trial.idle()).then_some(self.level)
    }
}

/// The time of `trial` if the instances of `before` live when it begins.
pub(super) fn estimate(configuration: &Configuration, trial: &PlannedTrial, before: Option<&Living>) -> Nanos {
    let cost = estimate_of(&trial.platform);
    let kept = before.and_then(|living| living.for_trial(trial));
    let cleared = before
        .filter(|_| kept.is_none())
        .map_or(Nanos(0), |living| times(estimate_of(&living.platform).fewer, living.level.into()));
    cleared
        + level_change(cost, trial.background, kept)
        + match trial.experiment {
            Experiment::Boot => cost.launch + cost.removal,
            Experiment::Footprint if configuration.is_minimum() => times(cost.launch + cost.removal, PROBES),
            Experiment::Footprint => times(READING, trial.background.into()),
            Experiment::Scalability => victims(configuration, trial, cost, trial.victims.into()),
            Experiment::Isolation => {
                let neighbour = if trial.role == crate::model::record::Role::Reference { 0 } else { 1 };
                victims(configuration, trial, cost, 1) + times(cost.launch + cost.removal, neighbour)
            }
        }
}

fn level_change(cost: LaunchEstimate, level: u32, kept: Option<u32>) -> Nanos {
    match kept {
        Some(kept) if kept == level => Nanos(0),
        Some(kept) if kept > level => SETTLE + times(cost.fewer, (kept - level).into()),
        _ => SETTLE + times(cost.another, (level - kept.unwrap_or(0)).into()),
    }
}

/// The time of `count` victims at once, from launch to removal.
fn victims(configuration: &Configuration, trial: &PlannedTrial, cost: LaunchEstimate, count: u64) -> Nanos {
    let load = configuration.load();
    let work = match trial.workload {
        Program::Nginx => AROUND_A_LOAD + times(Nanos::SECOND, load.seconds.into()),
        // Several divide the requests among them.
        Program::Redis => AROUND_A_LOAD + times(REQUEST, load.requests.saturating_mul(2 * rivals(trial))),
        _ => times(ROW, u64::from(configuration.rows()) * count * rivals(trial)),
    };
    cost.launch + cost.removal + times(cost.another + cost.fewer, count - 1) + work
}

/// The number of instances on the victim's CPU, the victim included.
fn rivals(trial: &PlannedTrial) -> u64 {
    match trial.placement {
        Placement::SameThread if trial.attacker.is_some() => 2,
        _ => 1,
    }
}

fn times(span: Nanos, count: u64) -> Nanos {
    Nanos(span.0.saturating_mul(count))
}
