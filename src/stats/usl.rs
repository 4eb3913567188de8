//! The Universal Scalability Law, X(N) = g N / (1 + a (N - 1) + b N (N - 1)), by nonlinear least squares.
//!
//! Invariant: g > 0 and a, b >= 0. A coefficient on its bound is exactly zero, not nearly zero. The law is that of Gunther,
//! Guerrilla Capacity Planning. The fit is a projected Levenberg-Marquardt search (Kanzow, Yamashita & Fukushima 2004,
//! 10.1016/j.cam.2004.02.013).

use serde::{Deserialize, Serialize};

use super::StatsError;
use super::sample::positive;

/// The least number of different N: one more than there are parameters.
const LEVELS: usize = 4;
/// The most steps of a search, which usually takes about ten.
const STEPS: usize = 500;
/// The tolerance for the gradient at an optimum, relative to the size of the residuals.
const BALANCE: f64 = 1e-3;
/// The coefficients 1/g, a/g and b/g of the almost linear form N / X(N) = 1/g + a/g (N - 1) + b/g N (N - 1).
type Coefficients = [f64; 3];

/// A fitted law.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Usl {
    /// g: the throughput at N = 1, in the unit of the input.
    pub rate: f64,
    /// a: the serial share (contention).
    pub contention: f64,
    /// b: the cost of keeping each pair coherent.
    pub coherence: f64,
    /// The root of the mean squared residual, in the unit of the input.
    pub residual: f64,
}

impl Usl {
    /// The throughput at `n` by the law.
    pub fn at(&self, n: f64) -> f64 {
        self.rate * n / (1.0 + self.contention * (n - 1.0) + self.coherence * n * (n - 1.0))
    }

    /// The N with the highest throughput, at least 1; `None` if the throughput always rises.
    pub fn peak(&self) -> Option<f64> {
        let squared = (1.0 - self.contention) / self.coherence;
        (self.coherence > 0.0).then(|| squared.max(1.0).sqrt())
    }
}

/// Fits the law to points of (N, throughput), N from 1.
///
/// # Errors
/// [`StatsError::TooFew`] with fewer than four different N, [`StatsError::NotPositive`], [`StatsError::NotFinite`], and
/// [`StatsError::NoFit`] if there is no optimum: the points are noise, or the fit improves without limit as g grows, which
/// can happen without a measurement at N = 1.
pub fn usl(points: &[(f64, f64)]) -> Result<Usl, StatsError> {
    for (i, &(n, x)) in points.iter().enumerate() {
        positive(i, n)?;
        positive(i, x)?;
    }
    let levels = different(points);
    if levels < LEVELS {
        return Err(StatsError::TooFew { what: "different N", have: levels, need: LEVELS });
    }
    // Throughputs are divided by the largest one, so that no square overflows or underflows.
    let largest = points.iter().map(|p| p.1).fold(0.0, f64::max);
    let points: Vec<_> = points.iter().map(|&(n, x)| (n, x / largest)).collect();
    // A search starts from the solution of the linearized law for each set of free coefficients, if it is within the bounds.
    let starts = [&[0, 1, 2][..], &[0, 1], &[0, 2], &[0]].into_iter().filter_map(|free| linearized(&points, free));
    let fits = starts.filter(|c| c[0] > 0.0 && c[1] >= 0.0 && c[2] >= 0.0).map(|start| search(&points, start));
    let best = fits.min_by(|a, b| squares(&points, a).total_cmp(&squares(&points, b)));
    let [c0, c1, c2] = best.filter(|c| is_optimum(&points, c)).ok_or(StatsError::NoFit(points.len()))?;
    let residual = largest * (squares(&points, &[c0, c1, c2]) / points.len() as f64).sqrt();
    Ok(Usl { rate: largest / c0, contention: c1 / c0, coherence: c2 / c0, residual })
}

/// The number of different N.
fn different(points: &[(f64, f64)]) -> usize {
    let mut levels: Vec<f64> = points.iter().map(|p| p.0).collect();
    levels.sort_unstable_by(f64::total_cmp);
    levels.dedup();
    levels.len()
}

fn terms(n: f64) -> Coefficients {
    [1.0, n - 1.0, n * (n - 1.0)]
}

/// N / X(N). It is zero or negative if the coefficients give no valid throughput.
fn denominator(n: f64, c: &Coefficients) -> f64 {
    terms(n).iter().zip(c).map(|(t, c)| t * c).sum()
}

/// The sum of squared residuals of the throughput; infinite if a throughput is invalid.
fn squares(points: &[(f64, f64)], c: &Coefficients) -> f64 {
    let residual = |&(n, x): &(f64, f64)| match denominator(n, c) {
        d if d > 0.0 => x - n / d,
        _ => f64::INFINITY,
    };
    points.iter().map(residual).map(|r| r * r).sum()
}

