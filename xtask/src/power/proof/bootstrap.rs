//! Tests of two samples, as the other projects' rules use them.

use super::Random;

/// The number of resamples. criterion uses 100,000 and Firecracker 9,999; fewer only make p less precise, by 0.7 points at 5 %.
const RESAMPLES: usize = if cfg!(test) { 200 } else { 1_000 };

/// The arithmetic mean of at least one value.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Welch's t of `to` compared with `from`.
pub(super) fn welch(from: &[f64], to: &[f64]) -> f64 {
    let part = |values: &[f64]| {
        let (n, mean) = (values.len() as f64, mean(values));
        (mean, values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n)
    };
    let ((a, square_a), (b, square_b)) = (part(from), part(to));
    match square_a + square_b {
        0.0 if a == b => 0.0,
        square => (b - a) / square.sqrt(),
    }
}

fn redrawn<'d>(from: &[f64], into: &'d mut [f64], random: &mut Random) -> &'d [f64] {
    into.iter_mut().for_each(|value| *value = from[random.below(from.len())]);
    into
}

/// The two-sided p of Welch's t among resamples of both samples together.
pub(super) fn pooled_p(from: &[f64], to: &[f64], random: &mut Random) -> f64 {
    let seen = welch(from, to);
    if seen == 0.0 {
        return 1.0;
    }
    let pool = [from, to].concat();
    let (mut a, mut b) = (from.to_vec(), to.to_vec());
    let below =
        (0..RESAMPLES).filter(|_| welch(redrawn(&pool, &mut a, random), redrawn(&pool, &mut b, random)) < seen).count();
    2.0 * below.min(RESAMPLES - below) as f64 / RESAMPLES as f64
}

/// The 95 % percentile interval of the relative change of the mean.
pub(super) fn mean_change(from: &[f64], to: &[f64], random: &mut Random) -> (f64, f64) {
    let (mut a, mut b) = (from.to_vec(), to.to_vec());
    let mut changes: Vec<f64> =
        (0..RESAMPLES).map(|_| mean(redrawn(to, &mut b, random)) / mean(redrawn(from, &mut a, random)) - 1.0).collect();
    changes.sort_unstable_by(f64::total_cmp);
    (changes[RESAMPLES / 40], changes[RESAMPLES - 1 - RESAMPLES / 40])
}

/// The two-sided p of the difference of means among permutations of the values.
pub(super) fn permutation_p(from: &[f64], to: &[f64], random: &mut Random) -> f64 {
    let mut pool = [from, to].concat();
    let (n, total) = (from.len(), pool.iter().sum::<f64>());
    let difference = |first: f64| ((total - first) / to.len() as f64 - first / n as f64).abs();
    // Sums of the same values in another order differ in the last digit.
    let seen = difference(from.iter().sum()) * (1.0 - 1e-12);
    let mut as_far = 1;
    for _ in 0..RESAMPLES {
        for i in 0..n {
            let j = i + random.below(pool.len() - i);
            pool.swap(i, j);
        }
        as_far += usize::from(difference(pool[..n].iter().sum()) >= seen);
    }
    as_far as f64 / (RESAMPLES + 1) as f64
}

/// The standard normal score of the Mann-Whitney statistic: above zero if `to` is above `from`. Ties get their mean rank.
pub(super) fn rank_sum(from: &[f64], to: &[f64]) -> f64 {
    let mut all: Vec<(f64, bool)> = from.iter().map(|v| (*v, false)).chain(to.iter().map(|v| (*v, true))).collect();
    all.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut first, mut sum, mut ties) = (0, 0.0, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let count = tied.len() as f64;
        sum += (first as f64 + (count + 1.0) / 2.0) * tied.iter().filter(|(_, is_b)| *is_b).count() as f64;
        ties += count.powi(3) - count;
        first += tied.len();
    }
    let (m, n) = (from.len() as f64, to.len() as f64);
    let all = m + n;
    let variance = m * n / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    let beyond = sum - n * (all + 1.0) / 2.0;
    if variance > 0.0 { beyond / variance.sqrt() } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: usize, from: f64) -> Vec<f64> {
        (0..n).map(|i| from + i as f64).collect()
    }

    #[test]
    fn equal_samples_are_not_rare_and_distant_ones_are() {
        let mut random = Random::new(1, 0);
        let (a, near, far) = (line(40, 100.0), line(40, 100.5), line(40, 150.0));
        assert!(pooled_p(&a, &near, &mut random) > 0.3 && pooled_p(&a, &far, &mut random) < 0.01);
        assert!(permutation_p(&a, &near, &mut random) > 0.3 && permutation_p(&a, &far, &mut random) < 0.01);
        assert!(rank_sum(&a, &near).abs() < 0.5 && rank_sum(&a, &far) > 6.0 && rank_sum(&far, &a) < -6.0);
        let (low, high) = mean_change(&a, &far, &mut random);
        assert!(low < 50.0 / 119.5 && 50.0 / 119.5 < high && low > 0.3 && high < 0.6, "{low} {high}");
    }

    #[test]
    fn samples_without_spread_have_no_difference() {
        let mut random = Random::new(1, 0);
        let same = [7.0; 20];
        assert_eq!((welch(&same, &same), rank_sum(&same, &same)), (0.0, 0.0));
        assert_eq!(permutation_p(&same, &same, &mut random), 1.0);
    }

    #[test]
    fn the_rank_sum_matches_a_textbook() {
        // Ranks 1 2 4 of `from`, 3 5 6 of `to`: U = 8 of 9, mean 4.5, variance 5.25.
        assert!((rank_sum(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]) - 3.5 / 5.25f64.sqrt()).abs() < 1e-12);
    }
}
