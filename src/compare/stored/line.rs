//! One metric of one case of two runs: from their values to a verdict.

use super::conditions::RunConditions;
use super::matching::{CaseSamples, Key, Metric};
use super::past::Band;
use crate::compare::rule::{Decision, Line, Rule, Verdict};
use crate::model::units::Direction;
use crate::stats::{self, Estimate, Level, Sample, Summary, rank_sum, shift, summarize};

/// The fewest good trials a side that can show a difference: fewer have no 98 % interval of a shift.
pub const FEWEST: u32 = 5;

/// The line of one metric of one case.
pub(super) fn line(
    key: &Key,
    metric: &Metric,
    (a, b): (&CaseSamples<'_>, &CaseSamples<'_>),
    conditions: &RunConditions,
    band: Band,
    rule: &Rule,
) -> Line {
    let [mine, other] = [a, b].map(|found| found.series(&metric.name));
    let decision = match (&mine, &other) {
        (Some(mine), Some(other)) if (mine.unit, mine.direction) != (other.unit, other.direction) => {
            Decision::without_numbers(Verdict::Skipped, "the runs give it in different units")
        }
        (Some(mine), Some(other)) => match (logs(metric, &mine.values), logs(metric, &other.values)) {
            (Some(a), Some(b)) => Judgement { a, b, conditions, band, rule }.decision(metric),
            _ => Decision::without_numbers(Verdict::Skipped, "a value that is not above zero has no ratio"),
        },
        (mine, other) => absent(mine.is_some(), other.is_some(), (a, b)),
    };
    Line {
        case: key.to_string(),
        metric: metric.name.clone(),
        unit: metric.unit,
        direction: metric.direction,
        a: mine.and_then(|series| summary(series.values)),
        b: other.and_then(|series| summary(series.values)),
        decision,
    }
}

fn summary(values: Vec<f64>) -> Option<Summary> {
    Sample::new(values).ok().map(|sample| summarize(&sample))
}

/// What is said where a side has no number: one that was good and is not any more cannot be told from noise here, and
/// is no "no difference" either.
fn absent(mine: bool, other: bool, (a, b): (&CaseSamples<'_>, &CaseSamples<'_>)) -> Decision {
    let tell = |found: &CaseSamples<'_>, who: &str| {
        found.trouble(who).unwrap_or_else(|| format!("{who} does not have it, or a value of it that has no ratio"))
    };
    match (mine, other) {
        (true, _) => Decision::without_numbers(Verdict::Inconclusive, tell(b, "B")),
        (false, true) => Decision::without_numbers(Verdict::Inconclusive, tell(a, "A")),
        (false, false) => Decision::without_numbers(Verdict::Skipped, format!("{}; {}", tell(a, "A"), tell(b, "B"))),
    }
}

/// The logarithms of the values, turned so that more is worse; `None` where one has none.
fn logs(metric: &Metric, values: &[f64]) -> Option<Sample> {
    let sign = if metric.direction == Direction::Higher { -1.0 } else { 1.0 };
    Sample::new(values.iter().map(|value| sign * value.ln()).collect()).ok()
}

/// Both sides of a metric with all that bears on it.
struct Judgement<'a> {
    a: Sample,
    b: Sample,
    conditions: &'a RunConditions,
    band: Band,
    rule: &'a Rule,
}

impl Judgement<'_> {
    fn decision(&self, metric: &Metric) -> Decision {
        let shift = shift(&self.a, &self.b, Level::P98);
        // Of the side that the shift is on; the other side's is that of the arms exchanged.
        let p = match shift.value >= 0.0 {
            true => rank_sum(&self.a, &self.b, self.rule.bound()),
            false => rank_sum(&self.b, &self.a, self.rule.bound()),
        };
        let (verdict, reason) = self.verdict(metric, &shift, p);
        Decision {
            verdict,
            shift: Some(shift),
            p: Some(p),
            detectable: self.detectable(),
            blocks: self.a.count().min(self.b.count()),
            reason,
            failed: false,
        }
    }

    fn verdict(&self, metric: &Metric, shift: &Estimate, p: f64) -> (Verdict, Option<String>) {
        let judged = |verdict, reason: Option<String>| (verdict, reason);
        if let Some(reason) = self.conditions.invalid.as_ref().filter(|_| !self.conditions.simulated) {
            return judged(Verdict::Invalid, Some(reason.clone()));
        }
        let Some(interval) = shift.interval else {
            let (a, b) = (self.a.count(), self.b.count());
            let reason = format!("{a} good trials against {b} are too few; measure both with --runs {FEWEST} or more");
            return judged(Verdict::Inconclusive, Some(reason));
        };
        let bound = self.rule.bound();
        if p <= self.rule.alpha && shift.value.abs() >= self.rule.floor.ln_1p() {
            let doubt = self.doubt(metric, shift.value);
            let side = if shift.value > 0.0 { Verdict::Regressed } else { Verdict::Improved };
            return judged(if doubt.is_some() { Verdict::Inconclusive } else { side }, doubt);
        }
        let is_equal = -bound < interval.low && interval.high < bound;
        match is_equal.then(|| self.host_speed(metric, bound)) {
            Some(None) => judged(Verdict::Equivalent, None),
            Some(doubt) => judged(Verdict::Inconclusive, doubt),
            None => judged(Verdict::Inconclusive, None),
        }
    }

    /// Why a difference that is there may not be the measured thing's.
    fn doubt(&self, metric: &Metric, shift: f64) -> Option<String> {
        if shift.abs() <= self.band.share.ln_1p() {
            let share = 100.0 * self.band.share;
            let reason = format!("two runs of the same thing may differ by {share:.1} % here ({})", self.band.source);
            return Some(format!("{reason}; `cargo xtask ab` can tell less"));
        }
        self.host_speed(metric, shift.abs() / 2.0)
    }

    /// What speaks of the host itself: unwatched, or its speed differs by more than `limit`, a logarithm.
    fn host_speed(&self, metric: &Metric, limit: f64) -> Option<String> {
        let around = self.conditions;
        if around.simulated {
            return None;
        }
        if around.unjudged.is_some() || !around.bears_on(metric.unit) {
            return around.unjudged.clone();
        }
        match around.slower {
            None => Some("the noise guards did different work: nothing tells whether the host was as fast".to_owned()),
            Some(slower) if slower.abs() > limit => {
                let word = if slower > 0.0 { "slower" } else { "faster" };
                let share = 100.0 * slower.abs().exp_m1();
                Some(format!("the host itself was {share:.1} % {word} around B, by the noise guard's fixed work"))
            }
            Some(_) => None,
        }
    }

    /// The smallest effect that would have been called one; `None` below six trials a side.
    fn detectable(&self) -> Option<f64> {
        let sigma = stats::sigma(&self.a)?.max(stats::sigma(&self.b)?);
        Some(self.rule.detectable_unpaired(sigma, self.a.count(), self.b.count()).max(self.band.share))
    }
}
