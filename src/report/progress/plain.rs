//! Plain lines for logs: one when the run begins, one for every tenth of it, one for every failure.

use super::estimate::{Estimate, in_words};
use crate::host::output;
use crate::measure::session::{EngineEvent, Observer};
use crate::model::record::Outcome;
use crate::model::units::Nanos;
use crate::store::RunOutcome;

#[derive(Debug)]
pub(super) struct Plain {
    estimate: Estimate,
    planned: usize,
    done: usize,
}

impl Plain {
    pub(super) fn new() -> Self {
        Self { estimate: Estimate::new(Nanos(0)), planned: 0, done: 0 }
    }
}

impl Observer for Plain {
    fn notice(&mut self, event: &EngineEvent<'_>) {
        match event {
            EngineEvent::Preparing(text) => output::err!("{text}"),
            EngineEvent::Begun { run, dir, plan, done } => {
                let rest = plan.trials.iter().skip(*done).fold(Nanos(0), |sum, trial| sum + trial.estimate);
                (self.planned, self.done, self.estimate) = (plan.trials.len(), *done, Estimate::new(rest));
                let left = in_words(rest.into());
                output::err!("run {run}: {} trials, about {left}, in {}", self.planned - self.done, dir.display());
            }
            EngineEvent::TrialBegins(_) => {}
            EngineEvent::TrialEnded(trial, record) => {
                self.estimate.learn(trial);
                self.done += 1;
                if record.outcome == Outcome::Failed {
                    let reason = record.reason.as_deref().unwrap_or("no reason given");
                    output::err!("failed: {trial} #{}: {reason}", record.trial);
                }
                let tenth = |done: usize| done * 10 / self.planned.max(1);
                if tenth(self.done) > tenth(self.done - 1) {
                    output::err!("{}/{}: about {} left", self.done, self.planned, in_words(self.estimate.rest()));
                }
            }
            EngineEvent::Ended(RunOutcome::Complete) => {}
            EngineEvent::Ended(outcome) => output::err!("the run is {outcome}; --resume last goes on"),
        }
    }
}
