//! The progress bar. It draws between trials only: it has no ticker, so that nothing wakes while a trial is timed.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::estimate::{Estimate, in_words};
use crate::host::output;
use crate::measure::session::{EngineEvent, Observer};
use crate::model::record::Outcome;
use crate::store::RunOutcome;

#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    estimate: Estimate,
    failed: usize,
}

impl Progress {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        Self { bar, estimate: Estimate::new(crate::model::units::Nanos(0)), failed: 0 }
    }

    fn begin(&mut self, planned: usize, done: usize) {
        let template = "{prefix} [{bar:30}] {pos}/{len}  {msg}";
        let style = ProgressStyle::with_template(template).expect("the template is well formed").progress_chars("=> ");
        self.bar.set_style(style);
        self.bar.set_length(planned as u64);
        self.bar.set_position(done as u64);
    }

    fn show(&self, what: &str) {
        let failures = if self.failed > 0 { format!("  {} failed", self.failed) } else { String::new() };
        self.bar.set_message(format!("about {} left{failures}  {what}", in_words(self.estimate.rest())));
        self.bar.tick();
    }
}

impl Observer for Progress {
    fn notice(&mut self, event: &EngineEvent<'_>) {
        match event {
            EngineEvent::Preparing(text) => self.bar.suspend(|| output::err!("{text}")),
            EngineEvent::Begun { run, dir, plan, done } => {
                self.bar.suspend(|| output::err!("run {run} in {}", dir.display()));
                self.begin(plan.trials.len(), *done);
                let rest =
                    plan.trials.iter().skip(*done).fold(crate::model::units::Nanos(0), |sum, t| sum + t.estimate);
                self.estimate = Estimate::new(rest);
            }
            EngineEvent::TrialBegins(trial) => {
                self.bar.set_prefix(trial.experiment.name());
                self.show(&trial.to_string());
            }
            EngineEvent::TrialEnded(trial, record) => {
                self.estimate.learn(trial);
                if record.outcome == Outcome::Failed {
                    self.failed += 1;
                    let reason = record.reason.as_deref().unwrap_or("no reason given");
                    self.bar.suspend(|| output::err!("failed: {trial} #{}: {reason}", record.trial));
                }
                self.bar.inc(1);
            }
            EngineEvent::Ended(outcome) => {
                self.bar.finish_and_clear();
                if *outcome != RunOutcome::Complete {
                    output::err!("the run is {outcome}; --resume last goes on");
                }
            }
        }
    }
}
