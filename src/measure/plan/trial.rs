//! A planned trial and the list of them.

use std::fmt;

use crate::model::attacker::Attacker;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::program::Program;
use crate::model::record::{CaseName, Experiment, Role, neighbor};
use crate::model::units::Nanos;
use crate::store::Skip;

/// Everything a run will do, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The trials in the order of running; [`PlannedTrial::order`] is the index.
    pub trials: Vec<PlannedTrial>,
    /// What was asked for and cannot be had here.
    pub skips: Vec<Skip>,
}

/// One trial to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedTrial {
    /// Its place in the plan.
    pub order: u64,
    /// Its repetition: trials of one block share the number.
    pub trial: u32,
    /// What it is for.
    pub role: Role,
    /// What is measured.
    pub experiment: Experiment,
    /// Where.
    pub platform: PlatformId,
    /// The measured guest.
    pub workload: Program,
    /// The attacker beside it.
    pub attacker: Option<Attacker>,
    /// Where the attacker, or the placebo, runs.
    pub placement: Placement,
    /// Idle instances beside it.
    pub background: u32,
    /// How many victims run at once.
    pub victims: u32,
    /// How long it is expected to take, changing the background included.
    pub estimate: Nanos,
}

impl Plan {
    /// How long the whole is expected to take.
    pub fn estimate(&self) -> Nanos {
        self.trials.iter().fold(Nanos(0), |sum, trial| sum + trial.estimate)
    }
}

impl PlannedTrial {
    /// What its case is called.
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

    /// What idles in the background: more of the same server beside a server, sleepers beside everything else.
    pub fn idle(&self) -> Program {
        if self.workload.is_server() { self.workload } else { Program::Sleep }
    }

    /// Whether a load generator drives what is measured: a server that is not only booted or weighed.
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
