//! The lanes of a session, of which one works at a time.

use super::case::planned_name;
use super::lane::{Lane, Opening};
use super::store::{AbTrial, Arms, SessionFile};
use super::{Which, block};
use crate::compare::rule::Rule;
use crate::host::Topology;
use crate::host::ledger::Leftovers;
use crate::host::sampler::Sampler;
use crate::measure::plan::{Plan, PlannedTrial};
use crate::measure::session::{EngineError, Observer};
use crate::model::record::{Experiment, Outcome, TrialRecord};
use crate::model::run::RunId;
use crate::model::units::Nanos;
use crate::platform::arm::Arm;
use crate::platform::{Burden, Error};

/// How often a first trial is tried before its arm is taken to be unable.
const WARM_ATTEMPTS: usize = 3;

/// Every lane of a session, open.
#[derive(Debug)]
pub(super) struct Lanes(Vec<Lane>);

/// What surrounds a trial, whatever its lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) topology: &'a Topology,
    pub(super) sampler: Option<&'a Sampler>,
}

/// What the trial of a lane is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) which: Which,
    /// The case.
    pub(super) name: &'a str,
    /// Its place in the session.
    pub(super) order: u64,
    /// Its block.
    pub(super) block: u32,
}

/// What the first trials of a lane showed: a good one and how long it took, or the last that was not.
pub(super) type Warm = Result<(TrialRecord, Nanos), TrialRecord>;

impl Lanes {
    /// Opens a lane for every arm, and one more of A for the null control.
    ///
    /// # Errors
    /// When a ledger cannot be written.
    pub(super) fn open(arms: &Arms, null_control: bool, opening: &Opening<'_>) -> Result<Self, EngineError> {
        let arm = |which| if which == Which::B { &arms.b.arm } else { &arms.a.arm };
        let lanes = block::lanes(null_control).iter().map(|&which| Lane::open(which, &openable(arm(which)), opening));
        lanes.collect::<Result<Vec<_>, _>>().map(Self)
    }

    pub(super) fn all(&self) -> &[Lane] {
        &self.0
    }

    /// The cases that either arm can run and whose name contains `word`, in the order of their plans.
    pub(super) fn names(&self, word: Option<&str>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.0.iter().flat_map(Lane::planned).map(planned_name) {
            if !names.contains(&name) && word.is_none_or(|word| name.contains(word)) {
                names.push(name);
            }
        }
        names
    }

    /// Why a case cannot be measured: an arm cannot run it.
    pub(super) fn missing(&self, name: &str) -> Option<String> {
        let unable = self.0.iter().filter(|lane| lane.find(name).is_none() && lane.which != Which::Null);
        let why = |lane: &Lane| match lane.skips().as_slice() {
            [] => format!("{} does not have this case", lane.which),
            reasons => format!("{}: {}", lane.which, reasons.join("; ")),
        };
        Some(unable.map(why).collect::<Vec<_>>().join("; ")).filter(|why| !why.is_empty())
    }

    /// The lane; `None` for the null control of a session without.
    pub(super) fn get(&self, which: Which) -> Option<&Lane> {
        self.0.iter().find(|lane| lane.which == which)
    }

    /// The runs that everything belongs to.
    pub(super) fn run_ids(&self) -> impl Iterator<Item = RunId> {
        self.0.iter().map(|lane| lane.run_id().clone())
    }

    /// All that they can measure, as one plan.
    pub(super) fn plan(&self) -> Plan {
        Plan { trials: self.0.iter().flat_map(|lane| lane.planned().to_vec()).collect(), skips: Vec::new() }
    }

    /// What the host bears for their instances.
    pub(super) fn burdens(&self) -> Vec<Burden> {
        self.0.iter().flat_map(Lane::burdens).collect()
    }

    /// Builds and prepares the guests of every lane.
    ///
    /// # Errors
    /// As [`Lane::prepare`].
    pub(super) fn prepare(&mut self, observer: &mut dyn Observer) -> Result<(), EngineError> {
        self.0.iter_mut().try_for_each(|lane| lane.prepare(observer))
    }

    /// Writes down what the arms are here.
    pub(super) fn describe(&self, file: &mut SessionFile) {
        for lane in self.0.iter().filter(|lane| lane.which != Which::Null) {
            let arm = file.arm_mut(lane.which);
            (arm.entry, arm.images, arm.made) = (lane.entry().cloned(), lane.images().to_vec(), lane.made());
        }
    }

