//! OpenMetrics text: a gauge per metric, in base units, and an info per run.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{CaseSeries, Exported, Selection, Series};
use crate::model::units::Unit;
use crate::store::RunFile;

/// The prefix of every name.
const PREFIX: &str = "featherweight";

/// One metric family with its metadata and samples.
#[derive(Debug)]
struct Family {
    kind: &'static str,
    unit: &'static str,
    help: String,
    samples: Vec<String>,
}

/// All cases as gauges of their medians and of their intervals' bounds, distinguished by the label `statistic`.
pub fn openmetrics(selection: &Selection<'_>) -> Exported {
    let (kept, left_out) = selection.sift(|_, metric| {
        (!is_name(metric.name)).then(|| "its name has other characters than letters, digits and underscores".into())
    });
    let metrics = kept.len();
    let mut families = BTreeMap::from([runs(&selection.runs()), trials(&selection.cases)]);
    for (case, metric) in kept {
        let (suffix, factor) = base(metric.unit);
        let name = [PREFIX, metric.name, suffix].join("_").trim_end_matches('_').to_owned();
        let family = families.entry(name.clone()).or_insert_with(|| Family {
            kind: "gauge",
            unit: suffix,
            help: format!(
                "`{}` of a case: median over its successful trials, and the bounds of its interval.",
                metric.name
            ),
            samples: Vec::new(),
        });
        family.samples.extend(samples(&name, case, metric, factor));
    }
    let text: String = families.iter().map(|(name, family)| family_text(name, family)).collect();
    Exported { content: text + "# EOF\n", left_out, metrics }
}

/// The base unit in names, and the factor from our unit to it. A count has none.
fn base(unit: Unit) -> (&'static str, f64) {
    match unit {
        Unit::Nanos => ("seconds", 1e-9),
        Unit::Bytes => ("bytes", 1.0),
        Unit::PerSecond => ("per_second", 1.0),
        Unit::Ratio => ("ratio", 1.0),
        Unit::Count => ("", 1.0),
    }
}

fn samples(name: &str, case: &CaseSeries<'_>, metric: &Series<'_>, factor: f64) -> Vec<String> {
    let interval = metric.summary.interval.as_ref();
    let values = [("median", Some(metric.summary.median)), ("lower", interval.map(|i| i.low))];
    let values = values.into_iter().chain([("upper", interval.map(|i| i.high))]);
    let sample = |(statistic, value): (&'static str, Option<f64>)| {
        let labels = case_labels(case, ("statistic", statistic));
        Some(format!("{name}{labels} {}", value? * factor))
    };
    values.filter_map(sample).collect()
}

/// The number of trials of each case by outcome.
fn trials(cases: &[CaseSeries<'_>]) -> (String, Family) {
    let name = format!("{PREFIX}_case_trials");
    let samples_of = |case: &CaseSeries<'_>| -> Vec<String> {
        let sample =
            |(outcome, n): (&&'static str, &usize)| format!("{name}{} {n}", case_labels(case, ("outcome", outcome)));
        case.outcomes.iter().map(sample).collect()
    };
    let samples = cases.iter().flat_map(samples_of).collect();
    (name.clone(), Family { kind: "gauge", unit: "", help: "Trials of a case by outcome.".into(), samples })
}

/// The runs of the cases.
fn runs(runs: &[&RunFile]) -> (String, Family) {
    let name = format!("{PREFIX}_run");
    let sample = |run: &&RunFile| {
        let invalid = run.noise.as_ref().is_some_and(|noise| !noise.invalid.is_empty());
        let labels = [
            ("run", run.run.as_str()),
            ("experiment", run.experiment().name()),
            ("version", &run.version),
            ("started", &run.started),
            ("outcome", run.outcome.name()),
            ("invalid", if invalid { "true" } else { "false" }),
        ];
        format!("{name}_info{} 1", labels_text(&labels))
    };
    let samples = runs.iter().map(sample).collect();
    (name.clone(), Family { kind: "info", unit: "", help: "A run of exported cases.".into(), samples })
}

fn case_labels(case: &CaseSeries<'_>, own: (&str, &str)) -> String {
    let (background, victims) = (case.case.background.to_string(), case.case.victims.to_string());
    labels_text(&[
        ("case", &case.name),
        ("experiment", case.case.experiment.name()),
        ("platform", case.case.platform.as_str()),
        ("accelerator", case.case.accelerator.name()),
        ("workload", case.case.workload.name()),
        ("attacker", case.case.attacker.map_or("", |attacker| attacker.name())),
        ("placement", case.case.placement.name()),
        ("background", &background),
        ("victims", &victims),
        ("role", case.role.name()),
        ("simulated", if case.simulated { "true" } else { "false" }),
        own,
    ])
}

/// Labels in braces. Those with an empty value are left out: by the specification, they mean the same as no label.
fn labels_text(labels: &[(&str, &str)]) -> String {
    let labels = labels.iter().filter(|(_, value)| !value.is_empty());
    let labels: Vec<String> = labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", labels.join(","))
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn family_text(name: &str, family: &Family) -> String {
    if family.samples.is_empty() {
        return String::new();
    }
    let mut text = format!("# TYPE {name} {}\n", family.kind);
    if !family.unit.is_empty() {
        let _ = writeln!(text, "# UNIT {name} {}", family.unit);
    }
    let _ = writeln!(text, "# HELP {name} {}", escaped(&family.help));
    for sample in &family.samples {
        let _ = writeln!(text, "{sample}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_escaped_and_an_empty_one_left_out() {
        assert_eq!(labels_text(&[("a", "\\\"\n"), ("b", ""), ("c", "é")]), "{a=\"\\\\\\\"\\n\",c=\"é\"}");
    }
}
