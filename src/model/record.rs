//! The record of a trial: one line of `trials.jsonl`.

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

/// The schema of records that this version writes. Records with a newer schema are rejected.
pub const SCHEMA: u32 = 1;

named_enum! {
    /// What is measured.
    pub enum Experiment ("experiment") {
        /// Boot time.
        Boot = "boot",
        /// Image size and memory per instance.
        Footprint = "footprint",
        /// A victim's performance by the number of background instances, and that of several victims at once.
        Scalability = "scalability",
        /// A victim's slowdown next to an attacker.
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
        /// The same victim next to an idle neighbor in the attacker's place.
        Placebo = "placebo",
    }
}

named_enum! {
    /// How a trial ended.
    pub enum Outcome ("outcome") {
        /// It succeeded and has metrics.
        Ok = "ok",
        /// It failed and has a reason.
        Failed = "failed",
        /// It was not run and has a reason.
        Skipped = "skipped",
    }
}

/// Everything that distinguishes one measurement from another. Trials of equal cases are repetitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Case {
    /// What is measured.
    pub experiment: Experiment,
    /// The platform.
    pub platform: PlatformId,
    /// What executes the guest.
    pub accelerator: Accelerator,
    /// The measured guest program.
    pub workload: Program,
    /// The attacker; `None` for references, placebos and other experiments.
    pub attacker: Option<Attacker>,
    /// The placement of the attacker. References and placebos have that of their round.
    pub placement: Placement,
    /// The number of background instances.
    pub background: u32,
    /// The number of victims at once.
    pub victims: u32,
    /// SHA-256 of the measured guest, in hexadecimal.
    pub image: String,
}

impl Case {
    /// The sort key. It has the name of the workload, so that a new program does not reorder existing cases.
    fn key(&self) -> impl Ord + '_ {
        let platform = (&self.platform, self.accelerator);
        let guests = (self.workload.name(), self.attacker, self.placement);
        (self.experiment, platform, guests, self.background, self.victims, &self.image)
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

/// The printed name of a case: `isolation/youki/sqlite/same-thread/prime`, `boot/native/hello/100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseName<'a> {
    /// The experiment.
    pub experiment: Experiment,
    /// The platform; `None` in a comparison of platforms.
    pub platform: Option<&'a PlatformId>,
    /// The measured guest program.
    pub workload: &'a str,
    /// The placement of the neighbor.
    pub placement: Placement,
    /// The neighbor of a victim in isolation; see [`neighbor`].
    pub neighbor: &'a str,
    /// The number of background instances.
    pub background: u32,
    /// The number of victims at once.
    pub victims: u32,
    /// Whether the case is a search for the smallest guest memory.
    pub minimum: bool,
}

impl<'a> CaseName<'a> {
    /// The name of the trials of a case in one role.
    pub fn of(case: &'a Case, role: Role) -> Self {
        Self {
            experiment: case.experiment,
            platform: Some(&case.platform),
            workload: case.workload.name(),
            placement: case.placement,
            neighbor: neighbor(case.attacker, role),
            background: case.background,
            victims: case.victims,
            minimum: false,
        }
    }

    /// The name without the platform, for a comparison of platforms.
    pub fn without_platform(self) -> Self {
        Self { platform: None, ..self }
    }
}

/// The name of a victim's neighbor: the attacker, or the role of a trial without one.
pub fn neighbor(attacker: Option<Attacker>, role: Role) -> &'static str {
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
            Experiment::Isolation => write!(f, "/{}/{}", self.placement, self.neighbor),
            Experiment::Footprint if self.minimum => f.write_str("/minimum"),
            Experiment::Scalability if self.victims > 1 => write!(f, "/{}-victims", self.victims),
            _ => write!(f, "/{}", self.background),
        }
    }
}

/// The outcomes of the trials of a case, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Successful trials.
    pub ok: usize,
    /// Successful trials with a flag: their numbers need caution.
    pub flagged: usize,
    /// Trials that failed.
    pub failed: usize,
    /// Trials that were not run.
    pub skipped: usize,
}

impl Counts {
    /// Counts one more trial.
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

    /// The number of all trials.
    pub fn trials(&self) -> usize {
        self.ok + self.failed + self.skipped
    }
}

/// The CPUs to which a trial's processes were pinned, as read back from the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Cpus {
    /// The victim's CPU; empty if it is not pinned.
    pub victim: Vec<u32>,
    /// The CPUs of all attackers.
    pub attackers: Vec<u32>,
    /// The load generator's CPUs; empty without one or if it is not pinned.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client: Vec<u32>,
}

/// One metric of a trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// The name: `boot`, `insert_time`.
    pub name: String,
    /// The unit of the values.
    pub unit: Unit,
    /// The direction in which it improves.
    pub direction: Direction,
    /// The trial's value. A missing value has no `Metric` at all.
    pub value: f64,
    /// The values of the trial's victims if there are several. They are not independent, so no test uses them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<f64>,
}

/// The record of one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run of the trial.
    pub run: RunId,
    /// The position in the plan, unique in the run.
    pub order: u64,
    /// The number of the repetition. All trials of one round of isolation share it.
    pub trial: u32,
    /// What the trial is for.
    pub role: Role,
    /// The case that was measured.
    pub case: Case,
    /// The start, RFC 3339 in UTC.
    pub started: String,
    /// The CPUs of its processes.
    pub cpus: Cpus,
    /// The results; empty unless the trial succeeded.
    pub metrics: Vec<Metric>,
    /// The victim's events, in nanoseconds since `spawn`.
    pub events: BTreeMap<Event, Nanos>,
    /// Operations of all attackers while the victim worked; `None` without attackers.
    pub attack_ops: Option<u64>,
    /// Why the numbers of a successful trial need caution, such as a load generator at its limit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed or was skipped.
    pub reason: Option<String>,
}

impl TrialRecord {
    /// The value of the metric called `name`; `None` if the trial does not have it.
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
    #[case::next_to_a_placebo(Experiment::Isolation, 1, false, "isolation/fake/hello/unpinned/placebo")]
    fn a_name_has_what_distinguishes_the_cases_of_an_experiment(
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
        let case_name = CaseName { minimum, ..CaseName::of(&case, Role::Placebo) };
        assert_eq!(case_name.to_string(), name);
        assert_eq!(case_name.without_platform().to_string(), name.replace("/fake", ""));
    }
}