    /// The case of that name in a lane.
    fn planned(&self, which: Which, name: &str) -> Option<&PlannedTrial> {
        self.get(which)?.find(name)
    }

    /// Runs one trial. Idle instances of other lanes are ended first: only one arm is on the host at a time.
    ///
    /// # Errors
    /// As [`Lane::run`].
    pub(super) fn run(&mut self, turn: Turn<'_>, around: Around<'_>) -> Result<TrialRecord, Error> {
        let unplanned = || Error::Fatal(format!("{}: {} is not planned", turn.which, turn.name));
        let planned = self.planned(turn.which, turn.name).cloned().ok_or_else(unplanned)?;
        let planned = PlannedTrial { order: turn.order, trial: turn.block, ..planned };
        // What is weighed are the instances themselves: those of an earlier trial would be the same ones once more.
        let is_in_the_way = |lane: &&mut Lane| lane.which != turn.which || planned.experiment == Experiment::Footprint;
        let cleared = self.0.iter_mut().filter(is_in_the_way).map(Lane::clear).fold(Ok(()), Result::and);
        let lane = self.0.iter_mut().find(|lane| lane.which == turn.which).ok_or_else(unplanned)?;
        lane.run(&planned, around.topology, around.sampler, cleared)
    }

    /// Lets every lane run a case that is not recorded until it is good, so that all are equally warm and known to work.
    ///
    /// # Errors
    /// As [`Lane::run`].
    pub(super) fn warm_up(&mut self, name: &str, around: Around<'_>) -> Result<Vec<(Which, Warm)>, Error> {
        let lanes: Vec<Which> = self.0.iter().map(|lane| lane.which).collect();
        lanes.into_iter().map(|which| Ok((which, self.warm_up_one(which, name, around)?))).collect()
    }

    /// As [`Lanes::warm_up`], of one lane.
    pub(super) fn warm_up_one(&mut self, which: Which, name: &str, around: Around<'_>) -> Result<Warm, Error> {
        let turn = Turn { which, name, order: 0, block: 0 };
        let timed = |lanes: &mut Self| {
            let now = |lanes: &Self| lanes.get(which).map_or(Nanos(0), Lane::now);
            let began = now(lanes);
            let record = lanes.run(turn, around)?;
            Ok::<_, Error>((record, now(lanes).saturating_sub(began)))
        };
        let mut last = timed(self)?;
        for _ in 1..WARM_ATTEMPTS {
            if last.0.outcome != Outcome::Failed {
                break;
            }
            last = timed(self)?;
        }
        // Within a block, what idles beside a trial is often another lane's and starts anew, as it did for the first.
        let is_alone = self.planned(which, name).is_some_and(|planned| planned.background == 0);
        let is_doubtful = is_alone && last.1 < Nanos::SECOND && Rule::for_trials_of(last.1) != Rule::QUICK;
        if last.0.outcome == Outcome::Ok && is_doubtful {
            // A first trial may pay for what later ones find ready; how quick they are decides how many make a block.
            let again = timed(self)?;
            last.1 = if again.0.outcome == Outcome::Ok { last.1.min(again.1) } else { last.1 };
        }
        Ok(if last.0.outcome == Outcome::Ok { Ok(last) } else { Err(last.0) })
    }

    /// Ends what idles beside the trials.
    pub(super) fn clear(&mut self, problems: &mut Vec<String>) {
        problems.extend(self.0.iter_mut().filter_map(|lane| lane.clear().err()).map(|e| e.to_string()));
    }

    /// Removes everything that the lanes made; tells what their ledgers still found.
    pub(super) fn close(self, problems: &mut Vec<String>) -> Vec<Leftovers> {
        let left = self.0.into_iter().map(|lane| lane.close(problems));
        left.filter(|left| *left != Leftovers::default()).collect()
    }
}

/// What of an arm can be opened before its busy work is known as a time.
fn openable(arm: &Arm) -> Arm {
    let mut arm = arm.clone();
    if arm.settings.is_unresolved() {
        arm.settings.inject = None;
    }
    arm
}

impl AbTrial {
    /// A trial of `session`, whose lane has a run of its own.
    pub(super) fn new(
        record: TrialRecord,
        session: &RunId,
        turn: Turn<'_>,
        stage: crate::compare::rule::Stage,
        attempt: u32,
    ) -> Self {
        let record = TrialRecord { run: session.clone(), ..record };
        Self { record, arm: turn.which, stage, block: turn.block, attempt }
    }
}
