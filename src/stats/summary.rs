//! The summary of a sample, as printed in tables.
//!
//! Invariant: min <= median, mean <= max, and the interval contains the median.

use serde::{Deserialize, Serialize};

use super::{Interval, Level, Sample, median};

/// The summary of a sample, in the metric's unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The number of trials.
    pub count: usize,
    /// The median.
    pub median: f64,
    /// The arithmetic mean.
    pub mean: f64,
    /// The standard deviation with n - 1 in the denominator; `None` for a single trial.
    pub sd: Option<f64>,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The 95 % interval of the median; `None` with fewer than 6 trials.
    pub interval: Option<Interval>,
}

/// Summarizes a sample in linear time.
pub fn summarize(sample: &Sample) -> Summary {
    Summary {
        count: sample.count(),
        median: median(sample),
        mean: sample.mean(),
        sd: sample.sd(),
        min: sample.min(),
        max: sample.max(),
        interval: median_interval(sample, Level::P95),
    }
}

/// The distribution-free interval of the median, from the k-th smallest to the k-th largest value. k is the largest number
/// such that a binomial(n, 1/2) is below k with at most the tail probability of the level (Conover, Practical Nonparametric
/// Statistics, 3.2). `None` if there is no such k: with fewer than 6 values at 95 %.
pub fn median_interval(sample: &Sample, level: Level) -> Option<Interval> {
    let values = sample.sorted();
    let depth = sign_depth(values.len(), level.tail());
    (depth > 0).then(|| level.interval(values[depth - 1], values[values.len() - depth]))
}

/// The largest k with P(Binomial(n, 1/2) <= k - 1) <= tail; 0 if there is none.
///
/// Weights are relative to the central one, so that none underflows for large n. They are computed until they become zero,
/// at about 40 standard deviations.
fn sign_depth(n: usize, tail: f64) -> usize {
    let mut lower = Vec::new();
    let mut weight = 1.0;
    let center = n / 2;
    for below in (0..center).rev() {
        weight *= (below + 1) as f64 / (n - below) as f64;
        if weight == 0.0 {
            break;
        }
        lower.push(weight);
    }
    let outermost = center - lower.len();
    let total = 2.0 * lower.iter().rev().sum::<f64>() + if n.is_multiple_of(2) { 1.0 } else { 2.0 };
    let mut cumulated = 0.0;
    let fitting = lower.iter().rev().take_while(|&&w| {
        cumulated += w;
        cumulated <= tail * total
    });
    match fitting.count() {
        0 => 0,
        fitting => outermost + fitting,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::stats::fixture::{self, Case};
    use crate::stats::{mad, quantile};

    #[test]
    fn a_summary_agrees_with_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/summary.json")) {
            let sample = case.sample("values");
            let summary = summarize(&sample);
            assert_eq!(summary.count as f64, case.number("count"), "{case}");
            case.close("median", summary.median);
            case.close("mean", summary.mean);
            case.close_or_missing("sd", summary.sd);
            case.close("min", summary.min);
            case.close("max", summary.max);
            case.close("mad", mad(&sample));
            case.close("p01", quantile(&sample, 0.01));
            case.close("p25", quantile(&sample, 0.25));
            case.close("p99", quantile(&sample, 0.99));
            case.interval("interval", summary.interval);
            case.interval("interval98", median_interval(&sample, Level::P98));
        }
    }

    #[test]
    fn the_depth_of_the_interval_agrees_with_the_binomial_of_scipy() {
        let depth = |case: &Case| sign_depth(case.number("n") as usize, 0.025);
        for case in fixture::cases(include_str!("../../fixtures/stats/sign_depth.json")) {
            assert_eq!(depth(&case) as f64, case.number("depth"), "{case}");
        }
    }

    #[rstest]
    #[case::one(1, false)]
    #[case::five(5, false)]
    #[case::six(6, true)]
    #[case::seven(7, true)]
    fn an_interval_of_the_median_needs_six_values(#[case] n: usize, #[case] exists: bool) {
        let sample = Sample::new((0..n).map(|i| i as f64).collect()).unwrap();
        let interval = summarize(&sample).interval;
        assert_eq!(interval.is_some(), exists);
        // 2 * 0.5^n is the smallest possible p of the sign test.
        assert_eq!(2.0 * 0.5f64.powi(n as i32) <= 0.05, exists);
    }

    #[test]
    fn a_hundred_thousand_values_are_summarized() {
        let sample = Sample::new((0..100_000).rev().map(f64::from).collect()).unwrap();
        let summary = summarize(&sample);
        assert_eq!((summary.min, summary.median, summary.max), (0.0, 49_999.5, 99_999.0));
        // The normal approximation is 50,000 - 1.96 * sqrt(100,000) / 2 = 49,690.
        assert!(summary.interval.is_some_and(|i| (i.low - 49_690.0).abs() < 2.0 && i.contains(summary.median)));
    }

    proptest! {
        #[test]
        fn a_summary_stays_within_its_sample(values in prop::collection::vec(-1e12..1e12f64, 1..80)) {
            let summary = summarize(&Sample::new(values).unwrap());
            for center in [summary.median, summary.mean] {
                prop_assert!(summary.min <= center && center <= summary.max);
            }
            prop_assert!(summary.interval.is_none_or(|i| i.contains(summary.median)));
            prop_assert!(summary.interval.is_none_or(|i| summary.min <= i.low && i.high <= summary.max));
        }

        #[test]
        fn the_order_of_the_trials_does_not_matter(
            (values, shuffled) in prop::collection::vec(0.0..1e9f64, 1..60)
                .prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
        ) {
            let summary = |v: Vec<f64>| summarize(&Sample::new(v).unwrap());
            prop_assert_eq!(summary(values), summary(shuffled));
        }

        #[test]
        fn a_quantile_never_falls_as_p_rises(
            values in prop::collection::vec(-1e9..1e9f64, 1..60),
            (p, q) in (0.0..=1.0f64, 0.0..=1.0f64),
        ) {
            let sample = Sample::new(values).unwrap();
            prop_assert!(quantile(&sample, p.min(q)) <= quantile(&sample, p.max(q)));
        }

        #[test]
        fn a_higher_level_never_narrows_the_interval(values in prop::collection::vec(0.0..1e9f64, 8..60)) {
            let sample = Sample::new(values).unwrap();
            let [narrow, wide] = [Level::P95, Level::P98].map(|l| median_interval(&sample, l).unwrap());
            prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
        }
    }
}
