//! The metrics of a case that are compared.

use std::collections::BTreeSet;

use super::matching::{CaseSamples, Key, Metric, Pairing, SLOWDOWN, keyed};
use crate::compare::live::MetricSelection;
use crate::model::program::Program;
use crate::store::RunValues;

/// The compared metrics of a case, in the order of the records. A metric that is divided by its reference may be selected
/// with or without the suffix. A case without headlines is compared in all its metrics.
pub(super) fn chosen(selection: &MetricSelection, key: &Key, a: &CaseSamples<'_>, b: &CaseSamples<'_>) -> Vec<Metric> {
    let mut all: Vec<Metric> = Vec::new();
    for metric in a.metrics().chain(b.metrics()) {
        if all.iter().all(|other| other.name != metric.name) {
            all.push(metric);
        }
    }
    let is_selected = |metric: &&Metric| {
        let has = |guest: Program, name| selection.has(key.experiment, guest, name, metric.direction);
        let guest = key.workload.parse::<Program>();
        guest.is_ok_and(|guest| has(guest, &metric.name) || has(guest, metric.name.trim_end_matches(SLOWDOWN)))
    };
    let selected: Vec<Metric> = all.iter().filter(is_selected).cloned().collect();
    if selected.is_empty() && *selection == MetricSelection::Headline { all } else { selected }
}

/// The names by which the metrics of two runs can be selected.
pub fn metric_names(a: &RunValues, b: &RunValues) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for samples in [a, b].into_iter().flat_map(|run| keyed(run, Pairing::Same).into_values()) {
        for Metric { name, .. } in samples.metrics() {
            names.insert(name.trim_end_matches(SLOWDOWN).to_owned());
            names.insert(name);
        }
    }
    names
}
