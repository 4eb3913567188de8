//! The progress bar. It has no ticker and draws between trials only, so that nothing wakes while a trial is timed.

use std::path::Path;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::estimate::{Estimate, in_words};
use super::standing::{DecidedMetrics, open_metrics, stage_words};
use super::{reason, run_advice, session_advice};
use crate::host::output;
use crate::measure::plan::{Plan, PlannedTrial};
use crate::measure::{BlockProgress, Event, Observer};
use crate::model::record::{Outcome, TrialRecord};
use crate::model::run::RunId;

const TRIALS: &str = "{prefix} [{bar:30}] {pos}/{len}  {msg}";
const BLOCKS: &str = "{prefix} [{bar:20}] {pos}/{len} blocks  {msg}";

#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    estimate: Estimate,
    failed: usize,
    decided: DecidedMetrics,
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        Self { bar, estimate: Estimate::default(), failed: 0, decided: DecidedMetrics::new() }
    }

    fn print(&self, line: &str) {
        self.bar.suspend(|| output::err!("{line}"));
    }

    fn set_template(&self, template: &str) {
        let style = ProgressStyle::with_template(template).expect("the template is well formed");
        self.bar.set_style(style.progress_chars("=> "));
    }

    fn begin_run(&mut self, run: &RunId, dir: &Path, plan: &Plan, done: usize) {
        self.print(&format!("run {run} in {}", dir.display()));
        self.set_template(TRIALS);
        self.bar.set_length(plan.trials.len() as u64);
        self.bar.set_position(done as u64);
        self.estimate = Estimate::after(plan, done);
    }

    fn begin_trial(&self, trial: &PlannedTrial) {
        self.bar.set_prefix(trial.experiment.name());
        let failures = if self.failed > 0 { format!("  {} failed", self.failed) } else { String::new() };
        self.bar.set_message(format!("about {} left{failures}  {trial}", in_words(self.estimate.rest())));
        self.bar.tick();
    }

    fn end_trial(&mut self, trial: &PlannedTrial, record: &TrialRecord) {
        self.estimate.learn(trial);
        if record.outcome == Outcome::Failed {
            self.failed += 1;
            self.print(&format!("failed: {trial} #{}: {}", record.trial, reason(record)));
        }
        self.bar.inc(1);
    }

    fn end_block(&mut self, block: BlockProgress<'_>) {
        self.decided.verdicts(block.case, block.standing).iter().for_each(|verdict| self.print(verdict));
        self.set_template(BLOCKS);
        self.bar.set_prefix(stage_words(block.stage));
        self.bar.set_length(block.most as u64);
        self.bar.set_position(block.done as u64);
        let (elapsed, left) = (self.decided.elapsed(), in_words(block.left));
        let open = open_metrics(block.standing);
        self.bar.set_message(format!("after {elapsed}, at most {left} more  {}: {open}", block.case));
        self.bar.tick();
    }

    fn end(&self, advice: Option<String>) {
        self.bar.finish_and_clear();
        if let Some(advice) = advice {
            output::err!("{advice}");
        }
    }
}

impl Observer for Bar {
    fn notice(&mut self, event: &Event<'_>) {
        match *event {
            Event::Preparing(text) => self.print(text),
            Event::RunBegins { run, dir, plan, done } => self.begin_run(run, dir, plan, done),
            Event::TrialBegins(trial) => self.begin_trial(trial),
            Event::TrialEnded(trial, record) => self.end_trial(trial, record),
            Event::RunEnded(outcome) => self.end(run_advice(outcome)),
            Event::SessionBegins { session, dir, cases, measurable } => {
                self.print(&format!("session {session}: {measurable} of {cases} cases, in {}", dir.display()));
            }
            Event::ArmTrialFailed { case, arm, record } => {
                self.print(&format!("{}: {case} in {arm}: {}", record.outcome, reason(record)));
            }
            Event::BlockEnded(block) => self.end_block(block),
            Event::SessionEnded { outcome, dir } => self.end(session_advice(outcome, dir)),
        }
    }
}
