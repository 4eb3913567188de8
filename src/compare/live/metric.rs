//! Which metrics of a case are judged.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::program::Program;
use crate::model::record::{Experiment, Metric};
use crate::model::units::{Direction, Unit};

/// The metrics that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum MetricSelection {
    /// What the experiment is about.
    #[default]
    Headline,
    /// Every one that can improve.
    All,
    /// Those of these names.
    Named(Vec<String>),
}

/// A text that asks for everything, or for the headline, and for more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` stands alone; accepted: all, headline, or names of metrics")]
pub struct MixedMetrics(&'static str);

impl FromStr for MetricSelection {
    type Err = MixedMetrics;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
        let stands_alone = |word: &&str| names.iter().any(|name| name == word);
        match text {
            "" | "headline" => Ok(MetricSelection::Headline),
            "all" => Ok(MetricSelection::All),
            _ => match ["all", "headline"].into_iter().find(stands_alone) {
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
    /// Whether a metric is asked for in a case of that experiment and guest.
    pub(crate) fn has(&self, experiment: Experiment, workload: Program, name: &str, direction: Direction) -> bool {
        match self {
            MetricSelection::Headline => headline(experiment, workload).iter().any(|(known, _, _)| *known == name),
            MetricSelection::All => direction != Direction::Neutral,
            MetricSelection::Named(names) => names.iter().any(|wanted| wanted == name),
        }
    }

    /// Refuses names that are not among those that are `there`; where none is, there is nothing to tell.
    ///
    /// # Errors
    /// Names them, and what is accepted.
    pub fn check(&self, there: &BTreeSet<String>) -> Result<(), String> {
        let MetricSelection::Named(names) = self else { return Ok(()) };
        let unknown: Vec<&str> = names.iter().filter(|name| !there.contains(*name)).map(String::as_str).collect();
        match unknown.is_empty() || there.is_empty() {
            true => Ok(()),
            false => {
                let accepted = there.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
                Err(format!("--metric {}: no such metric; accepted: {accepted}", unknown.join(",")))
            }
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
    fn from(wanted: MetricSelection) -> Self {
        wanted.to_string()
    }
}

/// A metric of a case that is judged, or why it cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgedMetric {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// Which way it improves.
    pub direction: Direction,
    /// Why it cannot be judged: one arm does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A headline: its name, its unit and which way it improves.
pub(super) type Headline = (&'static str, Unit, Direction);

const BOOT: Headline = ("boot", Unit::Nanos, Direction::Lower);
const BOOT_WHOLE: Headline = ("boot_whole", Unit::Nanos, Direction::Lower);
const READY: Headline = ("ready", Unit::Nanos, Direction::Lower);
const PSS: Headline = ("pss_per_instance", Unit::Bytes, Direction::Lower);
const CHARGE: Headline = ("charge_per_instance", Unit::Bytes, Direction::Lower);
const MINIMUM: Headline = ("minimum_memory", Unit::Bytes, Direction::Lower);
const IMAGE: Headline = ("image_size", Unit::Bytes, Direction::Lower);
const INSERT: Headline = ("insert_time", Unit::Nanos, Direction::Lower);
const THROUGHPUT: Headline = ("throughput", Unit::PerSecond, Direction::Higher);
const P99: Headline = ("latency_p99", Unit::Nanos, Direction::Lower);
const P99_SET: Headline = ("latency_p99_set", Unit::Nanos, Direction::Lower);
const P99_GET: Headline = ("latency_p99_get", Unit::Nanos, Direction::Lower);

/// What an experiment with that guest is about: few, since every metric more is a chance more of a false alarm.
pub(super) fn headline(experiment: Experiment, workload: Program) -> &'static [Headline] {
    match (experiment, workload) {
        (Experiment::Boot, server) if server.is_server() => &[BOOT, READY],
        (Experiment::Boot, _) => &[BOOT, BOOT_WHOLE],
        (Experiment::Footprint, _) => &[PSS, CHARGE, IMAGE, MINIMUM],
        (_, Program::Nginx) => &[THROUGHPUT, P99],
        (_, Program::Redis) => &[THROUGHPUT, P99_SET, P99_GET],
        _ => &[INSERT],
    }
}

/// The metrics of a case that are judged, by one good trial of each arm.
pub(super) fn judged(
    wanted: &MetricSelection,
    experiment: Experiment,
    workload: Program,
    a: &[Metric],
    b: &[Metric],
) -> Vec<JudgedMetric> {
    let has = |metrics: &[Metric], name: &str| metrics.iter().any(|metric| metric.name == name);
    let is_wanted = |metric: &&Metric| wanted.has(experiment, workload, &metric.name, metric.direction);
    let judged = |metric: &Metric| {
        let refused = match (has(a, &metric.name), has(b, &metric.name)) {
            _ if metric.direction == Direction::Neutral => Some("neither direction of it is better".to_owned()),
            (true, true) => None,
            (true, false) => Some("b does not have it".to_owned()),
            _ => Some("a does not have it".to_owned()),
        };
        JudgedMetric { name: metric.name.clone(), unit: metric.unit, direction: metric.direction, refused }
    };
    let only_b = b.iter().filter(|metric| !has(a, &metric.name));
    a.iter().chain(only_b).filter(is_wanted).map(judged).collect()
}

/// The metrics of a case that neither arm has shown.
pub(super) fn refused(wanted: &MetricSelection, experiment: Experiment, workload: Program) -> Vec<JudgedMetric> {
    let all = headline(experiment, workload);
    let of =
        |&(name, unit, direction): &Headline| JudgedMetric { name: name.to_owned(), unit, direction, refused: None };
    match wanted {
        MetricSelection::Headline | MetricSelection::All => all.iter().map(of).collect(),
        MetricSelection::Named(names) => {
            let known = |name: &String| {
                let found = all.iter().find(|(known, _, _)| known == name).map(of);
                // Nothing is told in the unit of what was never measured.
                let unknown = JudgedMetric {
                    name: name.clone(),
                    unit: Unit::Count,
                    direction: Direction::Neutral,
                    refused: None,
                };
                found.unwrap_or(unknown)
            };
            names.iter().map(known).collect()
        }
    }
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
    #[case("removal,host_cpu_available", &["removal", "host_cpu_available: neither direction of it is better"])]
    #[case("nothing", &[])]
    fn what_is_judged_is_what_was_asked_for(#[case] wanted: &str, #[case] expected: &[&str]) {
        let common = ["boot", "removal"].map(|name| metric(name, Direction::Lower));
        let neutral = metric("host_cpu_available", Direction::Neutral);
        let a = [&common[..], &[metric("create", Direction::Lower), neutral.clone()]].concat();
        let b = [&common[..], &[metric("kernel", Direction::Lower), neutral]].concat();
        let judged = judged(&wanted.parse().unwrap(), Experiment::Boot, Program::Hello, &a, &b);
        let told = |m: &JudgedMetric| m.refused.iter().fold(m.name.clone(), |name, why| format!("{name}: {why}"));
        assert_eq!(judged.iter().map(told).collect::<Vec<_>>(), expected);
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
        let names = |wanted: &MetricSelection| {
            refused(wanted, experiment, workload).into_iter().map(|m| m.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&MetricSelection::All), expected);
        assert_eq!(names(&MetricSelection::Named(vec!["x".to_owned()])), ["x"]);
    }

    #[rstest]
    #[case("boot,all", "`all` stands alone; accepted: all, headline, or names of metrics")]
    #[case("headline,boot", "`headline` stands alone; accepted: all, headline, or names of metrics")]
    fn everything_and_something_is_refused(#[case] text: &str, #[case] why: &str) {
        assert_eq!(text.parse::<MetricSelection>().unwrap_err().to_string(), why);
    }

    #[test]
    fn a_metric_that_is_not_there_is_refused_with_those_that_are() {
        let there = BTreeSet::from(["boot".to_owned(), "removal".to_owned()]);
        let check = |text: &str| text.parse::<MetricSelection>().unwrap().check(&there);
        assert_eq!(check("boot,remvoal"), Err("--metric remvoal: no such metric; accepted: boot, removal".to_owned()));
        assert_eq!([check("removal"), check("all"), check("")], [Ok(()), Ok(()), Ok(())]);
    }

    #[test]
    fn the_metrics_asked_for_read_back() {
        for text in ["headline", "all", "boot,removal"] {
            let wanted: MetricSelection = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&wanted).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<MetricSelection>(&format!("\"{text}\"")).unwrap(), wanted);
        }
    }
}
