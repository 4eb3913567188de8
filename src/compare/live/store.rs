//! A stored session: `session.json`, and one line per trial in `trials.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArmId, CaseFile, MetricSelection, Question, RuleOverrides};
use crate::compare::rule::{Comparison, Rule, Stage};
use crate::guest::Image;
use crate::measure::rig::now;
use crate::model::configuration::Configuration;
use crate::model::record::TrialRecord;
use crate::model::run::RunId;
use crate::model::units::Nanos;
use crate::platform::arm::Arm;
use crate::store::{NoiseGuard, PlatformEntry, RunOutcome};

/// The schema of sessions written by this version. Newer schemas are rejected.
pub const SESSION_SCHEMA: u32 = 1;
/// The file name of a session's description.
pub const SESSION_FILE: &str = "session.json";

/// The description of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SessionFile {
    /// [`SESSION_SCHEMA`].
    pub schema: u32,
    /// The session's id.
    pub run: RunId,
    /// The version of Featherweight that measured.
    pub version: String,
    /// The command line, word by word.
    pub command: Vec<String>,
    /// The arms.
    pub arms: Arms,
    /// What is measured. Its platforms are the arms', and its filter applies to names without a platform.
    pub configuration: Configuration,
    /// The rule for trials of about a second. Each case has a rule of its own.
    pub rule: Rule,
    /// The parameters of the rule that the user set.
    #[serde(rename = "asked")]
    pub overrides: RuleOverrides,
    /// The judged metrics.
    pub metrics: MetricSelection,
    /// Whether A is measured twice.
    pub null_control: bool,
    /// The number of blocks of every case in a recording, which judges nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<u32>,
    /// The seed of the order within the blocks.
    pub seed: u64,
    /// The cases; empty until each has run once.
    pub cases: Vec<CaseFile>,
    /// The run ids of the arms, including those of crashed parts of the session.
    #[serde(rename = "lanes")]
    pub runners: Vec<RunId>,
    /// Facts of the host by name; unknown ones are null.
    pub host: BTreeMap<String, Value>,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// When it ended; `None` while it runs, and after a crash.
    pub ended: Option<String>,
    /// The time that was spent, including the preparation.
    pub took: Nanos,
    /// Notes for the reader: what was calibrated.
    pub notes: Vec<String>,
    /// The noise guard of both stages; `None` when it was off, or the session ended before.
    pub noise: Option<NoiseGuard>,
    /// How it ended, or that it runs.
    pub outcome: RunOutcome,
    /// Why it was stopped.
    pub reason: Option<String>,
    /// The verdicts; `None` while it runs, and in a recording.
    pub comparison: Option<Comparison>,
}

/// Both arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arms {
    /// The arm to compare with.
    pub a: ArmFile,
    /// The arm in question.
    pub b: ArmFile,
}

/// An arm with its platform and its guests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmFile {
    /// The name that the user gave it.
    pub name: String,
    /// The arm, with a share of busy work resolved to a time, and a revision to a commit.
    #[serde(flatten)]
    pub arm: Arm,
    /// Its platform and versions; `None` where it cannot run here.
    pub entry: Option<PlatformEntry>,
    /// Its guests.
    pub images: Vec<Image>,
    /// SHA-256 of what the platform boots, where that is more than a guest's image.
    pub made: BTreeMap<String, String>,
}

/// One trial of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbTrial {
    /// The record. Its run is the session, and its order counts all trials of the session.
    #[serde(flatten)]
    pub record: TrialRecord,
    /// The arm.
    pub arm: ArmId,
    /// The stage.
    pub stage: Stage,
    /// The block within the case and the stage, from 0.
    pub block: u32,
    /// The attempt at the block; the last complete attempt counts.
    pub attempt: u32,
}

impl ArmFile {
    fn new(arm: Arm) -> Self {
        Self { name: arm.to_string(), arm, entry: None, images: Vec::new(), made: BTreeMap::new() }
    }
}

impl SessionFile {
    /// A session that begins now.
    pub(super) fn new(question: Question, command: Vec<String>) -> Self {
        let Question { a, b, configuration, metrics, overrides, null_control, record } = question;
        Self {
            schema: SESSION_SCHEMA,
            run: RunId::generate(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command,
            arms: Arms { a: ArmFile::new(a), b: ArmFile::new(b) },
            seed: configuration.seed,
            configuration,
            rule: overrides.rule(Nanos::SECOND),
            overrides,
            metrics,
            null_control,
            record,
            cases: Vec::new(),
            runners: Vec::new(),
            host: BTreeMap::new(),
            started: now(),
            ended: None,
            took: Nanos(0),
            notes: Vec::new(),
            noise: None,
            outcome: RunOutcome::Running,
            reason: None,
            comparison: None,
        }
    }

    /// The arm of that id; the null control is A.
    pub fn arm(&self, id: ArmId) -> &ArmFile {
        match id {
            ArmId::A | ArmId::Null => &self.arms.a,
            ArmId::B => &self.arms.b,
        }
    }

    /// As [`SessionFile::arm`].
    pub(super) fn arm_mut(&mut self, id: ArmId) -> &mut ArmFile {
        match id {
            ArmId::A | ArmId::Null => &mut self.arms.a,
            ArmId::B => &mut self.arms.b,
        }
    }
}
