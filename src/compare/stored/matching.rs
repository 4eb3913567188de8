//! Which cases of two runs are the same question.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::attacker::Attacker;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::record::{Case, CaseName, Experiment, Role, neighbor};
use crate::model::units::{Direction, Unit};
use crate::store::{CaseValues, MetricValues, RunValues};

/// A case without what two runs of it may differ in: its image, its accelerator, and, where two platforms are compared,
/// its platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What is measured.
    pub experiment: Experiment,
    /// Where; `None` where the platforms are what is compared.
    pub platform: Option<PlatformId>,
    /// The measured guest.
    pub workload: String,
    /// Where the attacker runs.
    pub placement: Placement,
    /// What the trials are for.
    pub role: Role,
    /// The attacker.
    pub attacker: Option<Attacker>,
    /// Idle instances beside the measured one.
    pub background: u32,
    /// How many victims run at once.
    pub victims: u32,
}

/// How the platforms of two runs are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairing {
    /// Each with itself.
    Same,
    /// The only one of A with the only one of B.
    Across,
}

/// The trials of one case of one run.
#[derive(Debug, Clone)]
pub(super) struct CaseSamples<'a> {
    /// The trials; of several images or accelerators where a run is mixed.
    pub(super) values: Vec<&'a CaseValues>,
    /// The references of the same blocks, where the case is measured against them.
    pub(super) reference: Option<&'a CaseValues>,
}

/// The numbers of one metric of one side, ready to be compared.
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

/// What a metric that is divided by its reference is called: `insert_time` becomes `insert_time_slowdown`.
pub(super) const SLOWDOWN: &str = "_slowdown";

impl Pairing {
    /// Each platform with itself where the runs share one; the two platforms where each run has one.
    ///
    /// # Errors
    /// Says why there is nothing to put together.
    pub(super) fn of(a: &RunValues, b: &RunValues) -> Result<Self, String> {
        let (mine, theirs) = (platforms(a), platforms(b));
        for (name, run) in [("A", a), ("B", b)] {
            if run.cases.is_empty() {
                return Err(format!("{name} has no trials (run {}, {})", run.file.run, run.file.outcome));
            }
        }
        if mine.iter().any(|platform| theirs.contains(platform)) {
            return Ok(Pairing::Same);
        }
        match (mine.as_slice(), theirs.as_slice()) {
            ([_], [_]) => Ok(Pairing::Across),
            _ => Err(format!("no common platform: {} against {}", names(&mine), names(&theirs))),
        }
    }
}

/// The platforms that have trials, each once.
pub(super) fn platforms(run: &RunValues) -> Vec<&PlatformId> {
    let mut all: Vec<&PlatformId> = run.cases.iter().map(|values| &values.case.platform).collect();
    all.sort_unstable();
    all.dedup();
    all
}

pub(super) fn names(platforms: &[&PlatformId]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The cases of a run by what makes them comparable.
pub(super) fn keyed(run: &RunValues, pairing: Pairing) -> BTreeMap<Key, CaseSamples<'_>> {
    let mut all: BTreeMap<Key, CaseSamples<'_>> = BTreeMap::new();
    for values in &run.cases {
        let found =
            all.entry(Key::of(&values.case, values.role, pairing)).or_insert_with(|| CaseSamples::new(run, values));
        found.values.push(values);
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
    /// As the plan calls the case, without the platform where that is what is compared.
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
        let is_beside = values.case.experiment == Experiment::Isolation && values.role != Role::Reference;
        let reference = |other: &&CaseValues| {
            let case = Case { attacker: None, image: other.case.image.clone(), ..values.case.clone() };
            other.role == Role::Reference && other.case == case
        };
        let reference = if is_beside { run.cases.iter().find(reference) } else { None };
        Self { values: Vec::new(), reference }
    }

    /// The trials, where they are all of one image on one accelerator.
    pub(super) fn one(&self) -> Option<&'a CaseValues> {
        match self.values.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }

    /// What the case is called where its platform is not what is compared.
    pub(super) fn key(&self) -> Key {
        let first = self.values[0];
        Key::of(&first.case, first.role, Pairing::Same)
    }

    /// Why there is no number, or not of every trial, for `who`; `None` when all is well.
    pub(super) fn trouble(&self, who: &str) -> Option<String> {
        let Some(one) = self.one() else {
            return Some(format!("{who} mixes trials of {} images or accelerators in this case", self.values.len()));
        };
        no_successful_trials(one, who, "trials").or_else(|| {
            let reference = self.is_relative().then_some(self.reference)?;
            match reference {
                None => Some(format!("{who} has no reference to hold it against")),
                Some(reference) => no_successful_trials(reference, who, "references"),
            }
        })
    }

    /// The metrics, those that are divided by the reference under their own names.
    pub(super) fn metrics(&self) -> impl Iterator<Item = Metric> {
        let is_relative = self.is_relative();
        let metrics = self.values.iter().flat_map(|values| &values.metrics);
        metrics.map(move |MetricValues { name, unit, direction, .. }| match is_relative {
            true => Metric { name: format!("{name}{SLOWDOWN}"), unit: Unit::Ratio, direction: Direction::Lower },
            false => Metric { name: name.clone(), unit: *unit, direction: *direction },
        })
    }

    /// Whether every number is divided by that of the reference of its block, so that what the host did to both cancels.
    pub(super) fn is_relative(&self) -> bool {
        self.values.iter().any(|v| v.case.experiment == Experiment::Isolation && v.role != Role::Reference)
    }

    /// The numbers of the metric of that name; `None` without one.
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

/// Why `who` has no number of a case; `None` where a trial of it is good. `what` says what the trials are.
fn no_successful_trials(values: &CaseValues, who: &str, what: &str) -> Option<String> {
    let reason = values.reason.as_deref().unwrap_or("no reason is recorded");
    match (values.counts.ok, values.counts.failed) {
        (0, 0) => Some(format!("{who} skipped its {what}: {reason}")),
        (0, failed) => Some(format!("not one of {who}'s {failed} {what} is good: {reason}")),
        _ => None,
    }
}

/// How much worse each value is than that of the reference of its block: above 1 is worse. `None` where one is no number,
/// such as of a victim that did nothing at all: without it, the others would look better than all of them are.
fn ratios(loaded: &MetricValues, alone: &MetricValues) -> Option<Vec<f64>> {
    let alone_at: BTreeMap<u32, f64> = alone.values.iter().copied().collect();
    let ratio = |(block, value): &(u32, f64)| {
        let alone = alone_at.get(block)?;
        Some(if loaded.direction == Direction::Higher { alone / value } else { value / alone })
    };
    let ratios: Vec<f64> = loaded.values.iter().filter_map(ratio).collect();
    ratios.iter().all(|ratio| ratio.is_finite()).then_some(ratios)
}