/// For each coefficient, the pull of the residuals (half the negative gradient of their squares), and the size below which a
/// pull counts as rounding.
fn pulls(points: &[(f64, f64)], at: &Coefficients) -> [(f64, f64); 3] {
    [0, 1, 2].map(|j| {
        let pulls = points.iter().map(|&(n, x)| {
            let d = denominator(n, at);
            let slope = -terms(n)[j] * n / (d * d);
            ((x - n / d) * slope, BALANCE * (x - n / d).abs() * slope.abs() + 1e-12 * x * slope.abs())
        });
        pulls.fold((0.0, 0.0), |(sum, rounding), p| (sum + p.0, rounding + p.1))
    })
}

/// Whether no change within the bounds improves the fit (Karush-Kuhn-Tucker conditions).
fn is_optimum(points: &[(f64, f64)], at: &Coefficients) -> bool {
    let balanced = |(&(pull, rounding), &c): (&(f64, f64), &f64)| match c {
        0.0 => pull <= rounding,
        _ => pull.abs() <= rounding,
    };
    at[0] > 0.0 && pulls(points, at).iter().zip(at).all(balanced)
}

/// Makes damped Gauss-Newton steps, projected to the bounds, until they change nothing.
fn search(points: &[(f64, f64)], start: Coefficients) -> Coefficients {
    let (mut at, mut damping) = (start, 1e-3);
    for _ in 0..STEPS {
        let next = step(points, &at, damping);
        if squares(points, &next) <= squares(points, &at) * (1.0 + 4.0 * f64::EPSILON) {
            let is_unchanged = at.iter().zip(&next).all(|(a, b)| (a - b).abs() <= 2.0 * f64::EPSILON * a.abs());
            at = next;
            damping = if damping > 1e-15 { damping / 10.0 } else { 0.0 };
            if is_unchanged {
                break;
            }
        } else if damping > 1e15 {
            break;
        } else {
            damping = (damping * 10.0).max(1e-9);
        }
    }
    at
}

/// Makes one step. Coefficients stay on their bound if the residuals push them outwards.
fn step(points: &[(f64, f64)], at: &Coefficients, damping: f64) -> Coefficients {
    let pulls = pulls(points, at);
    let free: Vec<usize> = (0..3).filter(|&j| at[j] > 0.0 || pulls[j].0 > 0.0).collect();
    let row = |&(n, x): &(f64, f64)| {
        let d = denominator(n, at);
        (terms(n).map(|t| -t * n / (d * d)), x - n / d)
    };
    let mut rows: Vec<_> = points.iter().map(row).collect();
    let lengths = [0, 1, 2].map(|j| rows.iter().map(|r| r.0[j].powi(2)).sum::<f64>());
    for j in 0..3 {
        let mut brake = [0.0; 3];
        brake[j] = (damping * lengths[j]).sqrt();
        rows.push((brake, 0.0));
    }
    let change = solve(&rows, &free).unwrap_or_default();
    [0, 1, 2].map(|j| (at[j] + change[j]).max(0.0))
}

/// Solves the linearized law, with weights that make its residuals nearly those of the throughput.
fn linearized(points: &[(f64, f64)], free: &[usize]) -> Option<Coefficients> {
    let rows: Vec<_> = points.iter().map(|&(n, x)| (terms(n).map(|t| t * x * x / n), x)).collect();
    solve(&rows, free)
}

/// Solves linear least squares over the free columns by orthogonalizing them one after the other; `None` if a column depends
/// on those before it.
fn solve(rows: &[(Coefficients, f64)], free: &[usize]) -> Option<Coefficients> {
    let mut columns: Vec<Vec<f64>> = free.iter().map(|&j| rows.iter().map(|r| r.0[j]).collect()).collect();
    let mut rest: Vec<f64> = rows.iter().map(|r| r.1).collect();
    let mut upper = [[0.0; 3]; 3];
    let mut along = [0.0; 3];
    for j in 0..free.len() {
        let (done, open) = columns.split_at_mut(j + 1);
        let column = &mut done[j];
        let length = dot(column, column).sqrt();
        let whole: f64 = rows.iter().map(|r| r.0[free[j]].powi(2)).sum::<f64>().sqrt();
        if length <= 1e-12 * whole {
            return None;
        }
        column.iter_mut().for_each(|v| *v /= length);
        upper[j][j] = length;
        for (k, other) in open.iter_mut().enumerate() {
            upper[j][j + 1 + k] = remove(other, column);
        }
        along[j] = remove(&mut rest, column);
    }
    Some(back_substitute(&upper, &along, free))
}

