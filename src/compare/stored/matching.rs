//! Matches the cases of two runs.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::attacker::Attacker;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::record::{Case, CaseName, Experiment, Role, neighbor};
use crate::model::run::RunId;
use crate::model::units::{Direction, Unit};
use crate::store::{CaseValues, MetricValues, RunOutcome, RunValues};

/// A case without what may differ between two runs: its image, its accelerator, and, if two platforms are compared, its
/// platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The experiment.
    pub experiment: Experiment,
    /// The platform; `None` if two platforms are compared.
    pub platform: Option<PlatformId>,
    /// The measured guest.
    pub workload: String,
    /// The placement of the attacker.
    pub placement: Placement,
    /// The role of the trials.
    pub role: Role,
    /// The attacker.
    pub attacker: Option<Attacker>,
    /// The number of idle background instances.
    pub background: u32,
    /// The number of victims at once.
    pub victims: u32,
}

/// Why no platforms of two runs match.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum MatchError {
    #[error("{name} has no trials (run {run}, {outcome})")]
    NoTrials { name: &'static str, run: RunId, outcome: RunOutcome },
    #[error("no common platform: {a} against {b}")]
    NoCommonPlatform { a: String, b: String },
}

/// How the platforms of two runs are matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairing {
    /// Each with itself.
    Same,
    /// The only platform of A with the only platform of B.
    Across,
}

/// The trials of one case of one run.
#[derive(Debug, Clone)]
pub(super) struct CaseSamples<'a> {
    /// The trials, one item for each image and accelerator.
    pub(super) values: Vec<&'a CaseValues>,
    /// The references of the same rounds, if the case is measured against them.
    pub(super) reference: Option<&'a CaseValues>,
}

/// The values of one metric of one side.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Series {
    pub(super) unit: Unit,
    pub(super) direction: Direction,
    pub(super) values: Vec<f64>,
}

/// A metric that a run has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric {
    pub(super) name: String,
    pub(super) unit: Unit,
    pub(super) direction: Direction,
}

/// The suffix of a metric that is divided by its reference: `insert_time` becomes `insert_time_slowdown`.
pub(super) const SLOWDOWN: &str = "_slowdown";

impl Pairing {
    /// Matches each platform with itself if the runs share one, and otherwise the only platforms of both runs.
    ///
    /// # Errors
    /// Why there is nothing to match.
    pub(super) fn new(a: &RunValues, b: &RunValues) -> Result<Self, MatchError> {
        let (mine, theirs) = (platforms(a), platforms(b));
        for (name, run) in [("A", a), ("B", b)] {
            if run.cases.is_empty() {
                return Err(MatchError::NoTrials { name, run: run.file.run.clone(), outcome: run.file.outcome });
            }
        }
        if mine.iter().any(|platform| theirs.contains(platform)) {
            return Ok(Pairing::Same);
        }
        match (mine.as_slice(), theirs.as_slice()) {
            ([_], [_]) => Ok(Pairing::Across),
            _ => Err(MatchError::NoCommonPlatform { a: names(&mine), b: names(&theirs) }),
        }
    }
}

/// The platforms with trials, each once.
pub(super) fn platforms(run: &RunValues) -> Vec<&PlatformId> {
    let mut all: Vec<&PlatformId> = run.cases.iter().map(|values| &values.case.platform).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(super) fn names(platforms: &[&PlatformId]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The cases of a run by key.
pub(super) fn keyed(run: &RunValues, pairing: Pairing) -> BTreeMap<Key, CaseSamples<'_>> {
    let mut all: BTreeMap<Key, CaseSamples<'_>> = BTreeMap::new();
    for values in &run.cases {
        let samples =
            all.entry(Key::of(&values.case, values.role, pairing)).or_insert_with(|| CaseSamples::new(run, values));
        samples.values.push(values);
    }
    all
}

impl Key {
    pub(super) fn of(case: &Case, role: Role, pairing: Pairing) -> Self {
        Self {
            experiment: case.experiment,
            platform: (pairing == Pairing::Same).then(|| case.platform.clone()),
            workload: case.workload.to_string(),
            placement: case.placement,
            role,
            attacker: case.attacker,
            background: case.background,
            victims: case.victims,
        }
    }
}

impl fmt::Display for Key {
    /// The name of the case in a plan, without the platform if two platforms are compared.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = CaseName {
            experiment: self.experiment,
            platform: self.platform.as_ref(),
            workload: &self.workload,
            placement: self.placement,
            neighbor: neighbor(self.attacker, self.role),
            background: self.background,
            victims: self.victims,
            minimum: false,
        };
        name.fmt(f)
    }
}

