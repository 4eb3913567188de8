//! The JSON of `hyperfine --export-json`, for hyperfine's scripts and other readers. Times are in seconds.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{CaseSeries, Exported, Selection, Series};

/// Nanoseconds in a second.
const SECOND: f64 = 1e9;

#[derive(Debug, Serialize)]
struct File {
    results: Vec<Benchmark>,
}

/// One command, with hyperfine's field names except those that were not measured: `user`, `system`, `exit_codes`.
#[derive(Debug, Serialize)]
struct Benchmark {
    command: String,
    mean: f64,
    stddev: Option<f64>,
    median: f64,
    min: f64,
    max: f64,
    times: Vec<f64>,
    parameters: BTreeMap<&'static str, String>,
}

/// A command per metric of a case, such as `boot/youki/hello/0 boot`, with the times of all successful trials. The only
/// parameter is the number of background instances, since hyperfine's plot over a parameter accepts only one.
pub fn hyperfine(selection: &Selection<'_>) -> Exported {
    let (kept, left_out) = selection.sift(|_, metric| metric.context_refusal().or_else(|| metric.unit_refusal()));
    let results: Vec<Benchmark> = kept.into_iter().map(|(case, metric)| benchmark(case, metric)).collect();
    let metrics = results.len();
    Exported { content: super::json(&File { results }), left_out, metrics }
}

fn benchmark(case: &CaseSeries<'_>, metric: &Series<'_>) -> Benchmark {
    let summary = &metric.summary;
    Benchmark {
        command: format!("{} {}", case.name, metric.name),
        mean: summary.mean / SECOND,
        stddev: summary.sd.map(|sd| sd / SECOND),
        median: summary.median / SECOND,
        min: summary.min / SECOND,
        max: summary.max / SECOND,
        times: metric.values.iter().map(|ns| ns / SECOND).collect(),
        parameters: BTreeMap::from([("background", case.case.background.to_string())]),
    }
}
