//! Depths of rank-based intervals, from the null distributions of the signed-rank and the Mann-Whitney statistic. An interval
//! of depth k reaches from the k-th smallest to the k-th largest member of a set.
//!
//! Invariant: the depth is the largest k such that the statistic is below k with at most the tail probability of the level.
//! `None` means that there is no such k.

use std::sync::OnceLock;

use super::Level;

/// Up to this many values the signed-rank distribution is enumerated. Beyond it, the normal approximation is good to 1e-4.
const SIGNED_RANK_EXACT: usize = 50;
/// Up to this product of the two counts the Mann-Whitney distribution is enumerated.
const MANN_WHITNEY_EXACT: usize = 2_500;
/// A tolerance for rounding when a sum of probabilities equals the tail exactly, such as 1/40.
const ROUNDING: f64 = 1.0 + 1e-12;

/// The depth for `n` values: the k-th smallest and k-th largest Walsh average bound the center
/// (Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3.3).
pub(super) fn signed_rank_depth(n: usize, level: Level) -> Option<usize> {
    if n > SIGNED_RANK_EXACT {
        let n = n as f64;
        let variance = n * (n + 1.0) * (2.0 * n + 1.0) / 24.0;
        return normal_depth(n * (n + 1.0) / 4.0, variance, level);
    }
    // The distribution does not depend on the data, so it is computed once.
    static COUNTS: [OnceLock<Vec<f64>>; SIGNED_RANK_EXACT + 1] = [const { OnceLock::new() }; SIGNED_RANK_EXACT + 1];
    exact_depth(COUNTS[n].get_or_init(|| signed_rank_counts(n)), 2f64.powi(n as i32), level)
}

/// The depth for two samples of `m` and `n` values: the k-th smallest and k-th largest difference bound the
/// shift (Hollander, Wolfe & Chicken, 4.3).
pub(super) fn mann_whitney_depth(m: usize, n: usize, level: Level) -> Option<usize> {
    if m.saturating_mul(n) > MANN_WHITNEY_EXACT {
        let (m, n) = (m as f64, n as f64);
        return normal_depth(m * n / 2.0, m * n * (m + n + 1.0) / 12.0, level);
    }
    let (few, many) = (m.min(n), m.max(n));
    exact_depth(&mann_whitney_counts(few, many), choices(few, many), level)
}

/// For each sum, the number of the 2^n sign patterns whose positive ranks add up to it.
fn signed_rank_counts(n: usize) -> Vec<f64> {
    let mut counts = vec![0.0; n * (n + 1) / 2 + 1];
    counts[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..counts.len()).rev() {
            counts[sum] += counts[sum - rank];
        }
    }
    counts
}

/// For each value in the lower half of the statistic, the number of choices of `few` ranks out of `few + many` that have it.
fn mann_whitney_counts(few: usize, many: usize) -> Vec<f64> {
    let half = few * many / 2;
    let mut ways = vec![vec![0.0; half + 1]; few + 1];
    ways[0][0] = 1.0;
    for position in 0..few + many {
        for chosen in (1..=few.min(position + 1)).rev() {
            // If this position is the chosen-th of the few, `below` of the many are below it.
            let below = position + 1 - chosen;
            let (fewer, same) = ways.split_at_mut(chosen);
            for (to, from) in same[0].iter_mut().skip(below).zip(&fewer[chosen - 1]) {
                *to += from;
            }
        }
    }
    ways.swap_remove(few)
}

/// The number of ways to choose `few` of `few + many`.
fn choices(few: usize, many: usize) -> f64 {
    (1..=few).fold(1.0, |ways, i| ways * (many + i) as f64 / i as f64)
}

/// The number of leading outcomes whose total probability is at most the tail.
fn exact_depth(counts: &[f64], total: f64, level: Level) -> Option<usize> {
    let allowed = level.tail() * total * ROUNDING;
    let mut cumulated = 0.0;
    let depth = counts
        .iter()
        .take_while(|&&count| {
            cumulated += count;
            cumulated <= allowed
        })
        .count();
    (depth > 0).then_some(depth)
}

/// The same by the normal approximation with a continuity correction of one half.
fn normal_depth(mean: f64, variance: f64, level: Level) -> Option<usize> {
    let depth = (mean + 0.5 - level.z() * variance.sqrt()).floor();
    (depth >= 1.0).then_some(depth as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::fixture;

    #[test]
    fn signed_rank_depths_agree_with_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/signed_rank_depth.json")) {
            let depth = signed_rank_depth(case.number("n") as usize, case.level());
            assert_eq!(depth.unwrap_or(0) as f64, case.number("depth"), "{case}");
        }
    }

    #[test]
    fn mann_whitney_depths_agree_with_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/mann_whitney_depth.json")) {
            let (m, n) = (case.number("m") as usize, case.number("n") as usize);
            let depth = mann_whitney_depth(m, n, case.level());
            assert_eq!(depth.unwrap_or(0) as f64, case.number("depth"), "{case}");
            assert_eq!(depth, mann_whitney_depth(n, m, case.level()), "{case}");
        }
    }

    #[test]
    fn an_interval_exists_exactly_if_the_smallest_possible_p_is_at_most_alpha() {
        for n in 1..=20 {
            let smallest = 2.0 * 0.5f64.powi(n as i32);
            assert_eq!(signed_rank_depth(n, Level::P95).is_some(), smallest <= 0.05, "n = {n}");
        }
        // 2 / C(6, 3) = 0.1, 2 / C(8, 4) = 0.029, 2 / C(7, 3) = 0.057, 2 / C(8, 3) = 0.036
        let reachable = |m, n| mann_whitney_depth(m, n, Level::P95).is_some();
        assert_eq!([reachable(3, 3), reachable(4, 4), reachable(3, 4), reachable(3, 5)], [false, true, false, true]);
    }

    #[test]
    fn the_normal_approximation_takes_over_without_a_jump() {
        let exact = exact_depth(&signed_rank_counts(51), 2f64.powi(51), Level::P95).unwrap();
        assert!(signed_rank_depth(51, Level::P95).unwrap().abs_diff(exact) <= 1);
        let exact = exact_depth(&mann_whitney_counts(50, 51), choices(50, 51), Level::P95).unwrap();
        assert!(mann_whitney_depth(50, 51, Level::P95).unwrap().abs_diff(exact) <= 1);
    }
}
