//! `run.json`: what a run is, written when it begins and again when it ends.

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
    /// How a run stands.
    pub enum RunOutcome ("run outcome") {
        /// It has begun and not ended: it runs, or its harness was killed.
        Running = "running",
        /// Every planned trial has a record.
        Complete = "complete",
        /// The user stopped it; `--resume` goes on.
        Interrupted = "interrupted",
        /// It could not go on, such as on a full disk; `--resume` goes on.
        Stopped = "stopped",
    }
}

/// The description of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// [`super::SCHEMA`].
    pub schema: u32,
    /// The run's id.
    pub run: RunId,
    /// The version of Featherweight that measured.
    pub version: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// What it was asked to do.
    pub configuration: Configuration,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// When it ended; `None` while it runs, and after a crash.
    pub ended: Option<String>,
    /// Facts of the host by name, as [`crate::host`] reads them; unknown ones are null.
    pub host: BTreeMap<String, Value>,
    /// The platforms that took part.
    pub platforms: Vec<PlatformEntry>,
    /// The guests that took part.
    pub images: Vec<Image>,
    /// SHA-256 of what a platform makes of a guest, where that is more than the guest's image: `qemu:linux/nginx`.
    #[serde(default)]
    pub made: BTreeMap<String, String>,
    /// What was asked for and cannot be had here, with the reason.
    pub skips: Vec<Skip>,
    /// How many trials the plan has.
    pub planned: u64,
    /// The noise guard; `None` when it was switched off or never got that far.
    pub noise: Option<NoiseGuard>,
    /// How it stands.
    pub outcome: RunOutcome,
    /// Why it was stopped.
    pub reason: Option<String>,
    /// The run of which it measured again what looked worse there; it is no session of its own question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirms: Option<RunId>,
}

/// The folders under `runs` that hold a run, oldest first, without those that only measured again what another run had
/// shown. What cannot be read is among them.
pub fn own_runs(runs: &Path) -> impl DoubleEndedIterator<Item = PathBuf> {
    let is_own = |dir: &PathBuf| read_run_file(dir).map_or(true, |file| file.confirms.is_none());
    list_runs(runs).into_iter().filter(is_own)
}

impl RunFile {
    /// What was measured.
    pub fn experiment(&self) -> Experiment {
        self.configuration.experiment()
    }

    /// Whether `other` asks the same of a platform: its trials could stand for this one's.
    pub(crate) fn asks_the_same(&self, other: &RunFile) -> bool {
        let question = |file: &RunFile| (file.configuration.experiment(), file.configuration.is_minimum());
        question(self) == question(other)
    }
}

/// A platform that took part in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformEntry {
    /// Its name.
    pub id: PlatformId,
    /// What it can do here.
    pub capabilities: Capabilities,
    /// Its versions.
    pub facts: PlatformFacts,
}

/// Something asked for that was not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The platform; `None` when the reason is the host's, whatever the platform.
    pub platform: Option<PlatformId>,
    /// The placement, when it is that.
    pub placement: Option<Placement>,
    /// Why, and the cure.
    pub reason: String,
}

impl NoiseGuard {
    /// The guard over an earlier session of a run and the one that goes on with it: one noisy session makes the run
    /// invalid, however quiet the other was.
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

/// The noise guard's readings around a run, one a measuring CPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NoiseGuard {
    /// Before the first trial.
    pub before: Vec<NoiseReading>,
    /// After the last trial.
    pub after: Vec<NoiseReading>,
    /// Why the run is invalid; empty when nothing speaks against it.
    pub invalid: Vec<String>,
    /// Why there was nothing to judge by; `None` when the run was judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unjudged: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::super::Writer;
    use super::super::testing::{run_file, run_id};
    use super::*;

    #[test]
    fn what_was_only_measured_again_is_no_run_of_its_own() {
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
