//! Two stored runs held against each other.
//!
//! A weaker question than `cargo xtask ab` asks: the runs were measured at different times, so that whatever drifted in
//! between looks like a difference (how often: docs/regressions.md). So a
//! difference counts only where it exceeds what two runs of the same thing differ by, and what the host itself did.
//! Pure but for reading earlier sessions and saved baselines. Invariant: exchanging the runs mirrors every verdict.

pub mod baseline;
mod comparable;
mod conditions;
mod confirm;
mod line;
mod matching;
mod metrics;
mod past;

#[cfg(test)]
mod tests;

pub use comparable::{asks_otherwise, other_host};
pub use confirm::{confirmed, flagged_alone};
pub use line::FEWEST;
pub use matching::Key;
pub use metrics::metric_names;
pub use past::Past;

use std::collections::BTreeMap;

use crate::compare::live::MetricSelection;
use crate::compare::rule::{Comparison, Decision, Line, Rule, Side, Verdict};
use crate::store::RunValues;
use comparable::{facts, notes, obstacles};
use conditions::RunConditions;
use matching::{CaseSamples, Pairing, keyed};

/// What is asked of two runs.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// When a difference is one; of the rule, what is about blocks does not apply.
    pub rule: Rule,
    /// Which metrics.
    pub metrics: MetricSelection,
    /// What sessions of the same thing differed by on this host.
    pub past: &'a Past,
}

/// A comparison, and the case of each of its lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The comparison.
    pub comparison: Comparison,
    /// The case of each line.
    pub keys: Vec<Key>,
}

/// Compares the run `b` with the run `a`, which are called so.
pub fn compare(a: (&str, &RunValues), b: (&str, &RunValues), question: &Question<'_>) -> Compared {
    let side = |name: &str, run: &RunValues| Side { name: name.to_owned(), facts: facts(&run.file) };
    let mut comparison = Comparison {
        a: side(a.0, a.1),
        b: side(b.0, b.1),
        notes: Vec::new(),
        not_comparable: Vec::new(),
        lines: Vec::new(),
        took: None,
    };
    let (a, b) = (a.1, b.1);
    let pairing = match Pairing::of(a, b) {
        Ok(pairing) => pairing,
        Err(why) => {
            comparison.not_comparable = asks_otherwise(&a.file.configuration, &b.file.configuration);
            comparison.not_comparable.push(why);
            return Compared { comparison, keys: Vec::new() };
        }
    };
    let sides = (keyed(a, pairing), keyed(b, pairing));
    comparison.not_comparable = obstacles((a, &sides.0), (b, &sides.1));
    if !comparison.not_comparable.is_empty() {
        return Compared { comparison, keys: Vec::new() };
    }
    comparison.notes = notes((a, &sides.0), (b, &sides.1), pairing);
    let (keys, lines) = lines((a, &sides.0), (b, &sides.1), question).into_iter().unzip();
    comparison.lines = lines;
    Compared { comparison, keys }
}

type Cases<'a> = BTreeMap<Key, CaseSamples<'a>>;

/// A line a metric of every case that both runs have, in the order of the cases.
fn lines(a: (&RunValues, &Cases<'_>), b: (&RunValues, &Cases<'_>), question: &Question<'_>) -> Vec<(Key, Line)> {
    let mut all = Vec::new();
    for (key, mine) in a.1 {
        let Some(other) = b.1.get(key) else { continue };
        let conditions = RunConditions::of((a.0, mine), (b.0, other));
        let own = [mine, other].map(CaseSamples::key);
        for metric in metrics::chosen(&question.metrics, key, mine, other) {
            let band = question.past.band([&own[0], &own[1]], &metric);
            all.push((key.clone(), line::line(key, &metric, (mine, other), &conditions, band, &question.rule)));
        }
        if metrics_are_missing(&all, key) {
            all.push((key.clone(), no_successful_trials(key, mine, other)));
        }
    }
    all
}

fn metrics_are_missing(lines: &[(Key, Line)], key: &Key) -> bool {
    lines.last().is_none_or(|(last, _)| last != key)
}

/// The line of a case of which neither run has a number.
fn no_successful_trials(key: &Key, a: &CaseSamples<'_>, b: &CaseSamples<'_>) -> Line {
    let reason = match (a.trouble("A"), b.trouble("B")) {
        (Some(a), Some(b)) => format!("{a}; {b}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "neither run has a metric that is asked for".to_owned(),
    };
    Line {
        case: key.to_string(),
        metric: "—".to_owned(),
        unit: crate::model::units::Unit::Count,
        direction: crate::model::units::Direction::Neutral,
        a: None,
        b: None,
        decision: Decision::without_numbers(Verdict::Skipped, reason),
    }
}
