//! How much earlier runs of the same thing differed on the same host.
//!
//! Trials of one run agree better with each other than two runs do. Only runs with the same images, versions, revision and
//! configuration count, and only those before both runs: otherwise the difference in question would count as noise.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::comparable::{host, other_hosts};
use super::matching::{Key, Metric, Pairing, keyed};
use super::trial_differences;
use crate::model::run::RunId;
use crate::model::units::Unit;
use crate::stats::{Sample, median};
use crate::store::{RunOutcome, RunValues, TRIALS_FILE, own_runs, read_values};

/// How much two runs of the same thing may differ.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    /// A share of the metric.
    pub(super) share: f64,
    /// What it is based on.
    pub(super) source: String,
}

/// The band without earlier runs: the medians of the tenths of each recording in `fixtures/recordings`, seconds to minutes
/// apart on one quiet host, are up to 4.6 % from the median of all (one of the forty, Docker's last, 23 %).
const DEFAULT_BAND: f64 = 0.05;
/// The same for sizes and counts: an image has one size, and the same pages take the same memory.
const EXACT: f64 = 0.01;
/// The standard deviations of a run's median in the band. Two runs differ by more in one of thirty cases.
const WIDTH: f64 = 3.0;
/// The least degrees of freedom of a spread.
const LEAST: usize = 2;
/// The most earlier runs to read, and their largest size, so that a comparison stays quick.
const RUNS: usize = 12;
const RUN_BYTES: u64 = 4 << 20;

/// The medians of earlier runs.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// By case and metric, then by what was measured: the logarithms of the medians.
    medians: BTreeMap<(Key, String), BTreeMap<String, Vec<f64>>>,
}

impl Past {
    /// Reads the runs under `runs` that are older than `a` and `b` and match them in configuration and host.
    pub fn load(runs: &Path, a: &RunValues, b: &RunValues) -> Self {
        let mut past = Self::default();
        let before = (&a.file.run).min(&b.file.run);
        let small = |dir: &Path| fs::metadata(dir.join(TRIALS_FILE)).is_ok_and(|file| file.len() <= RUN_BYTES);
        let ending = format!("-{}", a.file.experiment());
        let earlier = |dir: &Path| {
            let name = dir.file_name().and_then(|f| f.to_str()).and_then(|f| f.strip_suffix(&ending));
            name.and_then(|name| name.parse::<RunId>().ok()).is_some_and(|run| run < *before)
        };
        let dirs = own_runs(runs).rev().filter(|dir| earlier(dir) && small(dir)).take(RUNS);
        for run in dirs.filter_map(|dir| read_values(&dir).ok()) {
            if is_alike(a, &run) && is_alike(b, &run) {
                past.add(&run);
            }
        }
        past
    }

    /// Adds the medians of a run.
    pub(super) fn add(&mut self, run: &RunValues) {
        let revision = host(&run.file).revision;
        for (key, samples) in keyed(run, Pairing::Same) {
            let Some(values) = samples.one() else { continue };
            let version = run.file.platforms.iter().find(|p| p.id == values.case.platform).map(|p| &p.facts.version);
            let (harness, revision) = (&run.file.version, &revision);
            let thing = format!("{} {} {version:?} {harness} {revision:?}", values.case.image, values.case.accelerator);
            for Metric { name, .. } in samples.metrics() {
                let Some(middle) =
                    samples.series(&name).and_then(|s| Sample::new(s.values).ok()).map(|s| median(&s).ln())
                else {
                    continue;
                };
                if middle.is_finite() {
                    let things = self.medians.entry((key.clone(), name)).or_default();
                    things.entry(thing.clone()).or_default().push(middle);
                }
            }
        }
    }

    /// How much two runs may differ in a metric: the larger band of their two cases, each with its own platform.
    pub(super) fn band(&self, [a, b]: [&Key; 2], metric: &Metric) -> Band {
        let (a, b) = (self.band_of(a, metric), self.band_of(b, metric));
        if b.share > a.share { b } else { a }
    }

    fn band_of(&self, key: &Key, metric: &Metric) -> Band {
        let least = if matches!(metric.unit, Unit::Bytes | Unit::Count) { EXACT } else { DEFAULT_BAND };
        let usual = || Band { share: least, source: "the default, without earlier runs".to_owned() };
        let Some((sd, sessions)) = self.spread(key, &metric.name) else { return usual() };
        match (WIDTH * sd).exp_m1() {
            share if share > least => {
                Band { share, source: format!("three times the spread of {sessions} earlier runs") }
            }
            _ => Band { share: least, source: format!("the least; {sessions} earlier runs differed less") },
        }
    }

    /// The standard deviation of a run's median around the mean of the same thing, and the number of runs.
    fn spread(&self, key: &Key, metric: &str) -> Option<(f64, usize)> {
        let things = self.medians.get(&(key.clone(), metric.to_owned()))?;
        let sessions: usize = things.values().map(Vec::len).sum();
        let freedom: usize = things.values().map(|medians| medians.len() - 1).sum();
        let squares = |medians: &Vec<f64>| {
            let mean = medians.iter().sum::<f64>() / medians.len() as f64;
            medians.iter().map(|m| (m - mean).powi(2)).sum::<f64>()
        };
        let all: f64 = things.values().map(squares).sum();
        (freedom >= LEAST).then(|| ((all / freedom as f64).sqrt(), sessions))
    }
}

/// Whether a run is complete, not too noisy, and of the same configuration and host.
fn is_alike(like: &RunValues, run: &RunValues) -> bool {
    let quiet = run.file.noise.as_ref().is_none_or(|noise| noise.invalid.is_empty());
    quiet
        && run.file.outcome == RunOutcome::Complete
        && trial_differences(&like.file.configuration, &run.file.configuration).is_empty()
        && other_hosts(&like.file, &run.file).is_empty()
}
