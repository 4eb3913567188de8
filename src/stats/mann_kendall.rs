//! The Mann-Kendall test of a monotone trend.
//!
//! Invariant: reversing the series negates s, z and tau and keeps p. Use it only for ladders in shuffled order: with rising
//! levels, drift of the host looks like a trend (`docs/methodology.md`, section 1).
//! Mann 1945 (10.2307/1907187); agrees with `pymannkendall.original_test`.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::theil_sen::{tie_sizes, ties_term};
use super::{Axes, StatsError};

/// The result of the test. At 0.05 it needs at least 5 points, since the smallest possible p with 4 points is 0.089.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MannKendall {
    /// The number of rising pairs minus that of falling pairs.
    pub s: i64,
    /// The variance of s without a trend, corrected for ties.
    pub var_s: f64,
    /// s in standard deviations, after moving it one step towards zero (continuity correction).
    pub z: f64,
    /// The two-sided probability of such a z without a trend.
    pub p: f64,
    /// s divided by the number of pairs, from -1 to 1.
    pub tau: f64,
}

/// Tests whether a series, in the order given, rises or falls.
///
/// # Errors
/// [`StatsError::TooFew`] below two values, [`StatsError::NotFinite`].
pub fn mann_kendall(series: &[f64]) -> Result<MannKendall, StatsError> {
    let points: Vec<_> = series.iter().enumerate().map(|(i, &y)| (i as f64, y)).collect();
    mann_kendall_against(&points)
}

/// Tests whether y rises or falls with x, such as a metric with the level of a ladder. Equal x, one for each pass over the
/// ladder, are ties, as are equal y (Kendall, Rank Correlation Methods, chapter 4).
///
/// # Errors
/// As [`mann_kendall`].
pub fn mann_kendall_against(points: &[(f64, f64)]) -> Result<MannKendall, StatsError> {
    let points = Axes::Linear.apply(points)?;
    let n = points.len();
    if n < 2 {
        return Err(StatsError::TooFew { what: "points of a trend", have: n, need: 2 });
    }
    let (s, var_s) = (score(&points), variance(&points));
    let z = match s {
        0 => 0.0,
        s => (s - s.signum()) as f64 / var_s.sqrt(),
    };
    let p = 2.0 * Normal::standard().sf(z.abs());
    Ok(MannKendall { s, var_s, z, p, tau: s as f64 / (n * (n - 1) / 2) as f64 })
}

fn score(points: &[(f64, f64)]) -> i64 {
    let order = |a: f64, b: f64| i64::from(b > a) - i64::from(b < a);
    let after =
        |(i, a): (usize, &(f64, f64))| points[i + 1..].iter().map(|b| order(a.0, b.0) * order(a.1, b.1)).sum::<i64>();
    points.iter().enumerate().map(after).sum()
}

/// The variance of s without a trend, with ties in both coordinates.
fn variance(points: &[(f64, f64)]) -> f64 {
    let x: Vec<f64> = tie_sizes(points.iter().map(|p| p.0)).map(|t| t as f64).collect();
    let y: Vec<f64> = tie_sizes(points.iter().map(|p| p.1)).map(|t| t as f64).collect();
    let sum = |ties: &[f64], term: fn(f64) -> f64| ties.iter().copied().map(term).sum::<f64>();
    let pairs = |t: f64| t * (t - 1.0);
    let triples = |t: f64| t * (t - 1.0) * (t - 2.0);
    let term = |t: f64| ties_term(t as usize);

    let n = points.len() as f64;
    let one_coordinate = (term(n) - sum(&x, term) - sum(&y, term)) / 18.0;
    let tied_pairs = sum(&x, pairs) * sum(&y, pairs) / (2.0 * pairs(n));
    let tied_triples = match points.len() {
        2 => 0.0,
        _ => sum(&x, triples) * sum(&y, triples) / (9.0 * triples(n)),
    };
    one_coordinate + tied_pairs + tied_triples
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::fixture;

    #[test]
    fn a_trend_agrees_with_pymannkendall() {
        for case in fixture::cases(include_str!("../../fixtures/stats/mann_kendall.json")) {
            let test = mann_kendall(&case.numbers("series")).unwrap();
            case.close("s", test.s as f64);
            case.close("var_s", test.var_s);
            case.close("z", test.z);
            case.close("p", test.p);
            case.close("tau", test.tau);
        }
    }

    #[test]
    fn a_trend_over_repeated_levels_agrees_with_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/mann_kendall_against.json")) {
            let test = mann_kendall_against(&case.pairs("points")).unwrap();
            case.close("s", test.s as f64);
            case.close("var_s", test.var_s);
        }
    }

    #[test]
    fn the_smallest_possible_p_is_below_five_percent_from_five_points_on() {
        let p = |n: i32| mann_kendall(&(0..n).map(f64::from).collect::<Vec<_>>()).unwrap().p;
        assert!(p(4) > 0.05 && (5..30).all(|n| p(n) < 0.05));
    }

    #[test]
    fn a_flat_series_has_no_trend() {
        let flat = mann_kendall(&[3.0; 9]).unwrap();
        assert_eq!((flat.s, flat.var_s, flat.z, flat.p), (0, 0.0, 0.0, 1.0));
        assert!(mann_kendall(&[1.0]).is_err());
    }

    proptest! {
        #[test]
        fn reversing_the_series_mirrors_the_test(series in prop::collection::vec(0..20u8, 2..60)) {
            let series: Vec<f64> = series.into_iter().map(f64::from).collect();
            let reversed: Vec<f64> = series.iter().rev().copied().collect();
            let (a, b) = (mann_kendall(&series).unwrap(), mann_kendall(&reversed).unwrap());
            prop_assert_eq!((a.s, a.var_s, a.z, a.p, a.tau), (-b.s, b.var_s, -b.z, b.p, -b.tau));
            prop_assert!(a.tau.abs() <= 1.0 && (0.0..=1.0).contains(&a.p));
        }

        #[test]
        fn only_the_order_of_the_values_counts(series in prop::collection::vec(1e-3..1e3f64, 2..60)) {
            let bent: Vec<f64> = series.iter().map(|y| y.sqrt()).collect();
            prop_assert_eq!(mann_kendall(&series).unwrap().s, mann_kendall(&bent).unwrap().s);
        }
    }
}
