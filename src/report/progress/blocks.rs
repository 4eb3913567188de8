//! Watching a comparison of two arms: how many blocks are done and how the metrics stand.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::estimate::in_words;
use crate::compare::live::{Event, Standing, Watcher};
use crate::compare::rule::{Next, Stage};
use crate::host::output;
use crate::store::RunOutcome;

/// A bar for a terminal. It draws between trials only.
#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    told: DecidedMetrics,
}

impl Bar {
    pub(super) fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template("{prefix} [{bar:20}] {pos}/{len} blocks  {msg}");
        bar.set_style(style.expect("the template is well formed").progress_chars("=> "));
        Self { bar, told: DecidedMetrics::new() }
    }
}

impl Watcher for Bar {
    fn notice(&mut self, event: &Event<'_>) {
        match event {
            Event::Block { case, stage, done, most, left, standing } => {
                for verdict in self.told.verdicts(case, standing) {
                    self.bar.suspend(|| output::err!("{verdict}"));
                }
                self.bar.set_prefix(words(*stage));
                self.bar.set_length(*most as u64);
                self.bar.set_position(*done as u64);
                let (elapsed, left) = (self.told.elapsed(), in_words(*left));
                self.bar.set_message(format!("after {elapsed}, at most {left} more  {case}: {}", stand(standing)));
                self.bar.tick();
            }
            Event::Ended { outcome, dir } => {
                self.bar.finish_and_clear();
                ended(*outcome, dir);
            }
            other => self.bar.suspend(|| plain(other)),
        }
    }
}

/// Plain lines for logs: one for every verdict and one for every tenth of a stage.
#[derive(Debug)]
pub(super) struct Lines {
    told: DecidedMetrics,
    tenth: Option<(Stage, usize)>,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { told: DecidedMetrics::new(), tenth: None }
    }
}

impl Watcher for Lines {
    fn notice(&mut self, event: &Event<'_>) {
        match event {
            Event::Block { case, stage, done, most, left, standing } => {
                self.told.verdicts(case, standing).iter().for_each(|verdict| output::err!("{verdict}"));
                let tenth = (*stage, done * 10 / (*most).max(1));
                if self.tenth != Some(tenth) {
                    let (elapsed, left) = (self.told.elapsed(), in_words(*left));
                    let (stage, stand) = (words(*stage), stand(standing));
                    output::err!("{stage}: {done}/{most} blocks after {elapsed}, at most {left} more; {case}: {stand}");
                }
                self.tenth = Some(tenth);
            }
            Event::Ended { outcome, dir } => ended(*outcome, dir),
            other => plain(other),
        }
    }
}

/// The verdicts that were told, and since when.
#[derive(Debug)]
struct DecidedMetrics {
    began: Instant,
    metrics: BTreeSet<(String, String)>,
}

impl DecidedMetrics {
    fn new() -> Self {
        Self { began: Instant::now(), metrics: BTreeSet::new() }
    }

    fn elapsed(&self) -> String {
        in_words(self.began.elapsed())
    }

    /// A line for every metric of the case that has a verdict now and had none before.
    fn verdicts(&mut self, case: &str, standing: &[Standing]) -> Vec<String> {
        let mut lines = Vec::new();
        for metric in standing {
            let Next::Done(decision) = &metric.next else { continue };
            if self.metrics.insert((case.to_owned(), metric.metric.clone())) {
                let (verdict, blocks, elapsed) = (decision.verdict, decision.blocks, self.elapsed());
                lines.push(format!("{case} {}: {verdict}, {blocks} blocks, after {elapsed}", shift(metric)));
            }
        }
        lines
    }
}

fn plain(event: &Event<'_>) {
    match event {
        Event::Preparing(text) => output::err!("{text}"),
        Event::Begun { run, dir, cases } => {
            let able = cases.iter().filter(|case| case.refused.is_none()).count();
            output::err!("session {run}: {able} of {} cases, in {}", cases.len(), dir.display());
        }
        Event::Bad { case, which, record } => {
            let reason = record.reason.as_deref().unwrap_or("no reason given");
            output::err!("{}: {case} in {which}: {reason}", record.outcome);
        }
        Event::Block { .. } | Event::Ended { .. } => {}
    }
}

fn ended(outcome: RunOutcome, dir: &Path) {
    if outcome != RunOutcome::Complete {
        output::err!("the session is {outcome}; --resume {} goes on", dir.display());
    }
}

fn words(stage: Stage) -> &'static str {
    match stage {
        Stage::First => "is there anything",
        Stage::Second => "is it there again",
    }
}

/// The metrics that are still open, with their shift so far: `boot slowdown +1.2 % (-0.3 to +2.9)`.
fn stand(standing: &[Standing]) -> String {
    let open: Vec<String> =
        standing.iter().filter(|metric| matches!(metric.next, Next::Measure(..))).map(shift).collect();
    match open.as_slice() {
        _ if standing.is_empty() => "recorded".to_owned(),
        [] => "decided".to_owned(),
        open => open.join(", "),
    }
}

/// Above zero is worse, whichever way the metric improves.
fn shift(standing: &Standing) -> String {
    let percent = |log: f64| format!("{:+.1}", 100.0 * log.exp_m1());
    let name = &standing.metric;
    match standing.shift {
        None => format!("{name} unknown"),
        Some(shift) => match shift.interval {
            None => format!("{name} slowdown {} %", percent(shift.value)),
            Some(i) => {
                format!("{name} slowdown {} % ({} to {})", percent(shift.value), percent(i.low), percent(i.high))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::rule::{Decision, Verdict};
    use crate::stats::{Estimate, Interval};

    #[test]
    fn what_is_open_is_told_with_its_interval() {
        let interval = Some(Interval { low: 0.01f64.ln_1p(), high: 0.03f64.ln_1p(), level: 0.98 });
        let shift = Some(Estimate { value: 0.02f64.ln_1p(), interval });
        let of = |name: &str, next| Standing { metric: name.to_owned(), shift, next };
        let open = of("boot", Next::Measure(Stage::First, 3));
        let done = of("whole", Next::Done(Decision::without_numbers(Verdict::Equivalent, "")));
        let unknown = Standing { shift: None, ..open.clone() };
        assert_eq!(stand(&[open, done.clone()]), "boot slowdown +2.0 % (+1.0 to +3.0)");
        assert_eq!((stand(&[done]), stand(&[unknown])), ("decided".to_owned(), "boot unknown".to_owned()));
    }

    #[test]
    fn a_verdict_is_told_once() {
        let decision = Decision { blocks: 12, ..Decision::without_numbers(Verdict::Equivalent, "") };
        let of = |name: &str, next| Standing { metric: name.to_owned(), shift: None, next };
        let (open, done) = (of("whole", Next::Measure(Stage::First, 3)), of("boot", Next::Done(decision)));
        let mut told = DecidedMetrics::new();
        let first = told.verdicts("boot/hello/0", &[done.clone(), open.clone()]);
        let [line] = first.as_slice() else { panic!("{first:?}") };
        assert!(line.starts_with("boot/hello/0 boot unknown: EQUIVALENT, 12 blocks, after "), "{line}");
        assert!(told.verdicts("boot/hello/0", &[done.clone(), open]).is_empty());
        assert_eq!(told.verdicts("boot/hello/10", &[done]).len(), 1);
    }
}
