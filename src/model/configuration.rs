//! The resolved configuration of a run. Nothing is decided after it.

use serde::{Deserialize, Serialize};

use super::flat_configuration::FlatConfiguration;
use crate::model::attacker::Attacker;
use crate::model::load::Load;
use crate::model::names::named_enum;
use crate::model::placement::Placement;
use crate::model::platform::{Networking, PlatformId};
use crate::model::program::Program;
use crate::model::record::Experiment;

named_enum! {
    /// How much is measured.
    pub enum Profile ("profile") {
        /// Takes minutes; shows that everything works and what the figures look like.
        Quick = "quick",
        /// Takes hours; its intervals are narrow enough for decisions.
        Standard = "standard",
        /// The thesis's numbers: up to 1,000 instances in steps of 10 and 5 passes; in isolation 20 passes.
        Paper = "paper",
    }
}

named_enum! {
    /// The order in which the levels of a ladder are visited.
    pub enum LadderOrder ("ladder order") {
        /// Shuffled in every pass, so that drift of the host does not look like an effect of the level.
        Shuffled = "shuffled",
        /// Rising, as in the thesis. The report then shows no trend test.
        Growth = "growth",
    }
}

/// A resolved configuration, stored in `run.json`. The same configuration and seed give the same plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "FlatConfiguration", into = "FlatConfiguration")]
pub struct Configuration {
    /// What is measured, with the parameters of that experiment.
    pub design: Design,
    /// The profile it was resolved from.
    pub profile: Profile,
    /// The thesis's code that selected it, such as `d_sql_s`.
    pub name: Option<String>,
    /// The platforms to measure.
    pub platforms: Vec<PlatformId>,
    /// The measured guests; empty in runs of versions with one guest for each experiment. See [`Configuration::measured`].
    pub workloads: Vec<Program>,
    /// How instances are connected in trials without a server. Servers, and instances next to them, are on a bridge.
    pub network: Networking,
    /// Passes over all cases: ladders, or rounds of victim, placebo and attackers.
    pub runs: u32,
    /// Quanta of the noise guard on each measuring core; 0 switches it off.
    pub noise_quanta: u32,
    /// Seconds after which a trial is aborted.
    pub timeout_s: u64,
    /// Seeds the order of the trials.
    pub seed: u64,
    /// Only cases whose name contains this text are run.
    pub filter: Option<String>,
}

/// The parameters of one experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Design {
    /// Boots at each level of a ladder.
    Boot {
        /// The levels.
        ladder: Ladder,
        /// Boots at each level in each pass.
        boots: u32,
    },
    /// Memory of idle instances at each level of a ladder.
    Footprint {
        /// The levels.
        ladder: Ladder,
    },
    /// The smallest guest memory that still boots.
    MinimumMemory,
    /// A victim at each level of a ladder, and several victims at once.
    Scalability {
        /// The levels.
        ladder: Ladder,
        /// The numbers of victims at once.
        victims: Vec<u32>,
        /// What a victim does.
        work: Work,
    },
    /// A victim next to each attacker at each placement.
    Isolation {
        /// The placements.
        placements: Vec<Placement>,
        /// The attackers of SQLite.
        attackers: Vec<Attacker>,
        /// The attackers of servers.
        server_attackers: Vec<Attacker>,
        /// What the victim does.
        work: Work,
    },
}

/// Numbers of background instances.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    /// The numbers, ascending.
    pub levels: Vec<u32>,
    /// The order in which they are visited.
    pub order: LadderOrder,
}

/// What victims do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// Rows that the SQLite victim inserts.
    pub rows: u32,
    /// How hard servers are driven.
    pub load: Load,
}

impl Design {
    /// The experiment.
    pub const fn experiment(&self) -> Experiment {
        match self {
            Design::Boot { .. } => Experiment::Boot,
            Design::Footprint { .. } | Design::MinimumMemory => Experiment::Footprint,
            Design::Scalability { .. } => Experiment::Scalability,
            Design::Isolation { .. } => Experiment::Isolation,
        }
    }

    /// The ladder; `None` for a search and for isolation.
    pub const fn ladder(&self) -> Option<&Ladder> {
        match self {
            Design::Boot { ladder, .. } | Design::Footprint { ladder } | Design::Scalability { ladder, .. } => {
                Some(ladder)
            }
            Design::MinimumMemory | Design::Isolation { .. } => None,
        }
    }

