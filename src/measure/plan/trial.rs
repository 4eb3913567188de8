//! A planned trial and the list of them.

use std::fmt;

use crate::model::attacker::Attacker;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::program::Program;
use crate::model::record::{CaseName, Experiment, Role, neighbor};
use crate::model::units::Nanos;
use crate::store::Skip;

/// All trials of a run, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The trials in the order of running; [`PlannedTrial::order`] is the index.
    pub trials: Vec<PlannedTrial>,
    /// What was requested and cannot be measured here.
    pub skips: Vec<Skip>,
}

/// One trial to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTrial {
    /// Its place in the plan.
    pub order: u64,
    /// Its repetition; trials of one round share the number.
    pub trial: u32,
    /// Its role: measured, reference or placebo.
    pub role: Role,
    /// What is measured.
    pub experiment: Experiment,
    /// The platform.
    pub platform: PlatformId,
    /// The measured guest.
    pub workload: Program,
    /// The attacker.
    pub attacker: Option<Attacker>,
    /// Where the attacker, or the placebo, runs.
    pub placement: Placement,
    /// The number of idle background instances.
    pub background: u32,
    /// The number of victims at once.
    pub victims: u32,
    /// The expected time, including a change of the background.
    pub estimate: Nanos,
}

impl Plan {
    /// The expected time of all trials.
    pub fn estimate(&self) -> Nanos {
        self.trials.iter().fold(Nanos(0), |sum, trial| sum + trial.estimate)
    }
}

impl PlannedTrial {
    /// The name of its case.
    pub fn name(&self) -> CaseName<'_> {
        CaseName {
            experiment: self.experiment,
            platform: Some(&self.platform),
            workload: self.workload.name(),
            placement: self.placement,
            neighbor: neighbor(self.attacker, self.role),
            background: self.background,
            victims: self.victims,
            minimum: false,
        }
    }

    /// The background program: the same server for a server, sleepers for everything else.
    pub fn idle(&self) -> Program {
        if self.workload.is_server() { self.workload } else { Program::Sleep }
    }

    /// Whether a load generator drives the victim: a server that is not only booted or weighed.
    pub fn is_driven(&self) -> bool {
        self.workload.is_server() && matches!(self.experiment, Experiment::Scalability | Experiment::Isolation)
    }
}

impl fmt::Display for PlannedTrial {
    /// The case's name, for filters and progress.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().fmt(f)
    }
}
