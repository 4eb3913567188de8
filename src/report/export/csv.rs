//! CSV: a row per trial, a column per dimension and per metric, whose name has its unit (RFC 4180).

use std::collections::BTreeMap;

use crate::model::event::Event;
use crate::model::record::TrialRecord;
use crate::model::units::Unit;
use crate::store::StoredRun;

/// The fixed columns, in their order.
const DIMENSIONS: [&str; 23] = [
    "run",
    "order",
    "trial",
    "role",
    "experiment",
    "platform",
    "accelerator",
    "workload",
    "attacker",
    "placement",
    "background",
    "victims",
    "image",
    "started",
    "victim_cpus",
    "attacker_cpus",
    "client_cpus",
    "attack_ops",
    "flags",
    "outcome",
    "reason",
    "simulated",
    "version",
];

/// All trials of `runs`: a header, then a line per trial, ended by CR LF. An empty field is a missing value.
pub fn csv(runs: &[StoredRun]) -> String {
    let metrics = metric_columns(runs);
    let events = event_columns(runs);
    let event_name = |e: &Event| format!("event_{e}_ns");
    let header = DIMENSIONS.iter().map(|d| (*d).to_owned()).chain(metrics.values().cloned());
    let mut out = line(header.chain(events.iter().map(event_name)));
    for run in runs {
        for trial in &run.trials {
            let values = metrics.keys().map(|(name, _)| trial.metric(name).map(|v| v.to_string()).unwrap_or_default());
            let stamps = events.iter().map(|e| trial.events.get(e).map(|at| at.0.to_string()).unwrap_or_default());
            out += &line(dimensions(run, trial).into_iter().chain(values).chain(stamps));
        }
    }
    out
}

/// The metrics of all trials with the names of their columns.
fn metric_columns(runs: &[StoredRun]) -> BTreeMap<(String, &'static str), String> {
    let metrics = runs.iter().flat_map(|r| &r.trials).flat_map(|t| &t.metrics);
    metrics.map(|m| ((m.name.clone(), suffix(m.unit)), with_unit(&m.name, m.unit))).collect()
}

fn event_columns(runs: &[StoredRun]) -> Vec<Event> {
    let seen = |e: &Event| runs.iter().flat_map(|r| &r.trials).any(|t| t.events.contains_key(e));
    Event::ALL.iter().copied().filter(seen).collect()
}

/// The name of a metric's column: `boot_ns`.
pub(super) fn with_unit(name: &str, unit: Unit) -> String {
    format!("{name}_{}", suffix(unit))
}

fn suffix(unit: Unit) -> &'static str {
    match unit {
        Unit::Nanos => "ns",
        Unit::Bytes => "bytes",
        Unit::PerSecond => "per_second",
        Unit::Count => "count",
        Unit::Ratio => "ratio",
    }
}

fn dimensions(run: &StoredRun, trial: &TrialRecord) -> Vec<String> {
    let case = &trial.case;
    let simulated = run.file.platforms.iter().find(|p| p.id == case.platform).map(|p| p.capabilities.simulated);
    let cpus = |cpus: &[u32]| cpus.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    vec![
        trial.run.to_string(),
        trial.order.to_string(),
        trial.trial.to_string(),
        trial.role.to_string(),
        case.experiment.to_string(),
        case.platform.to_string(),
        case.accelerator.to_string(),
        case.workload.to_string(),
        case.attacker.map(|a| a.to_string()).unwrap_or_default(),
        case.placement.to_string(),
        case.background.to_string(),
        case.victims.to_string(),
        case.image.clone(),
        trial.started.clone(),
        cpus(&trial.cpus.victim),
        cpus(&trial.cpus.attackers),
        cpus(&trial.cpus.client),
        trial.attack_ops.map(|n| n.to_string()).unwrap_or_default(),
        trial.flags.join("; "),
        trial.outcome.to_string(),
        trial.reason.clone().unwrap_or_default(),
        simulated.map(|s| s.to_string()).unwrap_or_default(),
        run.file.version.clone(),
    ]
}

fn line(fields: impl Iterator<Item = String>) -> String {
    fields.map(|f| quote(&f)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// A field, quoted if RFC 4180, 2.6 and 2.7, requires it.
fn quote(field: &str) -> String {
    match field.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", field.replace('"', "\"\"")),
        false => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_would_break_a_line_are_quoted() {
        assert_eq!(quote("plain"), "plain");
        assert_eq!(quote("a,b \"c\"\nd"), "\"a,b \"\"c\"\"\nd\"");
    }
}
