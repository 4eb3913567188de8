//! Finds the level at which a ladder stops following one line: its knee.
//!
//! Invariant: a knee is reported only if two separate lines beat one by more than 10 in BIC. "No knee" is a valid result.
//! The lines need not meet: swapping or a full bridge causes a step, saturation a bend.

use serde::{Deserialize, Serialize};

use super::{Axes, Line, StatsError};

/// The gain in BIC that two lines need: "very strong" evidence (Kass & Raftery 1995, 10.1080/01621459.1995.10476572).
const BIC_GAIN: f64 = 10.0;
/// The least number of different levels on each side of a knee. A line fits two levels without a residual.
const LEVELS_A_SIDE: usize = 3;
/// The least number of points. With fewer, the search finds a knee in more than 2 % of straight lines (simulated: 12 levels
/// 1.8 %, 10 levels 3.1 %, 8 levels 3.7 %, 20 levels 0.1 %; 8 levels in 3 passes 0.1 %).
const POINTS: usize = 12;
/// The parameters of one line, and of two lines with the position of the change.
const PARAMETERS: (f64, f64) = (2.0, 5.0);

/// A change from one line to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Knee {
    /// The last level on the first line, in the units of the input.
    pub position: f64,
    /// The first level on the second line.
    pub next: f64,
    /// The gain in BIC of two lines over one, above 10.
    pub bic_gain: f64,
    /// The line up to `position`, on the axes of the fit.
    pub before: Line,
    /// The line from `next` on, on the axes of the fit.
    pub after: Line,
}

/// The range of the knees of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KneeInterval {
    /// The last level before the earliest knee.
    pub low: f64,
    /// The first level after the latest knee.
    pub high: f64,
    /// The number of runs with a knee.
    pub found: usize,
    /// The number of all runs.
    pub runs: usize,
}

/// Searches (level, value) points, in any order and with repeated levels, for a knee.
///
/// Choose axes on which a ladder without a knee is straight. On other axes, its curvature looks like a knee.
///
/// # Errors
/// [`StatsError::TooFew`] below 12 points or 6 different levels, [`StatsError::NotFinite`], and
/// [`StatsError::NotPositive`] on logarithmic axes.
pub fn knee(points: &[(f64, f64)], axes: Axes) -> Result<Option<Knee>, StatsError> {
    let mut levels = points.to_vec();
    levels.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let fitted = axes.apply(&levels)?;
    enough("points on a ladder", fitted.len(), POINTS)?;
    let starts = level_starts(&fitted);
    enough("different levels", starts.len(), 2 * LEVELS_A_SIDE)?;

    let one = bic(&fitted, Line::through(&fitted).squares(&fitted), PARAMETERS.0);
    let candidates = &starts[LEVELS_A_SIDE..=starts.len() - LEVELS_A_SIDE];
    let best = candidates.iter().map(|&at| split(&fitted, at)).min_by(|a, b| a.squares.total_cmp(&b.squares));
    let best = best.expect("six levels can be split");
    let bic_gain = one - bic(&fitted, best.squares, PARAMETERS.1);
    Ok((bic_gain > BIC_GAIN).then(|| Knee {
        position: levels[best.at - 1].0,
        next: levels[best.at].0,
        bic_gain,
        before: best.before,
        after: best.after,
    }))
}

/// The range of the knees of several runs of the same ladder; `None` if no run has one.
pub fn knee_interval(runs: &[Option<Knee>]) -> Option<KneeInterval> {
    let knees = || runs.iter().flatten();
    Some(KneeInterval {
        low: knees().map(|k| k.position).min_by(f64::total_cmp)?,
        high: knees().map(|k| k.next).max_by(f64::total_cmp)?,
        found: knees().count(),
        runs: runs.len(),
    })
}

/// Two lines that change before the point at `at`.
struct Split {
    at: usize,
    before: Line,
    after: Line,
    squares: f64,
}

fn split(points: &[(f64, f64)], at: usize) -> Split {
    let (left, right) = points.split_at(at);
    let (before, after) = (Line::through(left), Line::through(right));
    Split { at, before, after, squares: before.squares(left) + after.squares(right) }
}

/// The index of the first point of each level.
fn level_starts(points: &[(f64, f64)]) -> Vec<usize> {
    (0..points.len()).filter(|&i| i == 0 || points[i].0 != points[i - 1].0).collect()
}

