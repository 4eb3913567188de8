//! Bencher Metric Format, for `bencher run --adapter json`: an object of benchmarks, each an object of measures.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Exported, Selection};

/// The longest names of a benchmark and of a measure in characters, from Bencher's reference of the format.
const LONGEST: (usize, usize) = (1024, 64);

/// One value with its interval.
#[derive(Debug, Serialize)]
struct Metric {
    value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    lower_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upper_value: Option<f64>,
}

/// A benchmark per case and a measure per metric: the median with its interval, in the unit of the measure's name.
pub fn bencher(selection: &Selection<'_>) -> Exported {
    let (kept, left_out) = selection.sift(|case, metric| {
        let is_long = case.name.chars().count() > LONGEST.0 || metric.name_with_unit().chars().count() > LONGEST.1;
        let too_long =
            is_long.then(|| format!("its name is longer than the format's {} and {} characters", LONGEST.0, LONGEST.1));
        metric.context_refusal().or(too_long)
    });
    let metrics = kept.len();
    let mut benchmarks = BTreeMap::<&str, BTreeMap<String, Metric>>::new();
    for (case, metric) in kept {
        let interval = metric.summary.interval.as_ref();
        let value = Metric {
            value: metric.summary.median,
            lower_value: interval.map(|i| i.low),
            upper_value: interval.map(|i| i.high),
        };
        benchmarks.entry(&case.name).or_default().insert(metric.name_with_unit(), value);
    }
    Exported { content: super::json(&benchmarks), left_out, metrics }
}
