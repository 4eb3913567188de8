//! `run.json`: the description of a run, written when the run starts and again when it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{list_runs, read_run_file};
use crate::guest::Image;
use crate::host::noise::NoiseReading;
use crate::model::configuration::Configuration;
use crate::model::names::named_enum;
use crate::model::placement::Placement;
use crate::model::platform::{Capabilities, PlatformFacts, PlatformId};
use crate::model::record::Experiment;
use crate::model::run::RunId;

named_enum! {
    /// The state of a run.
    pub enum RunOutcome ("run outcome") {
        /// It has not ended: it is in progress, or its harness was killed.
        Running = "running",
        /// Every planned trial has a record.
        Complete = "complete",
        /// The user stopped it; `--resume` continues.
        Interrupted = "interrupted",
        /// It could not continue, such as on a full disk; `--resume` continues.
        Stopped = "stopped",
    }
}

/// The description of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// [`SCHEMA`](crate::model::record::SCHEMA).
    pub schema: u32,
    /// The run's id.
    pub run: RunId,
    /// The version of Featherweight that measured.
    pub version: String,
    /// The command line, one word per element.
    pub command: Vec<String>,
    /// The resolved request.
    pub configuration: Configuration,
    /// The start, RFC 3339 in UTC.
    pub started: String,
    /// The end; `None` while the run is in progress and after a crash.
    pub ended: Option<String>,
    /// Facts about the host by name, as [`crate::host::HostFacts`] has them; unknown ones are null.
    pub host: BTreeMap<String, Value>,
    /// The measured platforms.
    pub platforms: Vec<PlatformEntry>,
    /// The images of the guests.
    pub images: Vec<Image>,
    /// SHA-256 of the boot artifacts that platforms build from an image, by name: `qemu:linux/nginx`.
    #[serde(default)]
    pub made: BTreeMap<String, String>,
    /// Requests that this host or a platform does not support, with the reason.
    pub skips: Vec<Skip>,
    /// The number of trials in the plan.
    pub planned: u64,
    /// The noise guard; `None` if it is switched off or the run ended before it.
    pub noise: Option<NoiseGuard>,
    /// The state of the run.
    pub outcome: RunOutcome,
    /// Why the run was stopped.
    pub reason: Option<String>,
    /// The run that this one repeats in part, to confirm the regressions found there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirms: Option<RunId>,
}

/// The folders in `runs` that contain a run, oldest first, without runs that only confirm another one. Unreadable runs are
/// included.
pub fn own_runs(runs: &Path) -> impl DoubleEndedIterator<Item = PathBuf> {
    let is_own = |dir: &PathBuf| read_run_file(dir).map_or(true, |file| file.confirms.is_none());
    list_runs(runs).into_iter().filter(is_own)
}

impl RunFile {
    /// The experiment.
    pub fn experiment(&self) -> Experiment {
        self.configuration.experiment()
    }

    /// Whether `other` measures the same, so that its trials can replace those of this run.
    pub(crate) fn measures_the_same(&self, other: &RunFile) -> bool {
        let question = |file: &RunFile| (file.configuration.experiment(), file.configuration.is_minimum());
        question(self) == question(other)
    }
}

/// A platform that took part in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformEntry {
    /// The platform's name.
    pub id: PlatformId,
    /// What it can do on this host.
    pub capabilities: Capabilities,
    /// Its version and notes.
    pub facts: PlatformFacts,
}

/// A request that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The platform; `None` if the reason is the same for all platforms.
    pub platform: Option<PlatformId>,
    /// The placement; `None` if the reason is the same for all placements.
    pub placement: Option<Placement>,
    /// Why it was not run, and how to change that.
    pub reason: String,
}

impl NoiseGuard {
    /// Combines the guards of an earlier session of a run and of the one that resumes it. One noisy session makes the whole
    /// run invalid.
    pub fn of_both(earlier: Option<Self>, later: Option<Self>) -> Option<Self> {
        match (earlier, later) {
            (Some(a), Some(b)) => Some(Self {
                before: [a.before, b.before].concat(),
                after: [a.after, b.after].concat(),
                invalid: [a.invalid, b.invalid].concat(),
                unjudged: a.unjudged.or(b.unjudged),
            }),
            (a, b) => a.or(b),
        }
    }
}

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(platform) = &self.platform {
            write!(f, "{platform}: ")?;
        }
        f.write_str(&self.reason)
    }
}

/// The noise guard's readings before and after a run, one per measuring CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseGuard {
    /// The readings before the first trial.
    pub before: Vec<NoiseReading>,
    /// The readings after the last trial.
    pub after: Vec<NoiseReading>,
    /// Why the run is invalid; empty if it is valid.
    pub invalid: Vec<String>,
    /// Why the run could not be judged; `None` if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::super::testing::{run_file, run_id};
    use super::*;

    #[test]
    fn a_confirming_run_is_not_listed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, confirms) in [("1", None), ("2", Some(run_id()))] {
            Writer::open(&dir.path().join(name)).unwrap().describe(&RunFile { confirms, ..run_file() }).unwrap();
        }
        std::fs::create_dir(dir.path().join("3")).unwrap();
        std::fs::write(dir.path().join("3").join(super::super::RUN_FILE), "damaged").unwrap();
        let names: Vec<_> = own_runs(dir.path()).rev().map(|dir| dir.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["3", "1"]);
    }
}
