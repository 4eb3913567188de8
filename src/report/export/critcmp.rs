//! The folder tree of criterion, for critcmp: `criterion/<case>/<metric>/<baseline>/` with `benchmark.json` and
//! `estimates.json`.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::json;

use super::bootstrap::{LEVEL, Spread, bootstrap};
use super::{CaseSeries, Exported, LeftOut, Selection, Series};
use crate::stats::{Sample, mad, median};

/// The longest folder name in bytes; Linux allows 255.
const LONGEST: usize = 200;

/// The characters that criterion replaces in folder names.
const UNSAFE: &[char] = &['?', '"', '/', '\\', '*', '<', '>', ':', '|', '^'];

/// One estimate, with criterion's field names.
#[derive(Debug, Serialize)]
struct Estimate {
    confidence_interval: ConfidenceInterval,
    point_estimate: f64,
    standard_error: f64,
}

#[derive(Debug, Serialize)]
struct ConfidenceInterval {
    confidence_level: f64,
    lower_bound: f64,
    upper_bound: f64,
}

/// The files of the tree with their paths: a benchmark per metric of a case that is a time. Intervals are bootstrapped, as
/// in criterion.
pub fn critcmp(selection: &Selection<'_>, baseline: &str) -> Exported<Vec<(String, String)>> {
    let (kept, mut left_out) = selection.sift(|_, metric| {
        let single =
            metric.summary.sd.is_none().then(|| "a single trial has no spread, which the format requires".into());
        metric.context_refusal().or_else(|| metric.unit_refusal()).or(single)
    });
    let (mut taken, mut content) = (BTreeSet::new(), Vec::new());
    for (case, metric) in kept {
        let Some(estimates) = estimates(metric) else {
            let why = "its spread is not a number".into();
            left_out.push(LeftOut { what: format!("{} {}", case.name, metric.name), why });
            continue;
        };
        let folder = unused_folder(&mut taken, format!("{}/{}", safe(&case.name), safe(metric.name)));
        let file = |name: &str| format!("criterion/{folder}/{baseline}/{name}.json");
        content.push((file("benchmark"), benchmark(case, metric, &folder)));
        content.push((file("estimates"), super::json(&estimates)));
    }
    // Every metric has two files.
    Exported { metrics: content.len() / 2, content, left_out }
}

fn benchmark(case: &CaseSeries<'_>, metric: &Series<'_>, folder: &str) -> String {
    let full = format!("{}/{}", case.name, metric.name);
    super::json(&json!({
        "group_id": case.name,
        "function_id": metric.name,
        "value_str": null,
        "throughput": null,
        "full_id": full,
        "directory_name": folder,
        "title": full,
    }))
}

/// The content of `estimates.json`. `slope` belongs to criterion's rising numbers of iterations, which trials do not have.
fn estimates(metric: &Series<'_>) -> Option<serde_json::Value> {
    let sample = Sample::new(metric.values.clone()).ok()?;
    let statistics: [fn(&Sample) -> Option<f64>; 4] =
        [|s| Some(s.mean()), |s| Some(median(s)), |s| Some(mad(s)), Sample::sd];
    let points = statistics.map(|statistic| statistic(&sample));
    let spreads = bootstrap(&sample, statistics)?;
    let estimate = |n: usize| Some(estimate(points[n].filter(|p| p.is_finite())?, spreads[n]));
    Some(json!({
        "mean": estimate(0)?,
        "median": estimate(1)?,
        "median_abs_dev": estimate(2)?,
        "slope": null,
        "std_dev": estimate(3)?,
    }))
}

fn estimate(point_estimate: f64, Spread { error, low, high }: Spread) -> Estimate {
    let confidence_interval = ConfidenceInterval { confidence_level: LEVEL, lower_bound: low, upper_bound: high };
    Estimate { confidence_interval, point_estimate, standard_error: error }
}

fn safe(name: &str) -> String {
    let name = name.replace(UNSAFE, "_");
    name[..name.floor_char_boundary(LONGEST)].to_owned()
}

/// `folder`, with a number at the end if another case has the same folder.
fn unused_folder(taken: &mut BTreeSet<String>, folder: String) -> String {
    let numbered = (2..).map(|n| format!("{folder}_{n}"));
    let unused = std::iter::once(folder.clone()).chain(numbered).find(|f| !taken.contains(f)).unwrap_or(folder);
    taken.insert(unused.clone());
    unused
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_with_the_same_folder_get_different_ones() {
        let mut taken = BTreeSet::new();
        let folders = ["a:b", "a/b", "a|b"].map(|name| unused_folder(&mut taken, safe(name)));
        assert_eq!(folders, ["a_b", "a_b_2", "a_b_3"]);
        assert_eq!(safe(&"é".repeat(150)).len(), LONGEST);
    }
}
