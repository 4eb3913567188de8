//! The input of github-action-benchmark's `customSmallerIsBetter` and `customBiggerIsBetter`: one array per direction.

use serde::Serialize;

use super::{CaseSeries, Exported, Selection, Series};
use crate::model::units::{Direction, Scale, Unit};

/// The action's tool that reads the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// `customSmallerIsBetter`: times, memory.
    Smaller,
    /// `customBiggerIsBetter`: throughput, fairness.
    Bigger,
}

/// One benchmark, with the action's field names.
#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    unit: &'static str,
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    extra: String,
}

/// The metrics that improve in that direction: the median, and as the range the larger distance to its interval's bounds.
pub fn github(selection: &Selection<'_>, better: Better) -> Exported {
    let direction = match better {
        Better::Smaller => Direction::Lower,
        Better::Bigger => Direction::Higher,
    };
    let (kept, left_out) = selection.sift(|_, metric| metric.context_refusal());
    let kept = kept.into_iter().filter(|(_, metric)| metric.direction == direction);
    let entries: Vec<Entry> = kept.map(|(case, metric)| entry(case, metric)).collect();
    Exported { content: super::json(&entries), left_out, metrics: entries.len() }
}

fn entry(case: &CaseSeries<'_>, metric: &Series<'_>) -> Entry {
    let median = metric.summary.median;
    let reach = metric.summary.interval.as_ref().map(|i| (median - i.low).max(i.high - median));
    Entry {
        name: format!("{} {}", case.name, metric.name),
        unit: unit(metric.unit),
        value: median,
        // The action parses a number after this sign, and shows any other text unchanged.
        range: reach.map(|reach| format!("± {reach}")),
        extra: extra(case, metric),
    }
}

/// The action's hover text for a point.
fn extra(case: &CaseSeries<'_>, metric: &Series<'_>) -> String {
    let scale = Scale::of(metric.unit, metric.summary.median);
    let interval = match &metric.summary.interval {
        Some(i) => format!(", {:.0} % interval {} to {}", i.level * 100.0, scale.text(i.low), scale.text(i.high)),
        None => String::new(),
    };
    let failed = case.outcomes.get("failed").map(|n| format!(", {n} failed")).unwrap_or_default();
    format!("median of {}{interval}{failed}\nrun {}", metric.summary.count, case.run.run)
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanos => "ns",
        Unit::Bytes => "bytes",
        Unit::PerSecond => "ops/sec",
        Unit::Count => "count",
        Unit::Ratio => "ratio",
    }
}
