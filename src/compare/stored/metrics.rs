//! Which metrics of a case are compared.

use std::collections::BTreeSet;

use super::matching::{CaseSamples, Key, Metric, Pairing, SLOWDOWN, keyed};
use crate::compare::live::MetricSelection;
use crate::model::program::Program;
use crate::store::RunValues;

/// The metrics of a case that are compared, in the order of the records. One that is divided by its reference may be asked
/// for by either name. A case that has nothing of what its experiment is about is compared in all it has.
pub(super) fn chosen(wanted: &MetricSelection, key: &Key, a: &CaseSamples<'_>, b: &CaseSamples<'_>) -> Vec<Metric> {
    let mut all: Vec<Metric> = Vec::new();
    for metric in a.metrics().chain(b.metrics()) {
        if all.iter().all(|other| other.name != metric.name) {
            all.push(metric);
        }
    }
    let is_wanted = |metric: &&Metric| {
        let has = |guest: Program, name| wanted.has(key.experiment, guest, name, metric.direction);
        let guest = key.workload.parse::<Program>();
        guest.is_ok_and(|guest| has(guest, &metric.name) || has(guest, metric.name.trim_end_matches(SLOWDOWN)))
    };
    let found: Vec<Metric> = all.iter().filter(is_wanted).cloned().collect();
    if found.is_empty() && *wanted == MetricSelection::Headline { all } else { found }
}

/// The names by which the metrics of two runs can be asked for.
pub fn metric_names(a: &RunValues, b: &RunValues) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for found in [a, b].into_iter().flat_map(|run| keyed(run, Pairing::Same).into_values()) {
        for Metric { name, .. } in found.metrics() {
            names.insert(name.trim_end_matches(SLOWDOWN).to_owned());
            names.insert(name);
        }
    }
    names
}
