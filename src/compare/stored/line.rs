//! One metric of one case in two runs: from their values to a verdict.

use super::conditions::RunConditions;
use super::matching::{CaseSamples, Key, Metric};
use super::past::Band;
use crate::compare::rule::{Decision, Line, Rule, Verdict};
use crate::model::units::Direction;
use crate::stats::{self, Estimate, Level, Sample, Summary, rank_sum, shift, summarize};

/// The fewest successful trials per side that can show a difference: fewer have no 98 % interval of a shift.
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
    let [mine, other] = [a, b].map(|samples| samples.series(&metric.name));
    let decision = match (&mine, &other) {
        (Some(mine), Some(other)) if (mine.unit, mine.direction) != (other.unit, other.direction) => {
            Decision::without_numbers(Verdict::Skipped, "the runs have it in different units")
        }
        (Some(mine), Some(other)) => match (logs(metric, &mine.values), logs(metric, &other.values)) {
            (Some(a), Some(b)) => Judgment { a, b, conditions, band, rule }.decision(metric),
            _ => Decision::without_numbers(Verdict::Skipped, "a value of zero or below has no ratio"),
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

/// The decision where a side has no values. If only one side has them, neither a difference nor its absence is shown.
fn absent(mine: bool, other: bool, (a, b): (&CaseSamples<'_>, &CaseSamples<'_>)) -> Decision {
    let why = |samples: &CaseSamples<'_>, who: &str| {
        samples.failure(who).unwrap_or_else(|| format!("{who} does not have it, or has a value without a ratio"))
    };
    match (mine, other) {
        (true, _) => Decision::without_numbers(Verdict::Inconclusive, why(b, "B")),
        (false, true) => Decision::without_numbers(Verdict::Inconclusive, why(a, "A")),
        (false, false) => Decision::without_numbers(Verdict::Skipped, format!("{}; {}", why(a, "A"), why(b, "B"))),
    }
}

/// The logarithms of the values, with a sign so that higher is worse; `None` if a value has none.
fn logs(metric: &Metric, values: &[f64]) -> Option<Sample> {
    let sign = if metric.direction == Direction::Higher { -1.0 } else { 1.0 };
    Sample::new(values.iter().map(|value| sign * value.ln()).collect()).ok()
}

/// Both sides of a metric with everything that affects the verdict.
struct Judgment<'a> {
    a: Sample,
    b: Sample,
    conditions: &'a RunConditions,
    band: Band,
    rule: &'a Rule,
}

impl Judgment<'_> {
    fn decision(&self, metric: &Metric) -> Decision {
        let shift = shift(&self.a, &self.b, Level::P98);
        // The p-value on the side of the shift; swapping the runs gives the other side's.
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
            let reason =
                format!("{a} successful trials against {b} are too few; measure both with --runs {FEWEST} or more");
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

    /// Why a difference may not come from what is measured.
    fn doubt(&self, metric: &Metric, shift: f64) -> Option<String> {
        if shift.abs() <= self.band.share.ln_1p() {
            let share = 100.0 * self.band.share;
            let reason =
                format!("two runs of the same thing may differ by {share:.1} % on this host ({})", self.band.source);
            return Some(format!("{reason}; `cargo xtask ab` can detect less"));
        }
        self.host_speed(metric, shift.abs() / 2.0)
    }

    /// Why the host may cause the difference: its noise was not judged, or its speed differs by more than `limit`, a
    /// logarithm.
    fn host_speed(&self, metric: &Metric, limit: f64) -> Option<String> {
        let conditions = self.conditions;
        if conditions.simulated {
            return None;
        }
        if conditions.unjudged.is_some() || !conditions.affect(metric.unit) {
            return conditions.unjudged.clone();
        }
        match conditions.slower {
            None => Some("the noise guards did different work, so the host's speeds cannot be compared".to_owned()),
            Some(slower) if slower.abs() > limit => {
                let word = if slower > 0.0 { "slower" } else { "faster" };
                let share = 100.0 * slower.abs().exp_m1();
                Some(format!("the host itself was {share:.1} % {word} during B, by the noise guard's fixed work"))
            }
            Some(_) => None,
        }
    }

    /// The smallest effect that would have been detected; `None` below six trials per side.
    fn detectable(&self) -> Option<f64> {
        let sigma = stats::sigma(&self.a)?.max(stats::sigma(&self.b)?);
        Some(self.rule.detectable_unpaired(sigma, self.a.count(), self.b.count()).max(self.band.share))
    }
}
