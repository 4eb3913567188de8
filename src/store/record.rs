//! One line of `trials.jsonl`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::attacker::Attacker;
use crate::names::named_enum;
use crate::placement::Placement;
use crate::platform::{Accelerator, Event, PlatformId};
use crate::run::RunId;
use crate::units::{Direction, Nanos, Unit};

/// The schema of records written by this version. A newer one is refused by name.
pub const SCHEMA: u32 = 1;

named_enum! {
    /// What is measured.
    pub enum Experiment ("experiment") {
        /// Boot time.
        Boot = "boot",
        /// Image size and memory per instance.
        Footprint = "footprint",
        /// A victim's performance over the number of background instances, and N victims at once.
        Scalability = "scalability",
        /// A victim's slowdown beside an attacker.
        Isolation = "isolation",
    }
}

named_enum! {
    /// What a trial is for.
    pub enum Role ("role") {
        /// The case itself.
        Measured = "measured",
        /// The same victim alone, interleaved with the measured trials.
        Reference = "reference",
        /// The same victim beside an idle neighbour in the attacker's place.
        Placebo = "placebo",
    }
}

named_enum! {
    /// How a trial ended.
    pub enum Outcome ("outcome") {
        /// It has its metrics.
        Ok = "ok",
        /// It failed, with a reason.
        Failed = "failed",
        /// It was not run, with a reason.
        Skipped = "skipped",
    }
}

/// Everything that tells one case from another. Trials of equal cases are repetitions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Case {
    /// What is measured.
    pub experiment: Experiment,
    /// Where.
    pub platform: PlatformId,
    /// What makes the guest execute.
    pub accelerator: Accelerator,
    /// The measured guest or server: `hello`, `sleep`, `sqlite`.
    pub workload: String,
    /// The attacker; `None` for references, placebos and other experiments.
    pub attacker: Option<Attacker>,
    /// Where the attacker runs; a reference or placebo carries the placement it stands beside.
    pub placement: Placement,
    /// Idle instances beside the measured one.
    pub background: u32,
    /// How many victims run at once.
    pub victims: u32,
    /// SHA-256 of the measured guest, in hexadecimal.
    pub image: String,
}

/// The CPUs that were asked for and read back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cpus {
    /// The victim's; empty when unpinned.
    pub victim: Vec<u32>,
    /// All the attackers'.
    pub attackers: Vec<u32>,
    /// The load generator's; empty without one, or when unpinned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client: Vec<u32>,
}

/// One number of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name: `boot`, `insert_time`.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// Which way it improves.
    pub direction: Direction,
    /// The trial's one value, in the unit; never a stand-in for a missing one.
    pub value: f64,
    /// The values inside the trial where there are several (one a victim); never tested as if independent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<f64>,
}

/// One trial, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run it belongs to.
    pub run: RunId,
    /// Its place in the plan, unique in the run.
    pub order: u64,
    /// Its repetition: trials of one block (measured, reference, placebo) share the number.
    pub trial: u32,
    /// What it is for.
    pub role: Role,
    /// What was measured.
    pub case: Case,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// Where it ran.
    pub cpus: Cpus,
    /// What came out; empty unless it is ok.
    pub metrics: Vec<Metric>,
    /// The victim's events, relative to `spawn`, in nanoseconds.
    pub events: BTreeMap<Event, Nanos>,
    /// Operations that all attackers did while the victim worked; `None` without attackers.
    pub attack_ops: Option<u64>,
    /// Why its numbers deserve caution, although it is ok: the load generator was at its limit, or not alone on its CPUs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
}

impl TrialRecord {
    /// The value of the metric of that name, where the trial has it.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|m| m.name == name).map(|m| m.value)
    }
}
