//! A comparison for programs: all of it, and derived numbers that scripts need.

use std::collections::BTreeMap;

use serde::Serialize;

use super::words::verdicts;
use crate::compare::rule::{Comparison, Line, Side};
use crate::model::units::Nanos;
use crate::stats::Estimate;

/// The schema of the output; see `docs/comparing.md`.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct File<'a> {
    schema: u32,
    version: &'static str,
    regressed: bool,
    verdicts: BTreeMap<&'static str, usize>,
    a: &'a Side,
    b: &'a Side,
    notes: &'a [String],
    not_comparable: &'a [String],
    lines: Vec<ComparisonJson<'a>>,
    took: Option<Nanos>,
}

/// A line with its change and smallest detectable effect in per cent.
#[derive(Serialize)]
struct ComparisonJson<'a> {
    #[serde(flatten)]
    line: &'a Line,
    change: Option<Change>,
    detectable_percent: Option<f64>,
}

#[derive(Serialize)]
struct Change {
    percent: f64,
    low: Option<f64>,
    high: Option<f64>,
    level: Option<f64>,
}

pub(super) fn json(comparison: &Comparison) -> String {
    let file = File {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        regressed: comparison.has_regressed(),
        verdicts: verdicts(comparison).into_iter().map(|(verdict, n)| (verdict.name(), n)).collect(),
        a: &comparison.a,
        b: &comparison.b,
        notes: &comparison.notes,
        not_comparable: &comparison.not_comparable,
        lines: comparison.lines.iter().map(line_json).collect(),
        took: comparison.took,
    };
    // Serialization fails only for maps with other keys than strings.
    serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
}

fn line_json(line: &Line) -> ComparisonJson<'_> {
    ComparisonJson {
        line,
        change: line.decision.shift.as_ref().map(change),
        detectable_percent: line.decision.detectable.map(|effect| 100.0 * effect),
    }
}

fn change(shift: &Estimate) -> Change {
    let percent = |log: f64| 100.0 * log.exp_m1();
    let interval = shift.interval;
    Change {
        percent: percent(shift.value),
        low: interval.map(|i| percent(i.low)),
        high: interval.map(|i| percent(i.high)),
        level: interval.map(|i| i.level),
    }
}
