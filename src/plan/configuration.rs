//! What a run was asked to do, resolved: nothing is decided after this.

use serde::{Deserialize, Serialize};

use crate::attacker::Attacker;
use crate::names::named_enum;
use crate::placement::Placement;
use crate::platform::PlatformId;
use crate::store::Experiment;

named_enum! {
    /// How much is measured.
    pub enum Profile ("profile") {
        /// Minutes: enough to see that everything works and what the figures look like.
        Quick = "quick",
        /// An hour or two: intervals worth deciding on.
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
    /// The attackers of `isolation`; empty elsewhere.
    pub attackers: Vec<Attacker>,
    /// The placements of `isolation`; empty elsewhere.
    pub placements: Vec<Placement>,
    /// The numbers of background instances, ascending.
    pub ladder: Vec<u32>,
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
