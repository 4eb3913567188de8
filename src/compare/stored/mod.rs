//! Compares two stored runs.
//!
//! This is weaker than `cargo xtask ab`: the runs were measured at different times, so drift looks like a difference
//! (docs/regressions.md says how often). A difference counts only if it exceeds what two runs of the same thing differ by,
//! and what the host itself changed by.
//! Pure, except for reading earlier runs and saved baselines. Invariant: swapping the runs mirrors every verdict.

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

pub use comparable::{other_host, trial_differences};
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

/// How to compare two runs.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// The rule for a difference. Its parameters for blocks do not apply.
    pub rule: Rule,
    /// The metrics to compare.
    pub metrics: MetricSelection,
    /// How much earlier runs of the same thing differed on this host.
    pub past: &'a Past,
}

/// A comparison with the case of each of its lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// The comparison.
    pub comparison: Comparison,
    /// The case of each line.
    pub keys: Vec<Key>,
}

/// Compares the run `b` with the run `a`, each with its name.
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
    let pairing = match Pairing::new(a, b) {
        Ok(pairing) => pairing,
        Err(why) => {
            comparison.not_comparable = trial_differences(&a.file.configuration, &b.file.configuration);
            comparison.not_comparable.push(why.to_string());
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

/// A line for each metric of each case that both runs have, in the order of the cases.
fn lines(a: (&RunValues, &Cases<'_>), b: (&RunValues, &Cases<'_>), question: &Question<'_>) -> Vec<(Key, Line)> {
    let mut all = Vec::new();
    for (key, mine) in a.1 {
        let Some(other) = b.1.get(key) else { continue };
        let conditions = RunConditions::new((a.0, mine), (b.0, other));
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

/// The line of a case without values in both runs.
fn no_successful_trials(key: &Key, a: &CaseSamples<'_>, b: &CaseSamples<'_>) -> Line {
    let reason = match (a.failure("A"), b.failure("B")) {
        (Some(a), Some(b)) => format!("{a}; {b}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "neither run has a selected metric".to_owned(),
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
