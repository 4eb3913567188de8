//! Which metrics of a case are judged.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::guest::Program;
use crate::store::{Experiment, Metric};
use crate::units::{Direction, Unit};

/// The metrics that were asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Wanted {
    /// What the experiment is about.
    #[default]
    Headline,
    /// Every one that can improve.
    All,
    /// Those of these names.
    Named(Vec<String>),
}

impl From<String> for Wanted {
    fn from(text: String) -> Self {
        match text.as_str() {
            "" | "headline" => Wanted::Headline,
            "all" => Wanted::All,
            names => Wanted::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
        }
    }
}

impl FromStr for Wanted {
    type Err = Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.to_owned().into())
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Wanted::Headline => f.pad("headline"),
            Wanted::All => f.pad("all"),
            Wanted::Named(names) => f.pad(&names.join(",")),
        }
    }
}

impl From<Wanted> for String {
    fn from(wanted: Wanted) -> Self {
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
const IMAGE: Headline = ("image_size", Unit::Bytes, Direction::Lower);
const INSERT: Headline = ("insert_time", Unit::Nanos, Direction::Lower);
const THROUGHPUT: Headline = ("throughput", Unit::PerSecond, Direction::Higher);
const P99: Headline = ("latency_p99", Unit::Nanos, Direction::Lower);
const P99_SET: Headline = ("latency_p99_set", Unit::Nanos, Direction::Lower);
const P99_GET: Headline = ("latency_p99_get", Unit::Nanos, Direction::Lower);

/// What an experiment with that guest is about.
pub(super) fn headline(experiment: Experiment, workload: Program) -> &'static [Headline] {
    match (experiment, workload) {
        (Experiment::Boot, server) if server.is_server() => &[BOOT, READY],
        (Experiment::Boot, _) => &[BOOT, BOOT_WHOLE],
        (Experiment::Footprint, _) => &[PSS, CHARGE, IMAGE],
        (_, Program::Nginx) => &[THROUGHPUT, P99],
        (_, Program::Redis) => &[THROUGHPUT, P99_SET, P99_GET],
        _ => &[INSERT],
    }
}

/// The metrics of a case that are judged, by one good trial of each arm.
pub(super) fn judged(
    wanted: &Wanted,
    experiment: Experiment,
    workload: Program,
    a: &[Metric],
    b: &[Metric],
) -> Vec<JudgedMetric> {
    let has = |metrics: &[Metric], name: &str| metrics.iter().any(|metric| metric.name == name);
    let is_wanted = |metric: &&Metric| match wanted {
        Wanted::Headline => headline(experiment, workload).iter().any(|(name, _, _)| *name == metric.name),
        Wanted::All => metric.direction != Direction::Neutral,
        Wanted::Named(names) => names.contains(&metric.name),
    };
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
pub(super) fn refused(wanted: &Wanted, experiment: Experiment, workload: Program) -> Vec<JudgedMetric> {
    let all = headline(experiment, workload);
    let of =
        |&(name, unit, direction): &Headline| JudgedMetric { name: name.to_owned(), unit, direction, refused: None };
    match wanted {
        Wanted::Headline | Wanted::All => all.iter().map(of).collect(),
        Wanted::Named(names) => {
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
    #[case(Experiment::Footprint, Program::Sleep, &["pss_per_instance", "charge_per_instance", "image_size"])]
    #[case(Experiment::Isolation, Program::Sqlite, &["insert_time"])]
    #[case(Experiment::Scalability, Program::Redis, &["throughput", "latency_p99_set", "latency_p99_get"])]
    fn a_case_that_nobody_can_run_has_its_headline(
        #[case] experiment: Experiment,
        #[case] workload: Program,
        #[case] expected: &[&str],
    ) {
        let names =
            |wanted: &Wanted| refused(wanted, experiment, workload).into_iter().map(|m| m.name).collect::<Vec<_>>();
        assert_eq!(names(&Wanted::All), expected);
        assert_eq!(names(&Wanted::Named(vec!["x".to_owned()])), ["x"]);
    }

    #[test]
    fn the_metrics_asked_for_read_back() {
        for text in ["headline", "all", "boot,removal"] {
            let wanted: Wanted = text.parse().unwrap();
            assert_eq!(serde_json::to_string(&wanted).unwrap(), format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Wanted>(&format!("\"{text}\"")).unwrap(), wanted);
        }
    }
}
