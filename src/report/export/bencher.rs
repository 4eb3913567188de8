//! Bencher Metric Format: an object of benchmarks, each an object of measures, for `bencher run --adapter json`.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Exported, Selection};

/// The longest name of a benchmark, and that of a measure, in characters, by Bencher's reference of the format.
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

/// A benchmark a case, a measure a metric: the median with the interval it has, in the unit that the measure's name tells.
pub fn bencher(selection: &Selection<'_>) -> Exported {
    let (kept, left_out) = selection.sift(|case, metric| {
        let long = case.name.chars().count() > LONGEST.0 || metric.name_with_unit().chars().count() > LONGEST.1;
        let long = long.then(|| format!("a longer name than the format's {} and {} characters", LONGEST.0, LONGEST.1));
        metric.is_context().or(long)
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
