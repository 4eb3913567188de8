//! Trials grouped by case: their number, their metrics, and how much worse these are than the case's reference.
//!
//! Invariant: every number comes from `stats`; failed and missing trials are counted, never replaced by a value.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::event::Event;
use crate::model::metric::{MetricInfo, THROUGHPUT, THROUGHPUT_PER_VICTIM};
use crate::model::record::{Case, Counts, Experiment, Outcome, Role, TrialRecord};
use crate::model::units::{Direction, Unit};
use crate::stats::{Response, Sample, Summary, response, summarize};
use crate::store::StoredRun;

/// All trials of one case in one role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// The role of its trials.
    pub role: Role,
    /// How many trials ended how.
    #[serde(flatten)]
    pub counts: Counts,
    /// Its metrics, in the order of the records.
    pub metrics: Vec<MetricResult>,
    /// Operations of all attackers, one value per trial.
    pub attack_ops: Option<Summary>,
}

/// One metric over the successful trials of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricResult {
    /// Its name.
    pub name: String,
    /// The unit of all its numbers.
    pub unit: Unit,
    /// The direction of an improvement.
    pub direction: Direction,
    /// Its values, one per trial; `None` if none was a number.
    pub summary: Option<Summary>,
    /// How much worse it is than in the reference case; `None` without one.
    pub slowdown: Option<Against>,
}

/// A slowdown with the kind of its reference case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// The reference case.
    pub to: Base,
    /// How much worse it is.
    pub response: Response,
}

/// The case that another one is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// The same victim alone, in the same round.
    Reference,
    /// The same case without background instances.
    NoBackground,
    /// The same case with a single victim.
    OneVictim,
}

type Trials<'a> = BTreeMap<(&'a Case, Role), Vec<&'a TrialRecord>>;

/// Groups the trials of `run` by case and role.
pub fn tally(run: &StoredRun) -> Vec<CaseResult> {
    let mut trials: Trials<'_> = BTreeMap::new();
    for record in &run.trials {
        trials.entry((&record.case, record.role)).or_default().push(record);
    }
    trials.iter().map(|(&(case, role), records)| result(case, role, records, &trials)).collect()
}

fn result(case: &Case, role: Role, records: &[&TrialRecord], all: &Trials<'_>) -> CaseResult {
    let mut counts = Counts::default();
    for record in records {
        counts.take(record.outcome, !record.flags.is_empty());
    }
    let base = base(case, role);
    let base = base.as_ref().and_then(|(to, case, role)| Some((*to, all.get(&(case, *role))?.as_slice())));
    CaseResult {
        case: case.clone(),
        role,
        counts,
        metrics: metrics(records, base),
        attack_ops: summary(successful(records).filter_map(|r| r.attack_ops).map(|ops| ops as f64).collect()),
    }
}

fn successful<'a>(records: &'a [&'a TrialRecord]) -> impl Iterator<Item = &'a TrialRecord> {
    records.iter().copied().filter(|r| r.outcome == Outcome::Ok)
}

/// The case and role that a case is compared with.
fn base(case: &Case, role: Role) -> Option<(Base, Case, Role)> {
    match (case.experiment, role) {
        (Experiment::Isolation, Role::Measured | Role::Placebo) => {
            Some((Base::Reference, Case { attacker: None, ..case.clone() }, Role::Reference))
        }
        (Experiment::Boot | Experiment::Scalability, Role::Measured) if case.background > 0 => {
            Some((Base::NoBackground, Case { background: 0, ..case.clone() }, role))
        }
        (Experiment::Scalability, Role::Measured) if case.victims > 1 => {
            Some((Base::OneVictim, Case { victims: 1, ..case.clone() }, role))
        }
        _ => None,
    }
}

/// The metrics of `records` and of their base, so that a victim that never responded still has its line.
fn metrics(records: &[&TrialRecord], base: Option<(Base, &[&TrialRecord])>) -> Vec<MetricResult> {
    let mut results: Vec<MetricResult> = Vec::new();
    let base_records = base.iter().flat_map(|(_, records)| successful(records));
    for metric in successful(records).chain(base_records).flat_map(|r| &r.metrics) {
        if results.iter().any(|result| result.name == metric.name) {
            continue;
        }
        let values = successful(records).filter_map(|r| r.metric(&metric.name)).collect();
        let slowdown = base.and_then(|(to, base)| {
            let pairs = pairs(base, records, &metric.name);
            response(&pairs, metric.direction).ok().map(|response| Against { to, response })
        });
        results.push(MetricResult {
            name: metric.name.clone(),
            unit: metric.unit,
            direction: metric.direction,
            summary: summary(values),
            slowdown,
        });
    }
    results
}

fn summary(values: Vec<f64>) -> Option<Summary> {
    Sample::new(values).ok().map(|sample| summarize(&sample))
}

/// The values of both cases by round or pass. A loaded victim that started and never reported a result did not
/// respond; a trial that failed for another reason has no information about the victim and is left out.
fn pairs(base: &[&TrialRecord], loaded: &[&TrialRecord], metric: &str) -> Vec<(f64, Option<f64>)> {
    // One server alone has no throughput per victim.
    let alone = if metric == THROUGHPUT_PER_VICTIM.name { THROUGHPUT.name } else { metric };
    let value = |trial: u32| successful(base).find(|r| r.trial == trial)?.metric(alone);
    let pair = |record: &&TrialRecord| match record.outcome {
        Outcome::Ok => Some((value(record.trial)?, Some(record.metric(metric)?))),
        Outcome::Failed if unanswered(record) => Some((value(record.trial)?, None)),
        _ => None,
    };
    loaded.iter().filter_map(pair).collect()
}

fn unanswered(record: &TrialRecord) -> bool {
    let reports_result = matches!(record.case.experiment, Experiment::Scalability | Experiment::Isolation);
    let has = |event| record.events.contains_key(&event);
    reports_result && (has(Event::Main) || has(Event::Ready)) && !has(Event::Result)
}

impl CaseResult {
    /// The result of that metric.
    pub fn metric(&self, metric: &MetricInfo) -> Option<&MetricResult> {
        self.metrics.iter().find(|m| m.name == metric.name)
    }

    /// The values of that metric.
    pub fn summary(&self, metric: &MetricInfo) -> Option<&Summary> {
        self.metric(metric)?.summary.as_ref()
    }

    /// How much worse that metric is than in the reference case.
    pub fn response(&self, metric: &MetricInfo) -> Option<&Response> {
        Some(&self.metric(metric)?.slowdown.as_ref()?.response)
    }
}