impl<'a> CaseSamples<'a> {
    fn new(run: &'a RunValues, values: &CaseValues) -> Self {
        let has_reference = values.case.experiment == Experiment::Isolation && values.role != Role::Reference;
        let reference = |other: &&CaseValues| {
            let case = Case { attacker: None, image: other.case.image.clone(), ..values.case.clone() };
            other.role == Role::Reference && other.case == case
        };
        let reference = if has_reference { run.cases.iter().find(reference) } else { None };
        Self { values: Vec::new(), reference }
    }

    /// The trials, if all are of one image on one accelerator.
    pub(super) fn one(&self) -> Option<&'a CaseValues> {
        match self.values.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// The key with the platform.
    pub(super) fn key(&self) -> Key {
        let first = self.values[0];
        Key::of(&first.case, first.role, Pairing::Same)
    }

    /// Why `who` has no values in this case; `None` if it has.
    pub(super) fn failure(&self, who: &str) -> Option<String> {
        let Some(one) = self.one() else {
            return Some(format!("{who} mixes trials of {} images or accelerators in this case", self.values.len()));
        };
        no_successful_trials(one, who, "trials").or_else(|| {
            let reference = self.is_relative().then_some(self.reference)?;
            match reference {
                None => Some(format!("{who} has no reference for this case")),
                Some(reference) => no_successful_trials(reference, who, "references"),
            }
        })
    }

    /// The metrics; those that are divided by the reference have a suffix.
    pub(super) fn metrics(&self) -> impl Iterator<Item = Metric> {
        let is_relative = self.is_relative();
        let metrics = self.values.iter().flat_map(|values| &values.metrics);
        metrics.map(move |MetricValues { name, unit, direction, .. }| match is_relative {
            true => Metric { name: format!("{name}{SLOWDOWN}"), unit: Unit::Ratio, direction: Direction::Lower },
            false => Metric { name: name.clone(), unit: *unit, direction: *direction },
        })
    }

    /// Whether every value is divided by the reference of its round, so that the host's effect on both cancels.
    pub(super) fn is_relative(&self) -> bool {
        self.values.iter().any(|v| v.case.experiment == Experiment::Isolation && v.role != Role::Reference)
    }

    /// The values of the metric of that name.
    pub(super) fn series(&self, name: &str) -> Option<Series> {
        let values = self.one()?;
        if !self.is_relative() {
            let MetricValues { unit, direction, values, .. } = values.metric(name)?;
            let values = values.iter().map(|(_, value)| *value).collect();
            return Some(Series { unit: *unit, direction: *direction, values });
        }
        let name = name.strip_suffix(SLOWDOWN)?;
        let (loaded, alone) = (values.metric(name)?, self.reference?.metric(name)?);
        let values = ratios(loaded, alone)?;
        Some(Series { unit: Unit::Ratio, direction: Direction::Lower, values }).filter(|s| !s.values.is_empty())
    }
}

/// Why `who` has no values in a case; `None` if a trial succeeded. `what` names the trials.
fn no_successful_trials(values: &CaseValues, who: &str, what: &str) -> Option<String> {
    let reason = values.reason.as_deref().unwrap_or("no reason is recorded");
    match (values.counts.ok, values.counts.failed) {
        (0, 0) => Some(format!("{who} skipped its {what}: {reason}")),
        (0, failed) => Some(format!("{who} has no successful {what} of {failed}: {reason}")),
        _ => None,
    }
}

/// How much worse each value is than the reference of its round: above 1 is worse. `None` if one is not finite, such as for
/// a victim that did nothing: without it, the others would look better than all of them are.
fn ratios(loaded: &MetricValues, alone: &MetricValues) -> Option<Vec<f64>> {
    let alone_at: BTreeMap<u32, f64> = alone.values.iter().copied().collect();
    let ratio = |(round, value): &(u32, f64)| {
        let alone = alone_at.get(round)?;
        Some(if loaded.direction == Direction::Higher { alone / value } else { value / alone })
    };
    let ratios: Vec<f64> = loaded.values.iter().filter_map(ratio).collect();
    ratios.iter().all(|ratio| ratio.is_finite()).then_some(ratios)
}
