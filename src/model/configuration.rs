//! What a run was asked to do, resolved: nothing is decided after this.

use serde::{Deserialize, Serialize};

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
        /// Minutes: enough to see that everything works and what the figures look like.
        Quick = "quick",
        /// Hours: intervals worth deciding on.
        Standard = "standard",
        /// The main source's own numbers: 1,000 instances by 10, 5 runs; isolation 20 runs.
        Paper = "paper",
    }
}

named_enum! {
    /// In which order the levels of a ladder are visited.
    pub enum LadderOrder ("ladder order") {
        /// Shuffled in every pass, so that drift of the host is not taken for an effect of the level.
        Shuffled = "shuffled",
        /// Rising, as the main source did: claims no trend test.
        Growth = "growth",
    }
}

/// A resolved configuration, stored in `run.json`. The same configuration and seed give the same plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// What is measured.
    pub experiment: Experiment,
    /// The profile it was resolved from.
    pub profile: Profile,
    /// The thesis's code it was asked by, such as `d_sql_s`.
    pub name: Option<String>,
    /// Where it is measured.
    pub platforms: Vec<PlatformId>,
    /// The measured guests; empty in runs of versions that had one an experiment. See [`Configuration::measured`].
    #[serde(default)]
    pub workloads: Vec<Program>,
    /// How instances are connected where nothing in the trial serves. What serves is on a bridge, and so is what stands
    /// beside it.
    #[serde(default = "unconnected")]
    pub network: Networking,
    /// How hard servers are driven.
    #[serde(default = "thesis_load")]
    pub load: Load,
    /// The attackers of `isolation`; empty elsewhere.
    pub attackers: Vec<Attacker>,
    /// The attackers beside a server, where they are not those beside SQLite.
    #[serde(default)]
    pub server_attackers: Vec<Attacker>,
    /// The placements of `isolation`; empty elsewhere.
    pub placements: Vec<Placement>,
    /// The numbers of background instances, ascending.
    pub ladder: Vec<u32>,
    /// Instead of weighing idle instances, `footprint` looks for the smallest guest memory that still boots.
    #[serde(default)]
    pub minimum: bool,
    /// In which order they are visited.
    pub ladder_order: LadderOrder,
    /// The numbers of victims at once in the parallel mode of `scalability`; empty elsewhere.
    pub victims: Vec<u32>,
    /// Passes over the whole: ladders, or blocks of victim, placebo and attackers.
    pub runs: u32,
    /// Boots at each level in each pass.
    pub boots: u32,
    /// Rows that the SQLite victim inserts.
    pub rows: u32,
    /// Quanta of the noise guard on each measuring core; 0 switches it off.
    pub noise_quanta: u32,
    /// After how many seconds a trial is given up.
    pub timeout_s: u64,
    /// Seeds the order of the trials.
    pub seed: u64,
    /// Only cases whose name contains this word are run.
    pub filter: Option<String>,
}

impl Configuration {
    /// The measured guests; those of a run that names none are its experiment's own.
    pub fn measured(&self) -> Vec<Program> {
        match (self.workloads.as_slice(), self.experiment) {
            ([], Experiment::Boot) => vec![Program::Hello],
            ([], Experiment::Footprint) => vec![Program::Sleep],
            ([], Experiment::Scalability | Experiment::Isolation) => vec![Program::Sqlite],
            (workloads, _) => workloads.to_vec(),
        }
    }

    /// How many trials each case gets.
    pub fn repetitions(&self) -> u32 {
        self.runs.saturating_mul(self.each_pass())
    }

    /// How many trials a case gets in one of the [`Configuration::runs`].
    pub fn each_pass(&self) -> u32 {
        if self.experiment == Experiment::Boot { self.boots } else { 1 }
    }

    /// The attackers beside `victim`.
    pub fn attackers_of(&self, victim: Program) -> &[Attacker] {
        if victim.is_server() { &self.server_attackers } else { &self.attackers }
    }

    /// How the instances of a trial that measures `workload` are connected.
    pub fn network_of(&self, workload: Program) -> Networking {
        if workload.is_server() { Networking::Bridge } else { self.network }
    }
}

fn unconnected() -> Networking {
    Networking::None
}

/// The thesis's load; it is what `paper` has.
pub(crate) fn thesis_load() -> Load {
    Load { seconds: 20, connections: 30, threads: 14, requests: 10_000_000, clients: 30, pipeline: 16 }
}