    /// The same, to change it.
    pub const fn ladder_mut(&mut self) -> Option<&mut Ladder> {
        match self {
            Design::Boot { ladder, .. } | Design::Footprint { ladder } | Design::Scalability { ladder, .. } => {
                Some(ladder)
            }
            Design::MinimumMemory | Design::Isolation { .. } => None,
        }
    }

    /// What victims do; `None` without victims.
    pub const fn work(&self) -> Option<&Work> {
        match self {
            Design::Scalability { work, .. } | Design::Isolation { work, .. } => Some(work),
            Design::Boot { .. } | Design::Footprint { .. } | Design::MinimumMemory => None,
        }
    }

    /// The same, to change it.
    pub const fn work_mut(&mut self) -> Option<&mut Work> {
        match self {
            Design::Scalability { work, .. } | Design::Isolation { work, .. } => Some(work),
            Design::Boot { .. } | Design::Footprint { .. } | Design::MinimumMemory => None,
        }
    }
}

impl Configuration {
    /// The experiment.
    pub const fn experiment(&self) -> Experiment {
        self.design.experiment()
    }

    /// Whether the smallest guest memory is searched for.
    pub const fn is_minimum(&self) -> bool {
        matches!(self.design, Design::MinimumMemory)
    }

    /// The numbers of background instances. A search has none in the background.
    pub fn levels(&self) -> &[u32] {
        match (&self.design, self.design.ladder()) {
            (_, Some(ladder)) => &ladder.levels,
            (Design::MinimumMemory, None) => &[0],
            (_, None) => &[],
        }
    }

    /// The order of the levels.
    pub fn ladder_order(&self) -> LadderOrder {
        self.design.ladder().map_or(LadderOrder::Shuffled, |ladder| ladder.order)
    }

    /// The numbers of victims at once; empty outside of scalability.
    pub fn victims(&self) -> &[u32] {
        match &self.design {
            Design::Scalability { victims, .. } => victims,
            _ => &[],
        }
    }

    /// The placements; empty outside of isolation.
    pub fn placements(&self) -> &[Placement] {
        match &self.design {
            Design::Isolation { placements, .. } => placements,
            _ => &[],
        }
    }

    /// Rows that the SQLite victim inserts; 0 without victims.
    pub fn rows(&self) -> u32 {
        self.design.work().map_or(0, |work| work.rows)
    }

    /// How hard servers are driven; the thesis's load without victims, where nothing is driven.
    pub fn load(&self) -> Load {
        self.design.work().map_or(thesis_load(), |work| work.load)
    }

    /// The measured guests; the experiment's own guest in runs that name none.
    pub fn measured(&self) -> Vec<Program> {
        match (self.workloads.as_slice(), self.experiment()) {
            ([], Experiment::Boot) => vec![Program::Hello],
            ([], Experiment::Footprint) => vec![Program::Sleep],
            ([], Experiment::Scalability | Experiment::Isolation) => vec![Program::Sqlite],
            (workloads, _) => workloads.to_vec(),
        }
    }

    /// The number of trials of each case.
    pub fn repetitions(&self) -> u32 {
        self.runs.saturating_mul(self.each_pass())
    }

    /// The number of trials of a case in one pass.
    pub fn each_pass(&self) -> u32 {
        match self.design {
            Design::Boot { boots, .. } => boots,
            _ => 1,
        }
    }

    /// The attackers of `victim`; empty outside of isolation.
    pub fn attackers_of(&self, victim: Program) -> &[Attacker] {
        match &self.design {
            Design::Isolation { server_attackers, .. } if victim.is_server() => server_attackers,
            Design::Isolation { attackers, .. } => attackers,
            _ => &[],
        }
    }

    /// How the instances of a trial that measures `workload` are connected.
    pub fn network_of(&self, workload: Program) -> Networking {
        if workload.is_server() { Networking::Bridge } else { self.network }
    }
}

/// The thesis's load, which the profile `paper` uses.
pub(crate) const fn thesis_load() -> Load {
    Load { seconds: 20, connections: 30, threads: 14, requests: 10_000_000, clients: 30, pipeline: 16 }
}
