//! Finds the change points of a series by e-divisive, a hierarchical estimate with energy distances.
//!
//! The method is that of Matteson & James 2014 (10.1080/01621459.2013.849605), with the exponent 1 and the authors'
//! permutation test. We add three things: logarithms, so that a ratio counts the same in both directions; windows, so that
//! old history does not affect new change points; and a smallest shift.
//!
//! Invariant: permutations come from a fixed seed and algorithm, so that a series has the same change points on every
//! version and machine. The unit of the values and the direction of the metric do not matter.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Sample, StatsError, median, sample};

/// The number of points in a window.
const WINDOW: usize = 50;
/// The least number of points on each side of a change. Fewer points are not a level yet.
const SHORTEST: usize = 5;
/// A change must have a p below this.
const ALPHA: f64 = 0.001;
/// The smallest shift of the level, as a share. Smaller shifts do not matter, however certain they are.
const FLOOR: f64 = 0.02;

/// The number of permutations of a test. The smallest p is 1 in 5,000.
const PERMUTATIONS: usize = 4_999;
/// Seeds the permutations of every test.
const SEED: u64 = 20_140_301;

/// A change of the level.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ChangePoint {
    /// The index of the first point of the new level.
    pub at: usize,
    /// The median of the points between the previous change and this one, but at most the nearest 50.
    pub before: f64,
    /// The median of the points between this change and the next, likewise.
    pub after: f64,
    /// The p of the permutation test.
    pub p: f64,
}

impl ChangePoint {
    /// The rise of the level as a share: 0.05 is 5 %.
    pub fn shift(&self) -> f64 {
        self.after / self.before - 1.0
    }
}

/// Finds the change points of `values`, which are above zero and ordered by time.
///
/// A series of fewer than about 14 points has none, since it has too few permutations for the level. A permutation of a
/// window takes O(n²) time. A series without a change needs only a few permutations.
///
/// # Errors
/// [`StatsError::NotFinite`] and [`StatsError::NotPositive`] name the value that has no logarithm.
pub fn change_points(values: &[f64]) -> Result<Vec<ChangePoint>, StatsError> {
    let log = |(i, &value): (usize, &f64)| sample::positive(i, value).map(f64::ln);
    let logs: Vec<f64> = values.iter().enumerate().map(log).collect::<Result<_, _>>()?;
    let mut splits = Vec::new();
    for window in windows(logs.len()) {
        let start = window.start;
        splits.extend(scan(&logs[window]).into_iter().map(|split| Split { at: split.at + start, ..split }));
    }
    Ok(without_small_shifts(&logs, merged(splits)))
}

/// The windows of a series, each half a window after the previous one, and one at the end. A longer series keeps all windows
/// of a shorter one except the last, so that change points of the past are found again.
fn windows(count: usize) -> impl Iterator<Item = Range<usize>> {
    let last = count.saturating_sub(WINDOW);
    (0..last).step_by(WINDOW / 2).chain([last]).map(move |start| start..(start + WINDOW).min(count))
}

/// A split of a series into two sides.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    at: usize,
    /// The scaled energy distance between both sides.
    distance: f64,
    p: f64,
}

/// Finds the significant splits of one window. Tests the best split of all segments against the best splits of the shuffled
/// segments, and repeats this with smaller segments until a split is not significant.
fn scan(logs: &[f64]) -> Vec<Split> {
    let mut test = PermutationTest::new(logs);
    let mut splits: Vec<Split> = Vec::new();
    loop {
        let mut cuts: Vec<usize> = splits.iter().map(|split| split.at).chain([0, logs.len()]).collect();
        cuts.sort_unstable();
        let segments: Vec<Range<usize>> = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let Some((at, distance)) = test.best(&segments) else { return splits };
        let Some(p) = test.p(&segments, distance) else { return splits };
        splits.push(Split { at, distance, p });
    }
}

/// Merges splits that are closer than the shortest segment, since they are the same one, found in two windows. The one with
/// the larger distance is kept.
fn merged(mut splits: Vec<Split>) -> Vec<Split> {
    splits.sort_unstable_by(|a, b| a.at.cmp(&b.at).then(b.distance.total_cmp(&a.distance)));
    let mut kept: Vec<Split> = Vec::new();
    for split in splits {
        match kept.last_mut() {
            Some(last) if split.at - last.at < SHORTEST => {
                if split.distance > last.distance {
                    *last = split;
                }
            }
            _ => kept.push(split),
        }
    }
    kept
}

/// Computes the levels of the splits, and removes the split with the smallest shift until none is below [`FLOOR`].
fn without_small_shifts(logs: &[f64], mut splits: Vec<Split>) -> Vec<ChangePoint> {
    let size = |change: &ChangePoint| (change.after / change.before).ln().abs();
    loop {
        let changes = with_levels(logs, &splits);
        let smallest = (0..changes.len()).min_by(|&a, &b| size(&changes[a]).total_cmp(&size(&changes[b])));
        match smallest {
            // The tolerance keeps a shift of exactly the floor despite rounding.
            Some(i) if size(&changes[i]) < FLOOR.ln_1p() * (1.0 - 1e-9) => drop(splits.remove(i)),
            _ => return changes,
        }
    }
}

