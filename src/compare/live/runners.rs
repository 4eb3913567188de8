//! The lanes of a session, of which one works at a time.

use super::case::planned_name;
use super::runner::{ArmRunner, Opening};
use super::store::{AbTrial, Arms, SessionFile};
use super::{ArmId, block};
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
use crate::platform::{Error, ResourceCost};

/// How often a first trial is tried before its arm is taken to be unable.
const WARM_ATTEMPTS: usize = 3;

/// Every lane of a session, open.
#[derive(Debug)]
pub(super) struct ArmRunners(Vec<ArmRunner>);

/// What surrounds a trial, whatever its lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) topology: &'a Topology,
    pub(super) sampler: Option<&'a Sampler>,
}

/// What the trial of a lane is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) which: ArmId,
    /// The case.
    pub(super) name: &'a str,
    /// Its place in the session.
    pub(super) order: u64,
    /// Its block.
    pub(super) block: u32,
}

/// What the first trials of a lane showed: a good one and how long it took, or the last that was not.
pub(super) type Warm = Result<(TrialRecord, Nanos), TrialRecord>;

impl ArmRunners {
    /// Opens a lane for every arm, and one more of A for the null control.
    ///
    /// # Errors
    /// When a ledger cannot be written.
    pub(super) fn open(arms: &Arms, null_control: bool, opening: &Opening<'_>) -> Result<Self, EngineError> {
        let arm = |which| if which == ArmId::B { &arms.b.arm } else { &arms.a.arm };
        let runners =
            block::runners(null_control).iter().map(|&which| ArmRunner::open(which, &openable(arm(which)), opening));
        runners.collect::<Result<Vec<_>, _>>().map(Self)
    }

    pub(super) fn all(&self) -> &[ArmRunner] {
        &self.0
    }

    /// The cases that either arm can run and whose name contains `word`, in the order of their plans.
    pub(super) fn names(&self, word: Option<&str>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.0.iter().flat_map(ArmRunner::planned).map(planned_name) {
            if !names.contains(&name) && word.is_none_or(|word| name.contains(word)) {
                names.push(name);
            }
        }
        names
    }

    /// Why a case cannot be measured: an arm cannot run it.
    pub(super) fn missing(&self, name: &str) -> Option<String> {
        let unable = self.0.iter().filter(|runner| runner.find(name).is_none() && runner.which != ArmId::Null);
        let why = |runner: &ArmRunner| match runner.skips().as_slice() {
            [] => format!("{} does not have this case", runner.which),
            reasons => format!("{}: {}", runner.which, reasons.join("; ")),
        };
        Some(unable.map(why).collect::<Vec<_>>().join("; ")).filter(|why| !why.is_empty())
    }

    /// The lane; `None` for the null control of a session without.
    pub(super) fn get(&self, which: ArmId) -> Option<&ArmRunner> {
        self.0.iter().find(|runner| runner.which == which)
    }

    /// The runs that everything belongs to.
    pub(super) fn run_ids(&self) -> impl Iterator<Item = RunId> {
        self.0.iter().map(|runner| runner.run_id().clone())
    }

    /// All that they can measure, as one plan.
    pub(super) fn plan(&self) -> Plan {
        Plan { trials: self.0.iter().flat_map(|runner| runner.planned().to_vec()).collect(), skips: Vec::new() }
    }

    /// What the host bears for their instances.
    pub(super) fn resource_costs(&self) -> Vec<ResourceCost> {
        self.0.iter().flat_map(ArmRunner::resource_costs).collect()
    }

    /// Builds and prepares the guests of every lane.
    ///
    /// # Errors
    /// As [`ArmRunner::prepare`].
    pub(super) fn prepare(&mut self, observer: &mut dyn Observer) -> Result<(), EngineError> {
        self.0.iter_mut().try_for_each(|runner| runner.prepare(observer))
    }

    /// Writes down what the arms are here.
    pub(super) fn describe(&self, file: &mut SessionFile) {
        for runner in self.0.iter().filter(|runner| runner.which != ArmId::Null) {
            let arm = file.arm_mut(runner.which);
            (arm.entry, arm.images, arm.made) = (runner.entry().cloned(), runner.images().to_vec(), runner.made());
        }
    }

    /// The case of that name in a lane.
    fn planned(&self, which: ArmId, name: &str) -> Option<&PlannedTrial> {
        self.get(which)?.find(name)
    }

    /// Runs one trial. Idle instances of other lanes are ended first: only one arm is on the host at a time.
    ///
    /// # Errors
    /// As [`ArmRunner::run`].
    pub(super) fn run(&mut self, turn: Turn<'_>, around: Around<'_>) -> Result<TrialRecord, Error> {
        let unplanned = || Error::Fatal(format!("{}: {} is not planned", turn.which, turn.name));
        let planned = self.planned(turn.which, turn.name).cloned().ok_or_else(unplanned)?;
        let planned = PlannedTrial { order: turn.order, trial: turn.block, ..planned };
        // What is weighed are the instances themselves: those of an earlier trial would be the same ones once more.
        let is_in_the_way =
            |runner: &&mut ArmRunner| runner.which != turn.which || planned.experiment == Experiment::Footprint;
        let cleared = self.0.iter_mut().filter(is_in_the_way).map(ArmRunner::clear).fold(Ok(()), Result::and);
        let runner = self.0.iter_mut().find(|runner| runner.which == turn.which).ok_or_else(unplanned)?;
        runner.run(&planned, around.topology, around.sampler, cleared)
    }

    /// Lets every lane run a case that is not recorded until it is good, so that all are equally warm and known to work.
    ///
    /// # Errors
    /// As [`ArmRunner::run`].
    pub(super) fn warm_up(&mut self, name: &str, around: Around<'_>) -> Result<Vec<(ArmId, Warm)>, Error> {
        let runners: Vec<ArmId> = self.0.iter().map(|runner| runner.which).collect();
        runners.into_iter().map(|which| Ok((which, self.warm_up_one(which, name, around)?))).collect()
    }

    /// As [`ArmRunners::warm_up`], of one lane.
    pub(super) fn warm_up_one(&mut self, which: ArmId, name: &str, around: Around<'_>) -> Result<Warm, Error> {
        let turn = Turn { which, name, order: 0, block: 0 };
        let timed = |runners: &mut Self| {
            let now = |runners: &Self| runners.get(which).map_or(Nanos(0), ArmRunner::now);
            let began = now(runners);
            let record = runners.run(turn, around)?;
            Ok::<_, Error>((record, now(runners).saturating_sub(began)))
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
        problems.extend(self.0.iter_mut().filter_map(|runner| runner.clear().err()).map(|e| e.to_string()));
    }

    /// Removes everything that the lanes made; tells what their ledgers still found.
    pub(super) fn close(self, problems: &mut Vec<String>) -> Vec<Leftovers> {
        let left = self.0.into_iter().map(|runner| runner.close(problems));
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