/// Subtracts the part of `vector` along `unit` and returns its length.
fn remove(vector: &mut [f64], unit: &[f64]) -> f64 {
    let part = dot(vector, unit);
    vector.iter_mut().zip(unit).for_each(|(v, u)| *v -= part * u);
    part
}

fn back_substitute(upper: &[[f64; 3]; 3], along: &[f64; 3], free: &[usize]) -> Coefficients {
    let mut solution = [0.0; 3];
    for j in (0..free.len()).rev() {
        let known: f64 = (j + 1..free.len()).map(|k| upper[j][k] * solution[free[k]]).sum();
        solution[free[j]] = (along[j] - known) / upper[j][j];
    }
    solution
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::fixture;

    fn law(rate: f64, contention: f64, coherence: f64) -> Usl {
        Usl { rate, contention, coherence, residual: 0.0 }
    }

    fn curve(law: &Usl) -> Vec<(f64, f64)> {
        [1.0, 2.0, 4.0, 8.0, 16.0, 24.0, 32.0, 48.0, 64.0].map(|n| (n, law.at(n))).to_vec()
    }

    #[test]
    fn a_fit_agrees_with_bounded_curve_fit_of_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/usl.json")) {
            let fit = usl(&case.pairs("points")).unwrap();
            case.close("rate", fit.rate);
            case.close("contention", fit.contention);
            case.close("coherence", fit.coherence);
            case.close("residual", fit.residual);
            case.close_or_missing("peak", fit.peak());
        }
    }

    #[test]
    fn a_bound_is_met_exactly() {
        let linear = usl(&curve(&law(100.0, 0.0, 0.0))).unwrap();
        assert!((linear.rate - 100.0).abs() < 1e-9 && linear.contention < 1e-12 && linear.coherence < 1e-12);
        let better_than_linear: Vec<_> = (1..10).map(f64::from).map(|n| (n, n.powf(1.2))).collect();
        let fit = usl(&better_than_linear).unwrap();
        assert_eq!((fit.contention, fit.coherence, fit.peak()), (0.0, 0.0, None));
    }

    #[test]
    fn a_throughput_that_only_falls_has_its_peak_at_one() {
        assert_eq!(law(10.0, 1.5, 0.1).peak(), Some(1.0));
        assert_eq!(law(10.0, 0.0, 0.01).peak(), Some(10.0));
    }

    #[test]
    fn points_that_fit_ever_better_as_the_rate_grows_have_no_fit() {
        let falling: Vec<_> = (3..12).map(f64::from).map(|n| (n, 100.0 / (n * n))).collect();
        assert_eq!(usl(&falling), Err(StatsError::NoFit(9)));
    }

    #[test]
    fn four_different_n_are_needed() {
        let three = [(1.0, 1.0), (2.0, 2.0), (2.0, 1.9), (4.0, 3.0)];
        assert_eq!(usl(&three), Err(StatsError::TooFew { what: "different N", have: 3, need: 4 }));
        assert_eq!(usl(&[(1.0, 1.0), (2.0, 0.0)]), Err(StatsError::NotPositive { index: 1, value: 0.0 }));
    }

    proptest! {
        #[test]
        fn the_parameters_of_a_curve_that_follows_the_law_are_found(
            rate in 1e-3..1e9f64, contention in 1e-3..0.9f64, coherence in 1e-5..0.1f64,
        ) {
            let truth = law(rate, contention, coherence);
            let fit = usl(&curve(&truth)).unwrap();
            prop_assert!((fit.rate / rate - 1.0).abs() < 1e-6, "{fit:?}");
            prop_assert!((fit.contention / contention - 1.0).abs() < 1e-6, "{fit:?}");
            prop_assert!((fit.coherence / coherence - 1.0).abs() < 1e-6, "{fit:?}");
        }

        #[test]
        fn no_nearby_curve_within_the_bounds_fits_better(
            (contention, coherence) in (0.0..0.5f64, 0.0..0.01f64),
            noise in prop::collection::vec(0.7..1.4f64, 9),
            (da, db, dg) in (-0.05..0.05f64, -1e-3..1e-3f64, -0.05..0.05f64),
        ) {
            let mut points = curve(&law(100.0, contention, coherence));
            points.iter_mut().zip(noise).for_each(|(p, factor)| p.1 *= factor);
            let fit = usl(&points).unwrap();
            let error = |l: &Usl| points.iter().map(|&(n, x)| (x - l.at(n)).powi(2)).sum::<f64>();
            let near = law(fit.rate * (1.0 + dg), (fit.contention + da).max(0.0), (fit.coherence + db).max(0.0));
            prop_assert!(fit.contention >= 0.0 && fit.coherence >= 0.0 && fit.rate > 0.0);
            prop_assert!(error(&near) >= error(&fit) * (1.0 - 1e-9), "{fit:?} {near:?}");
        }
    }
}