fn with_levels(logs: &[f64], splits: &[Split]) -> Vec<ChangePoint> {
    // The median of logarithms, so that the inverse series has the inverse levels.
    let level =
        |range: Range<usize>| Sample::new(logs[range].to_vec()).map_or(f64::NAN, |sample| median(&sample).exp());
    let change = |(i, split): (usize, &Split)| {
        let start = if i == 0 { 0 } else { splits[i - 1].at };
        let end = splits.get(i + 1).map_or(logs.len(), |next| next.at);
        ChangePoint {
            at: split.at,
            before: level(start.max(split.at.saturating_sub(WINDOW))..split.at),
            after: level(split.at..end.min(split.at + WINDOW)),
            p: split.p,
        }
    };
    splits.iter().enumerate().map(change).collect()
}

/// The permutation test of one window. `shuffled` and `sums` are buffers.
#[derive(Debug)]
struct PermutationTest {
    points: Vec<f64>,
    shuffled: Vec<f64>,
    sums: Vec<f64>,
}

impl PermutationTest {
    fn new(logs: &[f64]) -> Self {
        Self { points: logs.to_vec(), shuffled: Vec::new(), sums: Vec::new() }
    }

    /// The position and distance of the best split of all segments.
    fn best(&mut self, segments: &[Range<usize>]) -> Option<(usize, f64)> {
        let best_of = |segment: &Range<usize>| {
            let (at, distance) = best_split(&self.points[segment.clone()], &mut self.sums)?;
            Some((segment.start + at, distance))
        };
        segments.iter().filter_map(best_of).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }

    /// The p of a split with that distance: the share of permutations whose best split is at least as good. `None` once it
    /// reaches [`ALPHA`].
    fn p(&mut self, segments: &[Range<usize>], distance: f64) -> Option<f64> {
        // The tolerance is for rounding, which depends on the order of the points.
        let distance = distance * (1.0 - 1e-9);
        let mut stream = ChaCha8Rng::seed_from_u64(SEED);
        let mut at_least = 0;
        self.shuffled.clone_from(&self.points);
        for _ in 0..PERMUTATIONS {
            let mut best = 0.0_f64;
            for segment in segments {
                let points = &mut self.shuffled[segment.clone()];
                shuffle(points, &mut stream);
                best = best.max(best_split(points, &mut self.sums).map_or(0.0, |split| split.1));
            }
            at_least += usize::from(best >= distance);
            if p_of(at_least) >= ALPHA {
                return None;
            }
        }
        Some(p_of(at_least))
    }
}

/// The p if `at_least` permutations are as good as the data. The data count as one more permutation.
fn p_of(at_least: usize) -> f64 {
    (at_least + 1) as f64 / (PERMUTATIONS + 1) as f64
}

/// Shuffles by Fisher and Yates. Not from a library, since that may change its algorithm.
fn shuffle(points: &mut [f64], stream: &mut ChaCha8Rng) {
    for last in (1..points.len()).rev() {
        // The bias of a remainder is below 2^-50 for any window.
        let other = (stream.next_u64() % (last as u64 + 1)) as usize;
        points.swap(last, other);
    }
}

/// The best split of `points` and the scaled energy distance of its sides; `None` with too few points. The right side may
/// end before the last point, so that a change is found even if the old level returns. `sums` is a buffer.
fn best_split(points: &[f64], sums: &mut Vec<f64>) -> Option<(usize, f64)> {
    let count = points.len();
    if count < 2 * SHORTEST {
        return None;
    }
    // `sums` has the sum of each point's distances from the first `left` points.
    sums.clear();
    sums.resize(count, 0.0);
    let pairs = pair_sums(points);
    let mut best = (0, f64::NEG_INFINITY);
    for left in 1..=count - SHORTEST {
        let added = points[left - 1];
        for (sum, point) in sums[left..].iter_mut().zip(&points[left..]) {
            *sum += (point - added).abs();
        }
        if left < SHORTEST {
            continue;
        }
        let (mut between, inside) = (0.0, pairs[left]);
        for (right, sum) in sums[left..].iter().enumerate().map(|(i, sum)| (i + 1, sum)) {
            between += sum;
            if right < SHORTEST {
                continue;
            }
            let distance = energy((left, inside), (right, pairs[left + right] - inside - between), between);
            if distance > best.1 {
                best = (left, distance);
            }
        }
    }
    Some(best)
}

/// For every n, the sum of the distances of all pairs among the first n points.
fn pair_sums(points: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; points.len() + 1];
    for (i, point) in points.iter().enumerate() {
        sums[i + 1] = sums[i] + points[..i].iter().map(|other| (point - other).abs()).sum::<f64>();
    }
    sums
}

/// Equation 7 of the paper, from the number of points and the sum of distances inside each side, and the sum between both.
fn energy((n, inside_n): (usize, f64), (m, inside_m): (usize, f64), between: f64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    let mean = 2.0 * between / (n * m) - 2.0 * inside_n / (n * (n - 1.0)) - 2.0 * inside_m / (m * (m - 1.0));
    n * m / (n + m) * mean
}

#[cfg(test)]
mod tests;
