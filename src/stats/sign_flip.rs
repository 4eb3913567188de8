//! The sign-flip test with signed ranks: the probability that values with a center at or below a bound lie as high by chance.
//!
//! If the center is exactly the bound, both signs of each distance from it are equally likely. The distribution of the sum of
//! the positive ranks is enumerated over all sign patterns, including ties (Pratt & Gibbons, Concepts of Nonparametric
//! Theory, 3.7; Lehmann, Nonparametrics, 3.2).
//! Invariant: negating values and bound gives the p of the opposite hypothesis.

use std::sync::OnceLock;

use statrs::distribution::{ContinuousCDF, Normal};

/// Up to this many values every sign pattern is counted. Beyond it, the normal approximation is good to 1e-3.
const EXACT: usize = 50;

/// The one-sided p of "the center is at most `bound`" against "it is above"; 1 without values.
///
/// Values equal to the bound favor neither hypothesis and are dropped, as by Wilcoxon. With n values, the smallest possible
/// p is 2^-n.
pub fn sign_flip(values: &[f64], bound: f64) -> f64 {
    let mut distances: Vec<f64> =
        values.iter().map(|value| value - bound).filter(|distance| *distance != 0.0).collect();
    distances.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
    let ranks = doubled_ranks(&distances);
    let positive = distances.iter().zip(&ranks).filter(|(distance, _)| **distance > 0.0).map(|(_, rank)| rank).sum();
    match distances.len() {
        0 => 1.0,
        n if n <= EXACT => exact(&ranks, positive),
        _ => normal(&ranks, positive),
    }
}

/// The ranks of ascending magnitudes, doubled. Tied magnitudes have their mean rank, whose double is an integer.
fn doubled_ranks(sorted: &[f64]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(sorted.len());
    for tied in sorted.chunk_by(|a, b| a.abs() == b.abs()) {
        let first = ranks.len() + 1;
        ranks.extend(std::iter::repeat_n(2 * first + tied.len() - 1, tied.len()));
    }
    ranks
}

/// The share of sign patterns whose positive ranks add up to at least `positive`.
fn exact(ranks: &[usize], positive: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    // The distribution is symmetric: as many sums are at least `positive` as are at most its mirror image.
    let Some(most) = total.checked_sub(positive) else { return 1.0 };
    let is_untied = ranks.iter().enumerate().all(|(i, rank)| *rank == 2 * (i + 1));
    if is_untied { untied(ranks.len())[most / 2] } else { cumulated(ranks, most)[most] }
}

/// The distribution for `n` ranks without ties. It does not depend on the data, so it is computed once.
fn untied(n: usize) -> &'static [f64] {
    static DISTRIBUTIONS: [OnceLock<Vec<f64>>; EXACT + 1] = [const { OnceLock::new() }; EXACT + 1];
    DISTRIBUTIONS[n].get_or_init(|| cumulated(&(1..=n).collect::<Vec<_>>(), n * (n + 1) / 2))
}

/// For each sum from 0 to `most`, the share of sign patterns whose positive ranks add up to at most that sum.
fn cumulated(ranks: &[usize], most: usize) -> Vec<f64> {
    let mut shares = vec![0.0; most + 1];
    shares[0] = 1.0;
    let mut reached = 0;
    for &rank in ranks {
        reached = (reached + rank).min(most);
        for sum in (0..=reached).rev() {
            let with = if sum >= rank { shares[sum - rank] } else { 0.0 };
            shares[sum] = 0.5 * (shares[sum] + with);
        }
    }
    let mut below = 0.0f64;
    for share in &mut shares {
        below += *share;
        *share = below.min(1.0);
    }
    shares
}

fn normal(ranks: &[usize], positive: usize) -> f64 {
    let (mean, variance) = ranks.iter().fold((0.0, 0.0), |(mean, variance), &rank| {
        let half = rank as f64 / 2.0;
        (mean + half, variance + half * half)
    });
    // Without ties, doubled ranks change in steps of two, so half a step is one.
    Normal::standard().sf((positive as f64 - 1.0 - mean) / variance.sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_enumeration(values: &[f64], bound: f64) -> f64 {
        let distances: Vec<f64> = values.iter().map(|v| v - bound).filter(|d| *d != 0.0).collect();
        let rank = |d: &f64| {
            let below = distances.iter().filter(|o| o.abs() < d.abs()).count() as f64;
            let tied = distances.iter().filter(|o| o.abs() == d.abs()).count() as f64;
            below + (tied + 1.0) / 2.0
        };
        let ranks: Vec<f64> = distances.iter().map(rank).collect();
        let sum = |signs: usize| (0..ranks.len()).filter(|i| signs >> i & 1 == 1).map(|i| ranks[i]).sum::<f64>();
        let seen: f64 = distances.iter().zip(&ranks).filter(|(d, _)| **d > 0.0).map(|(_, r)| r).sum();
        let patterns = 1usize << ranks.len();
        (0..patterns).filter(|&signs| sum(signs) >= seen - 1e-9).count() as f64 / patterns as f64
    }

    #[test]
    fn the_smallest_possible_p_halves_with_every_value() {
        for n in 1..=EXACT {
            let values: Vec<f64> = (1..=n).map(|i| i as f64).collect();
            assert!((sign_flip(&values, 0.0) / 0.5f64.powi(n as i32) - 1.0).abs() < 1e-9, "{n}");
        }
    }

    #[test]
    fn values_at_the_bound_are_dropped() {
        assert_eq!(sign_flip(&[], 0.0), 1.0);
        assert_eq!(sign_flip(&[3.0, 3.0], 3.0), 1.0);
        assert_eq!(sign_flip(&[3.0, 4.0, 5.0], 3.0), 0.25);
    }

    #[test]
    fn the_normal_approximation_takes_over_without_a_jump() {
        let values: Vec<f64> =
            (0..EXACT as i32).map(|i| f64::from(i) * if i % 9 < 4 { -1.0 } else { 1.0 } + 0.5).collect();
        let mut sorted = values.clone();
        sorted.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
        let ranks = doubled_ranks(&sorted);
        let positive = sorted.iter().zip(&ranks).filter(|(v, _)| **v > 0.0).map(|(_, r)| r).sum();
        assert!((exact(&ranks, positive) - normal(&ranks, positive)).abs() < 1e-3);
    }

    proptest! {
        #[test]
        fn every_sign_pattern_is_counted(values in prop::collection::vec(-5i32..5, 1..11), bound in -2i32..2) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let bound = f64::from(bound);
            prop_assert!((sign_flip(&values, bound) - by_enumeration(&values, bound)).abs() < 1e-9);
        }

        #[test]
        fn a_higher_value_never_raises_p(values in prop::collection::vec(-1e3..1e3f64, 1..60), by in 0.0..1e3f64) {
            let mut higher = values.clone();
            higher[0] += by;
            prop_assert!(sign_flip(&higher, 0.0) <= sign_flip(&values, 0.0) + 1e-12);
        }
    }
}
