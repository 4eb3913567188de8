//! Plain lines for logs: one when the run begins, one for every tenth of it, one for every failure.

use super::estimate::{Estimate, in_words};
use crate::engine::{EngineEvent, Observer};
use crate::say;
use crate::store::{Outcome, RunOutcome};
use crate::units::Nanos;

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
            EngineEvent::Preparing(text) => say::err!("{text}"),
            EngineEvent::Begun { run, dir, plan, done } => {
                let rest = plan.trials.iter().skip(*done).fold(Nanos(0), |sum, trial| sum + trial.estimate);
                (self.planned, self.done, self.estimate) = (plan.trials.len(), *done, Estimate::new(rest));
                let left = in_words(rest.into());
                say::err!("run {run}: {} trials, about {left}, in {}", self.planned - self.done, dir.display());
            }
            EngineEvent::TrialBegins(_) => {}
            EngineEvent::TrialEnded(trial, record) => {
                self.estimate.learn(trial);
                self.done += 1;
                if record.outcome == Outcome::Failed {
                    let reason = record.reason.as_deref().unwrap_or("no reason given");
                    say::err!("failed: {trial} #{}: {reason}", record.trial);
                }
                let tenth = |done: usize| done * 10 / self.planned.max(1);
                if tenth(self.done) > tenth(self.done - 1) {
                    say::err!("{}/{}: about {} left", self.done, self.planned, in_words(self.estimate.rest()));
                }
            }
            EngineEvent::Ended(RunOutcome::Complete) => {}
            EngineEvent::Ended(outcome) => say::err!("the run is {outcome}; --resume last goes on"),
        }
    }
}
