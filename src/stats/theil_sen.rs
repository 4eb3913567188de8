//! The Theil-Sen line: the median of the slopes between all pairs of points.
//!
//! Invariant: with up to 29 % of outliers, the slope stays bounded. Memory is quadratic in the number of points: 16 MB for
//! 2,000. Sen 1968 (10.1080/01621459.1968.10480934); agrees with `scipy.stats.theilslopes`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::quantile::median_of_sorted;
use super::{Axes, Interval, Level, StatsError};

/// A robust line with the interval of its slope.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TheilSen {
    /// The median slope.
    pub slope: f64,
    /// The median of y minus the slope times the median of x.
    pub intercept: f64,
    /// The interval of the slope; `None` with too few points for the level (fewer than 5 at 95 %).
    pub interval: Option<Interval>,
}

/// The robust line through (x, y) points. Several points may have the same x.
///
/// # Errors
/// [`StatsError::TooFew`] without two different x, [`StatsError::NotFinite`].
pub fn theil_sen(points: &[(f64, f64)], level: Level) -> Result<TheilSen, StatsError> {
    let points = Axes::Linear.apply(points)?;
    let slopes = sorted_slopes(&points);
    if slopes.is_empty() {
        return Err(StatsError::TooFew { what: "different x", have: points.len().min(1), need: 2 });
    }
    let slope = median_of_sorted(&slopes);
    let intercept = median_along(&points, |p| p.1) - slope * median_along(&points, |p| p.0);
    Ok(TheilSen { slope, intercept, interval: interval(&slopes, &points, level) })
}

/// The exponent of a power law, as the robust slope of ln y over ln x. The intercept is a logarithm, too.
///
/// # Errors
/// As [`theil_sen`], and [`StatsError::NotPositive`].
pub fn exponent(points: &[(f64, f64)], level: Level) -> Result<TheilSen, StatsError> {
    theil_sen(&Axes::LogLog.apply(points)?, level)
}

fn sorted_slopes(points: &[(f64, f64)]) -> Vec<f64> {
    let mut slopes = Vec::with_capacity(points.len() * points.len() / 2);
    for (i, a) in points.iter().enumerate() {
        slopes.extend(points[i + 1..].iter().filter(|b| b.0 != a.0).map(|b| (b.1 - a.1) / (b.0 - a.0)));
    }
    slopes.sort_unstable_by(f64::total_cmp);
    slopes
}

fn median_along(points: &[(f64, f64)], coordinate: impl Fn(&(f64, f64)) -> f64) -> f64 {
    let mut values: Vec<f64> = points.iter().map(coordinate).collect();
    values.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&values)
}

/// The interval from the slopes at the ranks of Sen's equation 2.6, rounded as by scipy. If a rank is beyond the outermost
/// slope, scipy returns that slope; here the interval is `None`, since it does not reach the level. It is also `None` if the
/// variance is negative because of ties in both coordinates.
fn interval(slopes: &[f64], points: &[(f64, f64)], level: Level) -> Option<Interval> {
    let all = ties_term(points.len());
    let tied =
        |coordinate: fn(&(f64, f64)) -> f64| tie_sizes(points.iter().map(coordinate)).map(ties_term).sum::<f64>();
    let sigma = ((all - tied(|p| p.0) - tied(|p| p.1)) / 18.0).sqrt();
    let (count, reach) = (slopes.len() as f64, level.z() * sigma);
    let low = ((count - reach) / 2.0).round_ties_even() - 1.0;
    let high = ((count + reach) / 2.0).round_ties_even();
    (low >= 0.0 && high < count).then(|| level.interval(slopes[low as usize], slopes[high as usize]))
}

/// n (n - 1) (2 n + 5): the term of Kendall's variance for n points, or for a group of n ties.
pub(super) fn ties_term(n: usize) -> f64 {
    let n = n as f64;
    n * (n - 1.0) * (2.0 * n + 5.0)
}

/// The number of occurrences of each value.
pub(super) fn tie_sizes(values: impl Iterator<Item = f64>) -> impl Iterator<Item = usize> {
    let mut groups = BTreeMap::new();
    for value in values {
        // Negative zero equals zero.
        *groups.entry((value + 0.0).to_bits()).or_insert(0) += 1;
    }
    groups.into_values()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::fixture;

    #[test]
    fn a_robust_slope_agrees_with_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/theil_sen.json")) {
            let line = theil_sen(&case.pairs("points"), case.level()).unwrap();
            case.close("slope", line.slope);
            case.close("intercept", line.intercept);
            case.interval("interval", line.interval);
        }
    }

    #[test]
    fn a_slope_needs_two_different_x() {
        let refused = theil_sen(&[(1.0, 2.0), (1.0, 3.0)], Level::P95);
        assert_eq!(refused, Err(StatsError::TooFew { what: "different x", have: 1, need: 2 }));
    }

    #[test]
    fn an_interval_needs_five_points() {
        // The smallest possible two-sided p of Kendall's test is 2/n!: 0.083 with 4 points, 0.017 with 5.
        let line =
            |n: u32| theil_sen(&(0..n).map(|i| (f64::from(i), f64::from(i * i))).collect::<Vec<_>>(), Level::P95);
        assert_eq!(line(4).unwrap().interval, None);
        assert!(line(5).unwrap().interval.is_some());
    }

    #[test]
    fn a_fifth_of_outliers_does_not_move_the_exponent_far() {
        let mut points: Vec<_> = (1..=40).map(|n| (f64::from(n), 3.0 * f64::from(n).powf(1.5))).collect();
        points.iter_mut().step_by(5).for_each(|p| p.1 *= 1e6);
        let line = exponent(&points, Level::P95).unwrap();
        assert!((line.slope - 1.5).abs() < 0.1, "{line:?}");
    }

    fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((1.0..1e3f64, 1e-3..1e9f64), 5..40)
    }

    proptest! {
        #[test]
        fn the_unit_of_y_does_not_change_the_exponent(points in points(), unit in 1e-3..1e6f64) {
            let scaled: Vec<_> = points.iter().map(|&(x, y)| (x, unit * y)).collect();
            let slope = |p: &[(f64, f64)]| exponent(p, Level::P95).unwrap().slope;
            prop_assert!((slope(&points) - slope(&scaled)).abs() < 1e-9 * slope(&points).abs().max(1.0));
        }

        #[test]
        fn the_interval_contains_the_slope(points in points()) {
            let line = theil_sen(&points, Level::P95).unwrap();
            prop_assert!(line.interval.is_none_or(|i| i.contains(line.slope)));
        }

        #[test]
        fn mirroring_y_mirrors_the_slope_and_the_order_does_not_matter(points in points()) {
            let mirrored: Vec<_> = points.iter().rev().map(|&(x, y)| (x, -y)).collect();
            let [a, b] = [&points, &mirrored].map(|p| theil_sen(p, Level::P95).unwrap());
            prop_assert_eq!(a.slope, -b.slope);
        }
    }
}
