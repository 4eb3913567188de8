//! Plain lines for logs: one at the beginning, one for every tenth of the work, and one for every failure and verdict.

use std::path::Path;

use super::estimate::{Estimate, in_words};
use super::standing::{DecidedMetrics, open_metrics, stage_words};
use super::{reason, run_advice, session_advice};
use crate::host::output;
use crate::measure::plan::{Plan, PlannedTrial};
use crate::measure::{BlockProgress, Event, Observer};
use crate::model::comparison::Stage;
use crate::model::record::{Outcome, TrialRecord};
use crate::model::run::RunId;

#[derive(Debug)]
pub(super) struct Lines {
    estimate: Estimate,
    planned: usize,
    done: usize,
    decided: DecidedMetrics,
    /// The stage and its last tenth that was printed.
    tenth: Option<(Stage, usize)>,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { estimate: Estimate::default(), planned: 0, done: 0, decided: DecidedMetrics::new(), tenth: None }
    }

    fn begin_run(&mut self, run: &RunId, dir: &Path, plan: &Plan, done: usize) {
        (self.planned, self.done, self.estimate) = (plan.trials.len(), done, Estimate::after(plan, done));
        let (rest, left) = (self.planned - self.done, in_words(self.estimate.rest()));
        output::err!("run {run}: {rest} trials, about {left}, in {}", dir.display());
    }

    fn end_trial(&mut self, trial: &PlannedTrial, record: &TrialRecord) {
        self.estimate.learn(trial);
        self.done += 1;
        if record.outcome == Outcome::Failed {
            output::err!("failed: {trial} #{}: {}", record.trial, reason(record));
        }
        let tenth = |done: usize| done * 10 / self.planned.max(1);
        if tenth(self.done) > tenth(self.done - 1) {
            output::err!("{}/{}: about {} left", self.done, self.planned, in_words(self.estimate.rest()));
        }
    }

    fn end_block(&mut self, block: BlockProgress<'_>) {
        self.decided.verdicts(block.case, block.standing).iter().for_each(|verdict| output::err!("{verdict}"));
        let BlockProgress { case, stage, done, most, left, standing } = block;
        let tenth = (stage, done * 10 / most.max(1));
        if self.tenth != Some(tenth) {
            let (elapsed, left) = (self.decided.elapsed(), in_words(left));
            let (stage, open) = (stage_words(stage), open_metrics(standing));
            output::err!("{stage}: {done}/{most} blocks after {elapsed}, at most {left} more; {case}: {open}");
        }
        self.tenth = Some(tenth);
    }
}

impl Observer for Lines {
    fn notice(&mut self, event: &Event<'_>) {
        match *event {
            Event::Preparing(text) => output::err!("{text}"),
            Event::RunBegins { run, dir, plan, done } => self.begin_run(run, dir, plan, done),
            Event::TrialBegins(_) => {}
            Event::TrialEnded(trial, record) => self.end_trial(trial, record),
            Event::RunEnded(outcome) => print(run_advice(outcome)),
            Event::SessionBegins { session, dir, cases, measurable } => {
                output::err!("session {session}: {measurable} of {cases} cases, in {}", dir.display());
            }
            Event::ArmTrialFailed { case, arm, record } => {
                output::err!("{}: {case} in {arm}: {}", record.outcome, reason(record));
            }
            Event::BlockEnded(block) => self.end_block(block),
            Event::SessionEnded { outcome, dir } => print(session_advice(outcome, dir)),
        }
    }
}

fn print(advice: Option<String>) {
    if let Some(advice) = advice {
        output::err!("{advice}");
    }
}
