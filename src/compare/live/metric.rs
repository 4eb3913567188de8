//! The metrics of a case that are judged.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::metric::{self, MetricInfo};
use crate::model::program::Program;
use crate::model::record::{Experiment, Metric};
use crate::model::units::{Direction, Unit};

/// The value of `--metric`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MetricSelection {
    /// The headlines of the experiment.
    #[default]
    Headline,
    /// Every metric that can improve.
    All,
    /// The metrics of these names.
    Named(Vec<String>),
}

/// `all` or `headline` together with other metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot be combined with other metrics; expected all, headline, or names of metrics")]
pub struct MixedMetrics(&'static str);

/// Names that no stored metric has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("--metric {}: unknown metric; expected one of {}", .unknown.join(","), .known.join(", "))]
pub struct UnknownMetrics {
    unknown: Vec<String>,
    known: Vec<String>,
}

impl FromStr for MetricSelection {
    type Err = MixedMetrics;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let is_named = |word: &&str| names.iter().any(|name| name == word);
        match text {
            "" | "headline" => Ok(MetricSelection::Headline),
            "all" => Ok(MetricSelection::All),
            _ => match ["all", "headline"].into_iter().find(is_named) {
                Some(word) => Err(MixedMetrics(word)),
                None => Ok(MetricSelection::Named(names)),
            },
        }
    }
}

impl TryFrom<String> for MetricSelection {
    type Error = MixedMetrics;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl MetricSelection {
    /// Whether the selection contains a metric of a case of that experiment and guest.
    pub(crate) fn has(&self, experiment: Experiment, workload: Program, name: &str, direction: Direction) -> bool {
        match self {
            MetricSelection::Headline => metric::headline(experiment, workload).iter().any(|known| known.name == name),
            MetricSelection::All => direction != Direction::Neutral,
            MetricSelection::Named(names) => names.iter().any(|named| named == name),
        }
    }

    /// Rejects names that are not among the `known` ones, if there are any.
    ///
    /// # Errors
    /// The unknown names and the known ones.
    pub fn check(&self, known: &BTreeSet<String>) -> Result<(), UnknownMetrics> {
        let MetricSelection::Named(names) = self else { return Ok(()) };
        let unknown: Vec<String> = names.iter().filter(|name| !known.contains(*name)).cloned().collect();
        match unknown.is_empty() || known.is_empty() {
            true => Ok(()),
            false => Err(UnknownMetrics { unknown, known: known.iter().cloned().collect() }),
        }
    }
}

impl fmt::Display for MetricSelection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MetricSelection::Headline => f.pad("headline"),
            MetricSelection::All => f.pad("all"),
            MetricSelection::Named(names) => f.pad(&names.join(",")),
        }
    }
}

impl From<MetricSelection> for String {
    fn from(selection: MetricSelection) -> Self {
        selection.to_string()
    }
}

/// A metric of a case that is judged, or why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedMetric {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// The direction of an improvement.
    pub direction: Direction,
    /// Why it cannot be judged, such as an arm without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The judged metrics of a case, by one good trial of each arm.
pub(super) fn judged(
    selection: &MetricSelection,
    experiment: Experiment,
    workload: Program,
    a: &[Metric],
    b: &[Metric],
) -> Vec<JudgedMetric> {
    let has = |metrics: &[Metric], name: &str| metrics.iter().any(|metric| metric.name == name);
    let is_selected = |metric: &&Metric| selection.has(experiment, workload, &metric.name, metric.direction);
    let judged = |metric: &Metric| {
        let refused = match (has(a, &metric.name), has(b, &metric.name)) {
            _ if metric.direction == Direction::Neutral => Some("neither direction is better".to_owned()),
            (true, true) => None,
            (true, false) => Some("b does not have it".to_owned()),
            _ => Some("a does not have it".to_owned()),
        };
        JudgedMetric { name: metric.name.clone(), unit: metric.unit, direction: metric.direction, refused }
    };
    let only_b = b.iter().filter(|metric| !has(a, &metric.name));
    a.iter().chain(only_b).filter(is_selected).map(judged).collect()
}

