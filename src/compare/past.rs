//! What earlier sessions of the same thing differed by on the same host.
//!
//! The reason why a stored run is a weak witness: one run's trials agree with each other better than two runs do. Only
//! sessions of the same images, versions and configuration tell; a change between them would be taken for noise.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::asks_otherwise;
use super::comparable::host;
use super::matching::{Key, Pairing, keyed};
use crate::host::differences;
use crate::run::RunId;
use crate::stats::{Sample, median};
use crate::store::{RunOutcome, SlimRun, TRIALS_FILE, list_runs, read_slim};

/// How much two runs of the same thing may differ.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    /// A share of the metric.
    pub(super) share: f64,
    /// Where it is from.
    pub(super) source: String,
}

/// What is assumed where nothing is known: the medians of the tenths of each recording in `fixtures/recordings`, seconds to
/// minutes apart on one quiet host, lie up to 4.6 % from the median of all (one of the forty, Docker's last, 23 %).
const USUAL: f64 = 0.05;
/// How many standard deviations of a session's median make the band: two sessions differ by more in one of thirty.
const WIDTH: f64 = 3.0;
/// So many degrees of freedom a spread stands on at least.
const LEAST: usize = 2;
/// Earlier runs that are read at most, and how large they may be: comparing stays quick.
const RUNS: usize = 12;
const RUN_BYTES: u64 = 4 << 20;

/// The medians of earlier sessions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    /// Of each case and metric: the logarithms of the medians, together where the sessions measured the same thing.
    medians: BTreeMap<(Key, String), BTreeMap<String, Vec<f64>>>,
}

impl Past {
    /// What the runs under `runs` tell that ask the same as `like` on the same host; without those named.
    pub fn load(runs: &Path, like: &SlimRun, except: &[RunId]) -> Self {
        let mut past = Self::default();
        let small = |dir: &Path| fs::metadata(dir.join(TRIALS_FILE)).is_ok_and(|file| file.len() <= RUN_BYTES);
        let ending = format!("-{}", like.file.experiment());
        let named = |dir: &Path| dir.file_name().and_then(|f| f.to_str()).is_some_and(|f| f.ends_with(&ending));
        let dirs = list_runs(runs).into_iter().rev().filter(|dir| named(dir) && small(dir)).take(RUNS);
        for run in dirs.filter_map(|dir| read_slim(&dir).ok()) {
            if !except.contains(&run.file.run) && is_alike(like, &run) {
                past.add(&run);
            }
        }
        past
    }

    /// Takes the medians of a session.
    pub(super) fn add(&mut self, run: &SlimRun) {
        for (key, found) in keyed(run, Pairing::Same) {
            let Some(values) = found.one() else { continue };
            let version = run.file.platforms.iter().find(|p| p.id == values.case.platform).map(|p| &p.facts.version);
            let thing = format!("{} {} {version:?}", values.case.image, values.case.accelerator);
            for name in found.metric_names() {
                let Some(middle) =
                    found.series(&name).and_then(|s| Sample::new(s.values).ok()).map(|s| median(&s).ln())
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

    /// How much two runs of a case may differ in a metric.
    pub(super) fn band(&self, key: &Key, metric: &str) -> Band {
        let usual = || Band { share: USUAL, source: "the usual, for want of earlier sessions".to_owned() };
        let Some((sd, sessions)) = self.spread(key, metric) else { return usual() };
        match (WIDTH * sd).exp_m1() {
            share if share > USUAL => {
                Band { share, source: format!("three times the spread of {sessions} earlier sessions") }
            }
            _ => Band { share: USUAL, source: format!("the least, {sessions} earlier sessions differed less") },
        }
    }

    /// The standard deviation of a session's median about those of the same thing, and of how many sessions.
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

/// Whether a run is a session of the same question on the same host that is fit to tell.
fn is_alike(like: &SlimRun, run: &SlimRun) -> bool {
    let quiet = run.file.noise.as_ref().is_none_or(|noise| noise.invalid.is_empty());
    quiet
        && run.file.outcome == RunOutcome::Complete
        && asks_otherwise(&like.file.configuration, &run.file.configuration).is_empty()
        && differences(&host(&like.file), &host(&run.file)).is_empty()
}
