//! The rank-sum test of two unpaired samples: the probability that B lies as high above A by chance.
//!
//! If B lies above A by exactly the bound, every choice of values for B is equally likely. The distribution of the sum of B's
//! ranks over all choices is counted, including ties (Lehmann, Nonparametrics, 1.2 and 1.4).
//! Invariant: exchanging the samples and negating the bound gives the p of the opposite hypothesis.

use statrs::distribution::{ContinuousCDF, Normal};

use super::Sample;

/// Up to this total number of values every choice is counted. Beyond it, the normal approximation is good to 1e-3.
const EXACT: usize = 40;

/// The one-sided p of "B lies above A by at most `bound`" against "by more". With m and n values, the smallest possible p is
/// one over the number of choices of n among m + n.
pub fn rank_sum(a: &Sample, b: &Sample, bound: f64) -> f64 {
    let values = a.sorted().iter().map(|&value| (value, false));
    let mut all: Vec<(f64, bool)> = values.chain(b.sorted().iter().map(|&value| (value - bound, true))).collect();
    all.sort_unstable_by(|x, y| x.0.total_cmp(&y.0));
    let ranks = doubled_ranks(&all);
    let seen: usize = ranks.iter().zip(&all).filter(|(_, (_, is_b))| *is_b).map(|(rank, _)| rank).sum();
    match all.len() {
        n if n <= EXACT => exact(&ranks, b.count(), seen),
        _ => normal(&ranks, b.count(), seen),
    }
}

/// The ranks of ascending values, doubled. Tied values have their mean rank, whose double is an integer.
fn doubled_ranks(sorted: &[(f64, bool)]) -> Vec<usize> {
    let mut ranks = Vec::with_capacity(sorted.len());
    for tied in sorted.chunk_by(|x, y| x.0 == y.0) {
        let first = ranks.len() + 1;
        ranks.extend(std::iter::repeat_n(2 * first + tied.len() - 1, tied.len()));
    }
    ranks
}

/// The share of the choices of `chosen` ranks whose sum is at least `seen`.
fn exact(ranks: &[usize], chosen: usize, seen: usize) -> f64 {
    let total: usize = ranks.iter().sum();
    // `ways[count][sum]` is the number of choices of `count` ranks with that sum.
    let mut ways = vec![vec![0.0; total + 1]; chosen + 1];
    ways[0][0] = 1.0;
    for &rank in ranks {
        for count in (1..=chosen).rev() {
            let (fewer, same) = ways.split_at_mut(count);
            for (to, from) in same[0].iter_mut().skip(rank).zip(&fewer[count - 1]) {
                *to += from;
            }
        }
    }
    let all: f64 = ways[chosen].iter().sum();
    ways[chosen].iter().skip(seen).sum::<f64>() / all
}

/// The normal approximation, with the variance of the ranks including ties, and a continuity correction of half a step.
fn normal(ranks: &[usize], chosen: usize, seen: usize) -> f64 {
    let (n, b) = (ranks.len() as f64, chosen as f64);
    let mean = ranks.iter().map(|&rank| rank as f64 / 2.0).sum::<f64>() / n;
    let squares: f64 = ranks.iter().map(|&rank| (rank as f64 / 2.0 - mean).powi(2)).sum();
    let sd = (b * (n - b) / (n * (n - 1.0)) * squares).sqrt();
    match sd {
        // All values are equal.
        0.0 => 1.0,
        sd => Normal::standard().sf((seen as f64 / 2.0 - 0.5 - b * mean) / sd),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.to_vec()).unwrap()
    }

    /// The p by its definition, with every choice enumerated.
    fn by_enumeration(a: &[f64], b: &[f64], bound: f64) -> f64 {
        let all: Vec<f64> = a.iter().copied().chain(b.iter().map(|v| v - bound)).collect();
        let rank = |v: f64| {
            let below = all.iter().filter(|o| **o < v).count() as f64;
            below + (all.iter().filter(|o| **o == v).count() as f64 + 1.0) / 2.0
        };
        let ranks: Vec<f64> = all.iter().map(|&v| rank(v)).collect();
        let sum = |set: usize| (0..all.len()).filter(|i| set >> i & 1 == 1).map(|i| ranks[i]).sum::<f64>();
        let seen: f64 = ranks[a.len()..].iter().sum();
        let choices: Vec<usize> = (0..1usize << all.len()).filter(|set| set.count_ones() as usize == b.len()).collect();
        choices.iter().filter(|&&set| sum(set) >= seen - 1e-9).count() as f64 / choices.len() as f64
    }

    #[test]
    fn the_smallest_possible_p_is_one_over_the_number_of_choices() {
        let p = |m: i32, n: i32| {
            let range = |from: i32, count: i32| sample(&(from..from + count).map(f64::from).collect::<Vec<_>>());
            rank_sum(&range(0, m), &range(m, n), 0.0)
        };
        assert!((p(4, 4) - 1.0 / 70.0).abs() < 1e-12 && (p(3, 3) - 0.05).abs() < 1e-12);
        assert!((p(20, 20) - 1.0 / 137_846_528_820.0).abs() < 1e-15);
        assert_eq!(p(1, 1), 0.5);
    }

    #[test]
    fn equal_values_have_a_p_of_one() {
        assert_eq!(rank_sum(&sample(&[3.0; 5]), &sample(&[3.0; 5]), 0.0), 1.0);
        assert_eq!(rank_sum(&sample(&[3.0; 50]), &sample(&[3.0; 50]), 0.0), 1.0);
    }

    #[test]
    fn the_normal_approximation_takes_over_without_a_jump() {
        let values = |n: i32, step: i32| (0..n).map(|i| f64::from(i * step % 41)).collect::<Vec<_>>();
        let (a, b) = (sample(&values(20, 7)), sample(&values(20, 11)));
        for bound in [-12.5, -3.5, 0.5, 4.5] {
            let mut all: Vec<(f64, bool)> = a.sorted().iter().map(|&v| (v, false)).collect();
            all.extend(b.sorted().iter().map(|&v| (v - bound, true)));
            all.sort_unstable_by(|x, y| x.0.total_cmp(&y.0));
            let ranks = doubled_ranks(&all);
            let seen = ranks.iter().zip(&all).filter(|(_, (_, is_b))| *is_b).map(|(rank, _)| rank).sum();
            assert!((exact(&ranks, 20, seen) - normal(&ranks, 20, seen)).abs() < 2e-3, "{bound}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_choice_is_counted(
            a in prop::collection::vec(-4i32..4, 1..6),
            b in prop::collection::vec(-4i32..4, 1..6),
            bound in -2i32..2,
        ) {
            let floats = |values: Vec<i32>| values.into_iter().map(f64::from).collect::<Vec<_>>();
            let (a, b, bound) = (floats(a), floats(b), f64::from(bound));
            let p = rank_sum(&sample(&a), &sample(&b), bound);
            prop_assert!((p - by_enumeration(&a, &b, bound)).abs() < 1e-9);
        }

        #[test]
        fn a_higher_value_never_raises_p(
            a in prop::collection::vec(-1e3..1e3f64, 1..40),
            b in prop::collection::vec(-1e3..1e3f64, 1..40),
            by in 0.0..1e3f64,
        ) {
            let mut higher = b.clone();
            higher[0] += by;
            prop_assert!(rank_sum(&sample(&a), &sample(&higher), 0.0) <= rank_sum(&sample(&a), &sample(&b), 0.0) + 1e-9);
        }
    }
}
