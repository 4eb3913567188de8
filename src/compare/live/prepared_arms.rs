//! The prepared arms of a session. One runs at a time.

use super::ArmId;
use super::arm_runners::ArmRunners;
use super::store::{AbTrial, SessionFile};
use crate::compare::rule::{Rule, Stage};
use crate::host::sampler::Sampler;
use crate::measure::plan::PlannedTrial;
use crate::measure::rig::PreparedRig;
use crate::model::record::{Experiment, Outcome, TrialRecord};
use crate::model::run::RunId;
use crate::model::units::Nanos;
use crate::platform::Error;

/// The most attempts at a first trial before its arm counts as unable.
const WARM_UP_ATTEMPTS: usize = 3;

/// The arms of a session with their guests.
#[derive(Debug)]
pub(super) struct PreparedArms<'r> {
    opened: &'r ArmRunners,
    /// In the order of `opened`.
    rigs: Vec<PreparedRig<'r>>,
}

/// A trial of an arm.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn<'a> {
    pub(super) arm: ArmId,
    /// The case.
    pub(super) name: &'a str,
    /// The trial's place in the session.
    pub(super) order: u64,
    pub(super) block: u32,
}

/// The result of the first trials of an arm: a good one and its time, or the last bad one.
pub(super) type WarmUp = Result<(TrialRecord, Nanos), TrialRecord>;

impl<'r> PreparedArms<'r> {
    pub(super) fn new(opened: &'r ArmRunners, rigs: Vec<PreparedRig<'r>>) -> Self {
        Self { opened, rigs }
    }

    pub(super) fn opened(&self) -> &'r ArmRunners {
        self.opened
    }

    /// Records the platforms of the arms and their guests.
    pub(super) fn describe(&self, file: &mut SessionFile) {
        self.opened.describe(file);
        for (arm, rig) in self.opened.all().iter().zip(&self.rigs).filter(|(arm, _)| arm.id != ArmId::Null) {
            let described = file.arm_mut(arm.id);
            (described.images, described.made) = (rig.images().to_vec(), rig.boot_artifacts());
        }
    }

    /// Runs one trial. Idle instances of other arms are ended first: only one arm is on the host at a time.
    ///
    /// # Errors
    /// As [`PreparedRig::run`].
    pub(super) fn run(&mut self, turn: Turn<'_>, sampler: Option<&Sampler>) -> Result<TrialRecord, Error> {
        let unplanned = || Error::Fatal(format!("{}: {} is not planned", turn.arm, turn.name));
        let index = self.index(turn.arm).ok_or_else(unplanned)?;
        let planned = self.opened.all()[index].find(turn.name).cloned().ok_or_else(unplanned)?;
        let planned = PlannedTrial { order: turn.order, trial: turn.block, ..planned };
        // A footprint weighs the instances themselves, so those of an earlier trial would be measured twice.
        let keeps_own = planned.experiment != Experiment::Footprint;
        let others = self.rigs.iter_mut().enumerate().filter(|(other, _)| *other != index || !keeps_own);
        let cleared = others.map(|(_, rig)| rig.clear()).fold(Ok(()), Result::and);
        self.rigs[index].run(&planned, sampler, cleared)
    }

    /// Runs a case in every arm without recording it until it succeeds, so that all arms are equally warm.
    ///
    /// # Errors
    /// As [`PreparedArms::run`].
    pub(super) fn warm_up(&mut self, name: &str, sampler: Option<&Sampler>) -> Result<Vec<(ArmId, WarmUp)>, Error> {
        let arms = self.opened.all().iter().map(|arm| arm.id);
        arms.map(|arm| Ok((arm, self.warm_up_one(arm, name, sampler)?))).collect()
    }

    /// As [`PreparedArms::warm_up`], for one arm.
    ///
    /// # Errors
    /// As [`PreparedArms::run`].
    pub(super) fn warm_up_one(&mut self, arm: ArmId, name: &str, sampler: Option<&Sampler>) -> Result<WarmUp, Error> {
        let turn = Turn { arm, name, order: 0, block: 0 };
        let mut last = self.timed(turn, sampler)?;
        for _ in 1..WARM_UP_ATTEMPTS {
            if last.0.outcome != Outcome::Failed {
                break;
            }
            last = self.timed(turn, sampler)?;
        }
        if last.0.outcome != Outcome::Ok {
            return Ok(Err(last.0));
        }
        if self.may_be_quick(turn, last.1) {
            // A first trial may prepare what later ones find ready, and the time decides the size of a block.
            let (again, took) = self.timed(turn, sampler)?;
            last.1 = if again.outcome == Outcome::Ok { last.1.min(took) } else { last.1 };
        }
        Ok(Ok(last))
    }

    fn timed(&mut self, turn: Turn<'_>, sampler: Option<&Sampler>) -> Result<(TrialRecord, Nanos), Error> {
        let began = self.now(turn.arm);
        let record = self.run(turn, sampler)?;
        Ok((record, self.now(turn.arm).saturating_sub(began)))
    }

    /// Whether later trials may be much quicker than the first, which took `time`. With a background they are not: within
    /// a block, another arm's background is often replaced, as it was before the first trial.
    fn may_be_quick(&self, turn: Turn<'_>, time: Nanos) -> bool {
        let planned = self.index(turn.arm).and_then(|index| self.opened.all()[index].find(turn.name));
        let is_alone = planned.is_some_and(|planned| planned.background == 0);
        is_alone && time < Nanos::SECOND && Rule::for_trials_of(time) != Rule::QUICK
    }

    fn now(&self, arm: ArmId) -> Nanos {
        self.index(arm).map_or(Nanos(0), |index| self.rigs[index].rig().now())
    }

    /// The place of an arm; `None` for the null control of a session without one.
    fn index(&self, arm: ArmId) -> Option<usize> {
        self.opened.all().iter().position(|opened| opened.id == arm)
    }

    /// Ends the background instances of every arm.
    pub(super) fn clear(&mut self, problems: &mut Vec<String>) {
        problems.extend(self.rigs.iter_mut().filter_map(|rig| rig.clear().err()).map(|e| e.to_string()));
    }
}

impl AbTrial {
    /// A trial of `session`. The arm that measured it has a run id of its own.
    pub(super) fn new(record: TrialRecord, session: &RunId, turn: Turn<'_>, stage: Stage, attempt: u32) -> Self {
        let record = TrialRecord { run: session.clone(), ..record };
        Self { record, arm: turn.arm, stage, block: turn.block, attempt }
    }
}
