//! Trials put together by case: how many, what they measured, and how much worse that is than the case alone.
//!
//! Invariant: every number comes from `stats`; failed and missing trials are counted, never replaced by a value.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::event::Event;
use crate::model::record::{Case, Counts, Experiment, Outcome, Role, TrialRecord};
use crate::model::units::{Direction, Unit};
use crate::stats::{Response, Sample, Summary, response, summarize};
use crate::store::StoredRun;

/// All trials of one case in one role.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaseResult {
    /// The case.
    pub case: Case,
    /// What its trials are for.
    pub role: Role,
    /// What became of the trials.
    #[serde(flatten)]
    pub counts: Counts,
    /// What the trials measured, in the order of the records.
    pub metrics: Vec<MetricResult>,
    /// Operations of all attackers, one value a trial.
    pub attack_ops: Option<Summary>,
}

/// One metric over the good trials of a case.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricResult {
    /// Its name.
    pub name: String,
    /// The unit of all its numbers.
    pub unit: Unit,
    /// Which way it improves.
    pub direction: Direction,
    /// Its numbers, one value a trial; `None` when no value was a number.
    pub summary: Option<Summary>,
    /// How much worse it is than the case it is compared with; `None` without one.
    pub slowdown: Option<Against>,
}

/// A slowdown with what it is against.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Against {
    /// What it is compared with.
    pub to: Base,
    /// How much worse it is.
    pub response: Response,
}

/// What a case is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Base {
    /// The same victim alone, in the same block.
    Reference,
    /// The same case without background instances.
    NoBackground,
    /// The same case with a single victim.
    OneVictim,
}

/// The throughput of the median one of several servers: what compares with the throughput of one alone.
pub(super) const PER_VICTIM: &str = "throughput_per_victim";

type Trials<'a> = BTreeMap<(&'a Case, Role), Vec<&'a TrialRecord>>;

/// Puts the trials of `run` together by case and role.
pub fn tally(run: &StoredRun) -> Vec<CaseResult> {
    let mut trials: Trials<'_> = BTreeMap::new();
    for record in &run.trials {
        trials.entry((&record.case, record.role)).or_default().push(record);
    }
    trials.iter().map(|(&(case, role), records)| result(case, role, records, &trials)).collect()
}

fn result(case: &Case, role: Role, records: &[&TrialRecord], all: &Trials<'_>) -> CaseResult {
    let mut counts = Counts::default();
    records.iter().for_each(|record| counts.take(record.outcome, !record.flags.is_empty()));
    let base = base(case, role);
    let base = base.as_ref().and_then(|(to, case, role)| Some((*to, all.get(&(case, *role))?.as_slice())));
    CaseResult {
        case: case.clone(),
        role,
        counts,
        metrics: metrics(records, base),
        attack_ops: summary(good(records).filter_map(|r| r.attack_ops).map(|ops| ops as f64).collect()),
    }
}

fn good<'a>(records: &'a [&'a TrialRecord]) -> impl Iterator<Item = &'a TrialRecord> {
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

/// The metrics of `records`. A case without a good trial borrows the list from its base, so that a victim that never
/// answered still has its line.
fn metrics(records: &[&TrialRecord], base: Option<(Base, &[&TrialRecord])>) -> Vec<MetricResult> {
    let mut found: Vec<MetricResult> = Vec::new();
    let donors = base.iter().flat_map(|(_, records)| good(records));
    for metric in good(records).chain(donors).flat_map(|r| &r.metrics) {
        if found.iter().any(|f| f.name == metric.name) {
            continue;
        }
        let values = good(records).filter_map(|r| r.metric(&metric.name)).collect();
        let slowdown = base.and_then(|(to, base)| {
            let pairs = pairs(base, records, &metric.name);
            response(&pairs, metric.direction).ok().map(|response| Against { to, response })
        });
        found.push(MetricResult {
            name: metric.name.clone(),
            unit: metric.unit,
            direction: metric.direction,
            summary: summary(values),
            slowdown,
        });
    }
    found
}

fn summary(values: Vec<f64>) -> Option<Summary> {
    Sample::new(values).ok().map(|sample| summarize(&sample))
}

/// Pairs of the same block or repetition. A loaded victim that began and never came to its result did not answer;
/// a trial that failed for another reason says nothing about the victim and is left out.
fn pairs(base: &[&TrialRecord], loaded: &[&TrialRecord], metric: &str) -> Vec<(f64, Option<f64>)> {
    let alone = if metric == PER_VICTIM { "throughput" } else { metric };
    let value = |trial: u32| good(base).find(|r| r.trial == trial)?.metric(alone);
    let pair = |record: &&TrialRecord| match record.outcome {
        Outcome::Ok => Some((value(record.trial)?, Some(record.metric(metric)?))),
        Outcome::Failed if unanswered(record) => Some((value(record.trial)?, None)),
        _ => None,
    };
    loaded.iter().filter_map(pair).collect()
}

fn unanswered(record: &TrialRecord) -> bool {
    let answers = matches!(record.case.experiment, Experiment::Scalability | Experiment::Isolation);
    let has = |event| record.events.contains_key(&event);
    answers && (has(Event::Main) || has(Event::Ready)) && !has(Event::Result)
}

impl CaseResult {
    /// The metric of that name.
    pub fn metric(&self, name: &str) -> Option<&MetricResult> {
        self.metrics.iter().find(|m| m.name == name)
    }

    /// The numbers of the metric of that name.
    pub fn summary(&self, name: &str) -> Option<&Summary> {
        self.metric(name)?.summary.as_ref()
    }

    /// How much worse the metric of that name is than what it is compared with.
    pub fn response(&self, name: &str) -> Option<&Response> {
        Some(&self.metric(name)?.slowdown.as_ref()?.response)
    }
}
