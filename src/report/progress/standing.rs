//! The state of a session's metrics in words.

use std::collections::BTreeSet;
use std::time::Instant;

use super::estimate::in_words;
use crate::measure::Standing;
use crate::model::comparison::Stage;

/// The metrics whose verdicts were printed, and when the session began.
#[derive(Debug)]
pub(super) struct DecidedMetrics {
    began: Instant,
    metrics: BTreeSet<(String, String)>,
}

impl DecidedMetrics {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), metrics: BTreeSet::new() }
    }

    pub(super) fn elapsed(&self) -> String {
        in_words(self.began.elapsed())
    }

    /// A line for every metric of the case that has a verdict for the first time.
    pub(super) fn verdicts(&mut self, case: &str, standing: &[Standing]) -> Vec<String> {
        let mut lines = Vec::new();
        for metric in standing {
            let Some(decided) = metric.verdict else { continue };
            if self.metrics.insert((case.to_owned(), metric.metric.clone())) {
                let (verdict, blocks, elapsed) = (decided.verdict, decided.blocks, self.elapsed());
                lines.push(format!("{case} {}: {verdict}, {blocks} blocks, after {elapsed}", shift(metric)));
            }
        }
        lines
    }
}

/// The name of a stage.
pub(super) fn stage_words(stage: Stage) -> &'static str {
    match stage {
        Stage::First => "first stage",
        Stage::Second => "confirmation",
    }
}

/// The metrics that are still open, with their shift so far: `boot slowdown +1.2 % (-0.3 to +2.9)`.
pub(super) fn open_metrics(standing: &[Standing]) -> String {
    let open: Vec<String> = standing.iter().filter(|metric| metric.verdict.is_none()).map(shift).collect();
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
    use crate::measure::DecidedVerdict;
    use crate::model::comparison::Verdict;
    use crate::stats::{Estimate, Interval};

    const EQUIVALENT: DecidedVerdict = DecidedVerdict { verdict: Verdict::Equivalent, blocks: 12 };

    #[test]
    fn open_metrics_have_their_interval() {
        let interval = Some(Interval { low: 0.01f64.ln_1p(), high: 0.03f64.ln_1p(), level: 0.98 });
        let shift = Some(Estimate { value: 0.02f64.ln_1p(), interval });
        let open = Standing { metric: "boot".to_owned(), shift, verdict: None };
        let done = Standing { metric: "whole".to_owned(), shift, verdict: Some(EQUIVALENT) };
        let unknown = Standing { shift: None, ..open.clone() };
        assert_eq!(open_metrics(&[open, done.clone()]), "boot slowdown +2.0 % (+1.0 to +3.0)");
        assert_eq!(
            (open_metrics(&[done]), open_metrics(&[unknown])),
            ("decided".to_owned(), "boot unknown".to_owned())
        );
    }

    #[test]
    fn a_verdict_is_printed_once() {
        let open = Standing { metric: "whole".to_owned(), shift: None, verdict: None };
        let done = Standing { metric: "boot".to_owned(), shift: None, verdict: Some(EQUIVALENT) };
        let mut decided = DecidedMetrics::new();
        let first = decided.verdicts("boot/hello/0", &[done.clone(), open.clone()]);
        let [line] = first.as_slice() else { panic!("{first:?}") };
        assert!(line.starts_with("boot/hello/0 boot unknown: EQUIVALENT, 12 blocks, after "), "{line}");
        assert!(decided.verdicts("boot/hello/0", &[done.clone(), open]).is_empty());
        assert_eq!(decided.verdicts("boot/hello/10", &[done]).len(), 1);
    }
}
