//! Which metrics of a case are compared.

use super::matching::{Found, Key, SLOWDOWN};
use crate::store::Experiment;
use crate::units::{Direction, Unit};

/// Which metrics are asked about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Metrics {
    /// What an experiment is about: few, since every metric more is a chance more of a false alarm.
    #[default]
    Headline,
    /// All of which one way is better.
    All,
    /// Those of these names.
    Named(Vec<String>),
}

/// A metric that at least one run has.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) unit: Unit,
    pub(super) direction: Direction,
}

impl Metrics {
    /// The metrics of a case that are compared, in the order of the records.
    pub(super) fn of(&self, key: &Key, a: &Found<'_>, b: &Found<'_>) -> Vec<Wanted> {
        let mut all: Vec<Wanted> = Vec::new();
        for name in a.metric_names().into_iter().chain(b.metric_names()) {
            let series = a.series(&name).or_else(|| b.series(&name));
            let Some(series) = series.filter(|_| all.iter().all(|wanted| wanted.name != name)) else { continue };
            all.push(Wanted { name, unit: series.unit, direction: series.direction });
        }
        let plain = |wanted: &Wanted| wanted.name.trim_end_matches(SLOWDOWN).to_owned();
        match self {
            Metrics::All => all,
            Metrics::Named(names) => {
                all.into_iter().filter(|w| names.contains(&w.name) || names.contains(&plain(w))).collect()
            }
            Metrics::Headline => {
                let headline = headline(key.experiment);
                let of_it = |wanted: &&Wanted| headline.contains(&plain(wanted).as_str());
                let found: Vec<Wanted> = all.iter().filter(of_it).cloned().collect();
                if found.is_empty() { all } else { found }
            }
        }
    }
}

/// What an experiment is about.
fn headline(experiment: Experiment) -> &'static [&'static str] {
    match experiment {
        Experiment::Boot => &["boot", "boot_whole", "ready"],
        Experiment::Footprint => &[
            "image_size",
            "pss_per_instance",
            "charge_per_instance",
            "mem_available_per_instance",
            "start_per_instance",
            "minimum_memory",
        ],
        Experiment::Scalability | Experiment::Isolation => &["insert_time", "throughput"],
    }
}