/// The metrics of a case that an arm cannot run.
pub(super) fn refused(selection: &MetricSelection, experiment: Experiment, workload: Program) -> Vec<JudgedMetric> {
    let headline = metric::headline(experiment, workload);
    match selection {
        MetricSelection::Headline | MetricSelection::All => headline.iter().map(|metric| unmeasured(metric)).collect(),
        MetricSelection::Named(names) => names.iter().map(|name| named(name, headline)).collect(),
    }
}

fn named(name: &str, headline: &[&MetricInfo]) -> JudgedMetric {
    // The unit of another metric is unknown and not printed, since the metric has no values.
    let unknown =
        || JudgedMetric { name: name.to_owned(), unit: Unit::Count, direction: Direction::Neutral, refused: None };
    headline.iter().find(|metric| metric.name == name).map_or_else(unknown, |metric| unmeasured(metric))
}

fn unmeasured(metric: &MetricInfo) -> JudgedMetric {
    JudgedMetric { name: metric.name.to_owned(), unit: metric.unit, direction: metric.direction, refused: None }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn metric(name: &str, direction: Direction) -> Metric {
        Metric { name: name.to_owned(), unit: Unit::Nanos, direction, value: 1.0, samples: Vec::new() }
    }

    #[rstest]
    #[case("", &["boot"])]
    #[case("headline", &["boot"])]
    #[case("all", &["boot", "removal", "create: b does not have it", "kernel: a does not have it"])]
    #[case("removal,host_cpu_available", &["removal", "host_cpu_available: neither direction is better"])]
    #[case("nothing", &[])]
    fn the_selected_metrics_are_judged(#[case] selected: &str, #[case] expected: &[&str]) {
        let common = ["boot", "removal"].map(|name| metric(name, Direction::Lower));
        let neutral = metric("host_cpu_available", Direction::Neutral);
        let a = [&common[..], &[metric("create", Direction::Lower), neutral.clone()]].concat();
        let b = [&common[..], &[metric("kernel", Direction::Lower), neutral]].concat();
        let judged = judged(&selected.parse().unwrap(), Experiment::Boot, Program::Hello, &a, &b);
        let words = |m: &JudgedMetric| m.refused.iter().fold(m.name.clone(), |name, why| format!("{name}: {why}"));
        assert_eq!(judged.iter().map(words).collect::<Vec<_>>(), expected);
    }

    #[rstest]
    #[case(Experiment::Boot, Program::Nginx, &["boot", "ready"])]
    #[case(Experiment::Footprint, Program::Sleep, &["pss_per_instance", "charge_per_instance", "image_size", "minimum_memory"])]
    #[case(Experiment::Isolation, Program::Sqlite, &["insert_time"])]
    #[case(Experiment::Scalability, Program::Redis, &["throughput", "latency_p99_set", "latency_p99_get"])]
    fn a_case_that_nobody_can_run_has_its_headline(
        #[case] experiment: Experiment,
        #[case] workload: Program,
        #[case] expected: &[&str],
    ) {
        let names = |selection: &MetricSelection| {
            refused(selection, experiment, workload).into_iter().map(|m| m.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&MetricSelection::All), expected);
        assert_eq!(names(&MetricSelection::Named(vec!["x".to_owned()])), ["x"]);
    }

    #[rstest]
    #[case("boot,all", "`all` cannot be combined with other metrics; expected all, headline, or names of metrics")]
    #[case(
        "headline,boot",
        "`headline` cannot be combined with other metrics; expected all, headline, or names of metrics"
    )]
    fn everything_and_something_is_refused(#[case] text: &str, #[case] why: &str) {
        assert_eq!(text.parse::<MetricSelection>().unwrap_err().to_string(), why);
    }

    #[test]
    fn a_metric_that_is_not_there_is_refused_with_those_that_are() {
        let known = BTreeSet::from(["boot".to_owned(), "removal".to_owned()]);
        let check = |text: &str| text.parse::<MetricSelection>().unwrap().check(&known).map_err(|e| e.to_string());
        let expected = "--metric remvoal: unknown metric; expected one of boot, removal";
        assert_eq!(check("boot,remvoal"), Err(expected.to_owned()));
        assert_eq!([check("removal"), check("all"), check("")], [Ok(()), Ok(()), Ok(())]);
    }

    #[test]
    fn a_selection_reads_back() {
        for text in ["headline", "all", "boot,removal"] {
            let selection: MetricSelection = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&selection).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<MetricSelection>(&format!("\"{text}\"")).unwrap(), selection);
        }
    }
}
