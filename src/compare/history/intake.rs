//! Turns a stored run into entries of a history. Pure: computes the ratio to the first run of its kind.

use super::entry::short;
use super::host::{digest_of, in_words};
use super::parameters::parameters;
use super::{Anchor, Entry, HostKey, SCHEMA, SessionKind};
use crate::compare::rule::Verdict;
use crate::host::HostFacts;
use crate::model::record::CaseName;
use crate::model::run::RunId;
use crate::model::units::Direction;
use crate::stats::{Estimate, Interval, Level, Sample, median, shift};
use crate::store::{CaseValues, MetricValues, RunFile, RunOutcome, RunValues};

/// Why a session cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to add {session}: {reason}")]
pub struct Refused {
    /// The session.
    pub session: RunId,
    /// Why, and the cure.
    pub reason: String,
}

pub(super) const UNKNOWN_HOST: &str = "its host's facts were not recorded, so it cannot be compared";

/// A logarithmic shift as a ratio; `None` if that overflows.
pub(super) fn ratio(shift: Estimate) -> Option<Estimate> {
    let good = |value: &f64| value.is_finite() && *value > 0.0;
    let to_ratio = |i: Interval| Interval { low: i.low.exp(), high: i.high.exp(), level: i.level };
    let interval = shift.interval.map(to_ratio).filter(|i| good(&i.low) && good(&i.high));
    Some(Estimate { value: Some(shift.value.exp()).filter(good)?, interval })
}

/// One entry for each metric of each case of `run`, relative to the first such run among `earlier` entries of the machine.
/// If there is none, the run becomes the anchor.
pub(super) fn run_entries(run: &RunValues, host: &HostKey, earlier: &[Entry]) -> Vec<Entry> {
    let facts = HostFacts::stored(&run.file.host);
    let measured = |case| Measured { file: &run.file, host, facts: &facts, case };
    let entries = run.cases.iter().flat_map(|case| case.metrics.iter().map(move |metric| (case, metric)));
    entries.filter_map(|(case, metric)| measured(case).entry(metric, earlier)).collect()
}

/// The machine of a run that can be added.
///
/// # Errors
/// When the run is not complete, or its host is unknown.
pub(super) fn host_of(file: &RunFile) -> Result<HostKey, Refused> {
    let refused = |reason: String| Refused { session: file.run.clone(), reason };
    if file.outcome != RunOutcome::Complete {
        return Err(refused(format!("the run is {}; continue it with --resume {} first", file.outcome, file.run)));
    }
    HostKey::of(&HostFacts::stored(&file.host)).ok_or_else(|| refused(UNKNOWN_HOST.to_owned()))
}

/// One case of a run.
struct Measured<'a> {
    file: &'a RunFile,
    host: &'a HostKey,
    facts: &'a HostFacts,
    case: &'a CaseValues,
}

impl Measured<'_> {
    /// The entry of a metric; `None` without a value, for a value without a logarithm, or if the first run of its kind is
    /// too noisy to be an anchor.
    fn entry(&self, metric: &MetricValues, earlier: &[Entry]) -> Option<Entry> {
        let values: Vec<f64> = metric.values.iter().map(|(_, value)| *value).collect();
        let sample = Sample::new(values.clone()).ok().filter(|sample| sample.min() > 0.0)?;
        let entry = self.without_ratio(metric, &sample);
        let noisy = self.file.noise.as_ref().is_some_and(|noise| !noise.invalid.is_empty());
        let verdict = noisy.then_some(Verdict::Invalid);
        let first = earlier.iter().filter(|other| other.is_anchor() && other.is_comparable(&entry));
        match first.min_by(|a, b| a.session.cmp(&b.session)) {
            Some(anchor) => {
                let ratio = ratio_to(&Sample::new(anchor.values.clone()).ok()?, &sample, entry.direction);
                Some(Entry { ratio, anchor: anchor.anchor.clone(), verdict, ..entry })
            }
            None if noisy => None,
            None => Some(Entry { ratio: Some(Estimate { value: 1.0, interval: None }), values, ..entry }),
        }
    }

    fn without_ratio(&self, metric: &MetricValues, sample: &Sample) -> Entry {
        let (file, case, facts) = (self.file, &self.case.case, self.facts);
        let platform = file.platforms.iter().find(|platform| platform.id == case.platform);
        Entry {
            schema: SCHEMA,
            session: file.run.clone(),
            kind: SessionKind::Run,
            time: file.started.clone(),
            host: self.host.clone(),
            machine: in_words(facts),
            kernel: facts.kernel.clone(),
            facts: digest_of(facts),
            version: file.version.clone(),
            revision: facts.revision.clone(),
            platform: case.platform.to_string(),
            versions: platform.map(|p| (p.id.to_string(), p.facts.version.clone())).into_iter().collect(),
            accelerator: Some(case.accelerator),
            image: Some(case.image.clone()),
            experiment: case.experiment,
            case: CaseName::of(case, self.case.role).without_platform().to_string(),
            parameters: parameters(&file.configuration, case.workload.name(), case.background),
            metric: metric.name.clone(),
            unit: metric.unit,
            direction: metric.direction,
            trials: sample.count(),
            median: median(sample),
            ratio: None,
            anchor: Anchor { id: file.run.to_string(), name: format!("the run {}", file.run) },
            verdict: None,
            simulated: platform.is_some_and(|p| p.capabilities.simulated),
            values: Vec::new(),
        }
    }
}

impl Entry {
    /// Whether a run's entry can be compared with this one.
    fn is_comparable(&self, other: &Entry) -> bool {
        let what = |e: &Entry| (e.kind, e.experiment, e.unit, e.direction, e.accelerator);
        let names = |e: &Entry| [e.platform.clone(), e.case.clone(), e.metric.clone(), e.facts.clone()];
        what(self) == what(other)
            && names(self) == names(other)
            && self.host == other.host
            && self.parameters == other.parameters
    }
}

/// How much worse `now` is than the anchor: the Hodges-Lehmann shift of logarithms.
fn ratio_to(anchor: &Sample, now: &Sample, direction: Direction) -> Option<Estimate> {
    let logs = |sample: &Sample| Sample::new(sample.sorted().iter().map(|value| value.ln()).collect()).ok();
    let (anchor, now) = (logs(anchor)?, logs(now)?);
    ratio(match direction {
        Direction::Higher => shift(&now, &anchor, Level::P98),
        Direction::Lower | Direction::Neutral => shift(&anchor, &now, Level::P98),
    })
}

/// The short digest, or `unknown`.
pub(super) fn digest_in_short(digest: Option<&String>) -> String {
    digest.map_or_else(|| "unknown".to_owned(), |digest| short(digest).to_owned())
}

#[cfg(test)]
mod tests;