/// The BIC, n ln(RSS / n) + k ln n. The squares are at least the rounding error, so that points exactly on a line are not
/// split.
fn bic(points: &[(f64, f64)], squares: f64, parameters: f64) -> f64 {
    let n = points.len() as f64;
    let largest = points.iter().map(|p| p.1.abs()).fold(0.0, f64::max);
    let rounding = (64.0 * f64::EPSILON * largest).powi(2).max(f64::MIN_POSITIVE);
    n * (squares / n).max(rounding).ln() + parameters * n.ln()
}

fn enough(what: &'static str, have: usize, need: usize) -> Result<(), StatsError> {
    if have < need { Err(StatsError::TooFew { what, have, need }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::fixture;

    fn ladder(value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (1..=30).map(|n| (f64::from(n), value(f64::from(n)))).collect()
    }

    #[test]
    fn a_knee_agrees_with_two_fits_of_numpy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/knee.json")) {
            let axes = if case.text("axes") == "linear" { Axes::Linear } else { Axes::LogLog };
            let found = knee(&case.pairs("points"), axes).unwrap();
            case.close_or_missing("position", found.map(|k| k.position));
            case.close_or_missing("next", found.map(|k| k.next));
            case.close_or_missing("bic_gain", found.map(|k| k.bic_gain));
            case.close_or_missing("slope_after", found.map(|k| k.after.slope));
        }
    }

    #[test]
    fn a_step_and_a_bend_are_found_at_their_levels() {
        let step = knee(&ladder(|n| if n <= 20.0 { n } else { n + 50.0 }), Axes::Linear).unwrap().unwrap();
        assert_eq!((step.position, step.next), (20.0, 21.0));
        let bend = knee(&ladder(|n| n + 9.0 * (n - 12.5).max(0.0)), Axes::Linear).unwrap().unwrap();
        assert_eq!((bend.position, bend.next), (12.0, 13.0));
        assert!((bend.before.slope - 1.0).abs() < 1e-9 && (bend.after.slope - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_straight_ladder_has_no_knee_on_its_own_axes() {
        assert_eq!(knee(&ladder(|n| 3.0 + 0.1 * n), Axes::Linear), Ok(None));
        assert_eq!(knee(&ladder(|_| 7.0), Axes::Linear), Ok(None));
        assert_eq!(knee(&ladder(|_| 0.0), Axes::Linear), Ok(None));
        assert_eq!(knee(&ladder(|n| 0.3 * n.powf(1.7)), Axes::LogLog), Ok(None));
    }

    #[test]
    fn a_short_ladder_is_an_error_and_not_a_ladder_without_a_knee() {
        let short = knee(&ladder(|n| n)[..11], Axes::Linear);
        assert_eq!(short, Err(StatsError::TooFew { what: "points on a ladder", have: 11, need: 12 }));
        let five: Vec<_> = (0..20).map(|i| (f64::from(i % 5), f64::from(i))).collect();
        assert_eq!(knee(&five, Axes::Linear), Err(StatsError::TooFew { what: "different levels", have: 5, need: 6 }));
    }

    #[test]
    fn knees_of_several_runs_span_an_interval() {
        let at = |n: f64| knee(&ladder(|x| if x <= n { x } else { x + 50.0 }), Axes::Linear).unwrap();
        let interval = knee_interval(&[at(12.0), None, at(9.0), at(15.0)]);
        assert_eq!(interval, Some(KneeInterval { low: 9.0, high: 16.0, found: 3, runs: 4 }));
        assert_eq!(knee_interval(&[None, None]), None);
    }

    proptest! {
        #[test]
        fn neither_the_order_nor_the_units_move_a_knee(
            at in 5..25u32, height in 2.0..50f64, unit in 1e-3..1e6f64, rotate in 0..30usize,
        ) {
            let points = ladder(|n| if n <= f64::from(at) { 10.0 + n } else { 10.0 + n + height });
            let mut moved: Vec<_> = points.iter().map(|&(x, y)| (x, unit * y)).collect();
            moved.rotate_left(rotate);
            let levels = |p: &[(f64, f64)]| knee(p, Axes::Linear).unwrap().map(|k| (k.position, k.next));
            prop_assert_eq!(levels(&points), Some((f64::from(at), f64::from(at) + 1.0)));
            prop_assert_eq!(levels(&points), levels(&moved));
        }
    }
}
