//! How long trials take, roughly: for `--dry-run` and the progress bar's first guess, which then learns.
//!
//! The figures are medians of a two-core virtual machine: order of size, not anchors.

use super::PlannedTrial;
use crate::model::configuration::Configuration;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::program::Program;
use crate::model::record::Experiment;
use crate::model::units::Nanos;

const SETTLE: Nanos = Nanos(400_000_000);
const ROW: Nanos = Nanos(40_000);
const READING: Nanos = Nanos(60_000);
/// A load generator starts and ends, and its server gets ready.
const AROUND_A_LOAD: Nanos = Nanos(150_000_000);
/// `redis-benchmark` with pipelining on one core, a request; it makes two kinds one after the other.
const REQUEST: Nanos = Nanos(3_000);

/// The boots of one search for the smallest memory of a guest that has some hundred MiB.
const PROBES: u64 = 12;

/// What instances cost on a family of platforms.
#[derive(Debug, Clone, Copy)]
struct Cost {
    launch: Nanos,
    removal: Nanos,
    /// One more in the background, where several are started at once.
    another: Nanos,
    /// One less.
    fewer: Nanos,
}

impl Cost {
    /// The cost on a platform by its family's name: a rough guess of a time decides nothing that is measured.
    fn on(platform: &PlatformId) -> Self {
        let family = platform.as_str().split(':').next().unwrap_or_default();
        let of = |launch, removal, another, fewer| {
            let ms = |n: u64| Nanos(n * Nanos::MILLI.0);
            Self { launch: ms(launch), removal: ms(removal), another: ms(another), fewer: ms(fewer) }
        };
        match family {
            "native" | "youki" | "fake" => of(8, 3, 8, 3),
            "oci" => of(40, 20, 40, 20),
            "docker-cli" => of(700, 120, 110, 50),
            // An engine with a daemon. Docker starts about nine a second where four are begun at once.
            _ => of(500, 120, 110, 50),
        }
    }
}

/// The background that a trial finds.
#[derive(Debug)]
pub(super) struct Living {
    platform: PlatformId,
    idle: Program,
    level: u32,
}

impl Living {
    /// What `trial` leaves.
    pub(super) fn after(trial: &PlannedTrial) -> Self {
        Self { platform: trial.platform.clone(), idle: trial.idle(), level: trial.background }
    }

    /// The instances that `trial` can keep.
    fn for_trial(&self, trial: &PlannedTrial) -> Option<u32> {
        (self.platform == trial.platform && self.idle == trial.idle()).then_some(self.level)
    }
}

/// The time of `trial` when the instances of `before` live as it begins.
pub(super) fn estimate(configuration: &Configuration, trial: &PlannedTrial, before: Option<&Living>) -> Nanos {
    let cost = Cost::on(&trial.platform);
    let kept = before.and_then(|living| living.for_trial(trial));
    let cleared = before
        .filter(|_| kept.is_none())
        .map_or(Nanos(0), |living| times(Cost::on(&living.platform).fewer, living.level.into()));
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

fn level_change(cost: Cost, level: u32, kept: Option<u32>) -> Nanos {
    match kept {
        Some(kept) if kept == level => Nanos(0),
        Some(kept) if kept > level => SETTLE + times(cost.fewer, (kept - level).into()),
        _ => SETTLE + times(cost.another, (level - kept.unwrap_or(0)).into()),
    }
}

/// So many victims at once, from launch to removal.
fn victims(configuration: &Configuration, trial: &PlannedTrial, cost: Cost, count: u64) -> Nanos {
    let load = configuration.load();
    let work = match trial.workload {
        Program::Nginx => AROUND_A_LOAD + times(Nanos::SECOND, load.seconds.into()),
        // Several divide the requests among them.
        Program::Redis => AROUND_A_LOAD + times(REQUEST, load.requests.saturating_mul(2 * rivals(trial))),
        _ => times(ROW, u64::from(configuration.rows()) * count * rivals(trial)),
    };
    cost.launch + cost.removal + times(cost.another + cost.fewer, count - 1) + work
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
