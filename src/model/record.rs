//! One line of `trials.jsonl`.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::attacker::Attacker;
use crate::model::event::Event;
use crate::model::names::named_enum;
use crate::model::placement::Placement;
use crate::model::platform::{Accelerator, PlatformId};
use crate::model::program::Program;
use crate::model::run::RunId;
use crate::model::units::{Direction, Nanos, Unit};

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
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Case {
    /// What is measured.
    pub experiment: Experiment,
    /// Where.
    pub platform: PlatformId,
    /// What makes the guest execute.
    pub accelerator: Accelerator,
    /// The measured guest or server: `hello`, `sleep`, `sqlite`.
    pub workload: Program,
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

impl Case {
    /// What cases are sorted by. Workloads are sorted by name, so that a new program moves no existing case.
    fn key(&self) -> impl Ord + '_ {
        let (where_, what) =
            ((&self.platform, self.accelerator), (self.workload.name(), self.attacker, self.placement));
        (self.experiment, where_, what, self.background, self.victims, &self.image)
    }
}

impl Ord for Case {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for Case {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What people call a case: `isolation/youki/sqlite/same-thread/prime`, `boot/native/hello/100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseName<'a> {
    /// What is measured.
    pub experiment: Experiment,
    /// Where; `None` where the platforms are what is compared.
    pub platform: Option<&'a PlatformId>,
    /// The measured guest.
    pub workload: &'a str,
    /// Where the neighbour runs.
    pub placement: Placement,
    /// What runs beside a victim of `isolation`; see [`neighbour`].
    pub neighbour: &'a str,
    /// Idle instances beside the measured one.
    pub background: u32,
    /// How many victims run at once.
    pub victims: u32,
    /// The smallest guest memory is looked for.
    pub minimum: bool,
}

impl<'a> CaseName<'a> {
    /// The name of a stored case in that role.
    pub fn of(case: &'a Case, role: Role) -> Self {
        Self {
            experiment: case.experiment,
            platform: Some(&case.platform),
            workload: case.workload.name(),
            placement: case.placement,
            neighbour: neighbour(case.attacker, role),
            background: case.background,
            victims: case.victims,
            minimum: false,
        }
    }

    /// The same without the platform: what is measured on two of them.
    pub fn anywhere(self) -> Self {
        Self { platform: None, ..self }
    }
}

/// What runs beside a victim: the attacker, or what the trial is for without one.
pub fn neighbour(attacker: Option<Attacker>, role: Role) -> &'static str {
    attacker.map_or(role.name(), Attacker::name)
}

impl fmt::Display for CaseName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.experiment)?;
        if let Some(platform) = self.platform {
            write!(f, "/{platform}")?;
        }
        write!(f, "/{}", self.workload)?;
        match self.experiment {
            Experiment::Isolation => write!(f, "/{}/{}", self.placement, self.neighbour),
            Experiment::Footprint if self.minimum => f.write_str("/minimum"),
            Experiment::Scalability if self.victims > 1 => write!(f, "/{}-victims", self.victims),
            _ => write!(f, "/{}", self.background),
        }
    }
}

/// What became of the trials of a case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Trials that have their metrics.
    pub ok: usize,
    /// Those of them whose numbers deserve caution; the records tell why.
    pub flagged: usize,
    /// Trials that failed.
    pub failed: usize,
    /// Trials that were not run.
    pub skipped: usize,
}

impl Counts {
    /// Counts one trial that ended so.
    pub fn take(&mut self, outcome: Outcome, is_flagged: bool) {
        match outcome {
            Outcome::Ok => {
                self.ok += 1;
                self.flagged += usize::from(is_flagged);
            }
            Outcome::Failed => self.failed += 1,
            Outcome::Skipped => self.skipped += 1,
        }
    }

    /// How many trials there are, whatever became of them.
    pub fn trials(&self) -> usize {
        self.ok + self.failed + self.skipped
    }
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_ladder(Experiment::Boot, 1, false, "boot/fake/hello/10")]
    #[case::several(Experiment::Scalability, 4, false, "scalability/fake/hello/4-victims")]
    #[case::a_search(Experiment::Footprint, 1, true, "footprint/fake/hello/minimum")]
    #[case::beside_somebody(Experiment::Isolation, 1, false, "isolation/fake/hello/unpinned/placebo")]
    fn a_case_is_called_by_what_tells_it_from_its_neighbours(
        #[case] experiment: Experiment,
        #[case] victims: u32,
        #[case] minimum: bool,
        #[case] name: &str,
    ) {
        let case = Case {
            experiment,
            platform: PlatformId::new("fake"),
            accelerator: Accelerator::None,
            workload: Program::Hello,
            attacker: None,
            placement: Placement::Unpinned,
            background: 10,
            victims,
            image: String::new(),
        };
        let called = CaseName { minimum, ..CaseName::of(&case, Role::Placebo) };
        assert_eq!(called.to_string(), name);
        assert_eq!(called.anywhere().to_string(), name.replace("/fake", ""));
    }
}
