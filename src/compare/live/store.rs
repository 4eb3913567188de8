//! What is stored of a session: `session.json`, and a line a trial in `trials.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ArmId, CaseFile, MetricSelection, Question, RuleOverrides};
use crate::compare::rule::{Comparison, Rule, Stage};
use crate::guest::Image;
use crate::measure::session::now;
use crate::model::configuration::Configuration;
use crate::model::record::TrialRecord;
use crate::model::run::RunId;
use crate::model::units::Nanos;
use crate::platform::arm::Arm;
use crate::store::{NoiseGuard, PlatformEntry, RunOutcome};

/// The schema of sessions written by this version. A newer one is refused by name.
pub const SESSION_SCHEMA: u32 = 1;
/// The name of a session's description.
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
    /// What is compared.
    pub arms: Arms,
    /// What is measured; its platforms are the arms', and its filter is of names without them.
    pub configuration: Configuration,
    /// The rule for trials of about a second. Each case has its own.
    pub rule: Rule,
    /// What of the rule was asked for.
    pub asked: RuleOverrides,
    /// Which metrics are judged.
    pub metrics: MetricSelection,
    /// Whether A is measured twice.
    pub null_control: bool,
    /// So many blocks are measured and none is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<u32>,
    /// Decides the order within the blocks.
    pub seed: u64,
    /// The cases; empty until every one has run once.
    pub cases: Vec<CaseFile>,
    /// The run ids of the lanes, those of crashed parts of the session included.
    #[serde(rename = "lanes")]
    pub runners: Vec<RunId>,
    /// Facts of the host by name; unknown ones are null.
    pub host: BTreeMap<String, Value>,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// When it ended; `None` while it runs, and after a crash.
    pub ended: Option<String>,
    /// How long was measured, preparing included.
    pub took: Nanos,
    /// What a reader must know: what was calibrated.
    pub notes: Vec<String>,
    /// The noise guard over both stages; `None` when it was switched off or never got that far.
    pub noise: Option<NoiseGuard>,
    /// How it stands.
    pub outcome: RunOutcome,
    /// Why it was stopped.
    pub reason: Option<String>,
    /// The verdicts; `None` while it runs, and where none are asked for.
    pub comparison: Option<Comparison>,
}

/// Both arms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arms {
    /// What is compared with.
    pub a: ArmFile,
    /// What is asked about.
    pub b: ArmFile,
}

/// An arm, and what was found where it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArmFile {
    /// What the user called it.
    pub name: String,
    /// What it is: a share of busy work made a time, a revision of the guests made a commit.
    #[serde(flatten)]
    pub arm: Arm,
    /// What can run it, by its versions; `None` where it cannot run here.
    pub entry: Option<PlatformEntry>,
    /// The guests that took part.
    pub images: Vec<Image>,
    /// SHA-256 of what the platform makes of a guest, where that is more than the guest's image.
    pub made: BTreeMap<String, String>,
}

/// One trial of a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbTrial {
    /// What a trial of any run has; its run is the session, and its order counts all of the session's trials.
    #[serde(flatten)]
    pub record: TrialRecord,
    /// The lane.
    pub arm: ArmId,
    /// The stage.
    pub stage: Stage,
    /// The block within the case and the stage, from 0.
    pub block: u32,
    /// How often the block was begun: the last attempt that is whole counts.
    pub attempt: u32,
}

impl ArmFile {
    fn of(arm: Arm) -> Self {
        Self { name: arm.to_string(), arm, entry: None, images: Vec::new(), made: BTreeMap::new() }
    }
}

impl SessionFile {
    /// A session that begins now.
    pub(super) fn new(question: Question, command: Vec<String>) -> Self {
        let Question { a, b, configuration, metrics, asked, null_control, record } = question;
        Self {
            schema: SESSION_SCHEMA,
            run: RunId::generate(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command,
            arms: Arms { a: ArmFile::of(a), b: ArmFile::of(b) },
            seed: configuration.seed,
            configuration,
            rule: asked.rule(Nanos::SECOND),
            asked,
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

    /// The arm of a lane.
    pub fn arm(&self, which: ArmId) -> &ArmFile {
        match which {
            ArmId::A | ArmId::Null => &self.arms.a,
            ArmId::B => &self.arms.b,
        }
    }

    /// As [`SessionFile::arm`], to be changed.
    pub(super) fn arm_mut(&mut self, which: ArmId) -> &mut ArmFile {
        match which {
            ArmId::A | ArmId::Null => &mut self.arms.a,
            ArmId::B => &mut self.arms.b,
        }
    }
}
