//! Where the level of a series changes: e-divisive, the hierarchical estimate of change points by energy distances.
//!
//! Matteson & James 2014 (10.1080/01621459.2013.849605), with the exponent 1 and the authors' permutation test. What of it is
//! ours: logarithms, so that a ratio counts the same in both directions; windows, so that old history does not decide about new;
//! and a smallest shift. Invariant: the permutations come from a fixed seed by a fixed algorithm, so that a series has the same
//! change points on every version and machine, and neither its unit nor the sign of its logarithms matters.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Sample, StatsError, median, sample};

/// How many points are looked at together.
const WINDOW: usize = 50;
/// Both sides of a change have at least this many points: what has been seen less often is no level yet.
const SHORTEST: usize = 5;
/// A change whose p is not below this is none.
const ALPHA: f64 = 0.001;
/// A smaller shift of the level, as a share, is of no interest, however certain.
const FLOOR: f64 = 0.02;

/// How many permutations a test takes. The smallest p is 1 in 5,000.
const PERMUTATIONS: usize = 4_999;
/// Seeds the permutations of every test.
const SEED: u64 = 20_140_301;

/// A place where the level changes.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct ChangePoint {
    /// The index of the first point of the new level.
    pub at: usize,
    /// The median between the change before and this one, of the nearest 50 points.
    pub before: f64,
    /// The median between this one and the next, likewise.
    pub after: f64,
    /// The p of the permutation test.
    pub p: f64,
}

impl ChangePoint {
    /// By what share the level has risen: 0.05 is 5 %.
    pub fn shift(&self) -> f64 {
        self.after / self.before - 1.0
    }
}

/// The change points of `values`, which are above zero and in the order of time, by rising index.
///
/// A series of fewer than about 14 points has none: its permutations are too few for the level. One window costs O(n²)
/// a permutation, of which a series without a change needs a handful.
///
/// # Errors
/// [`StatsError::NotFinite`] and [`StatsError::NotPositive`] name the value that has no logarithm.
pub fn change_points(values: &[f64]) -> Result<Vec<ChangePoint>, StatsError> {
    let of = |(i, &value): (usize, &f64)| sample::positive(i, value).map(f64::ln);
    let logs: Vec<f64> = values.iter().enumerate().map(of).collect::<Result<_, _>>()?;
    let found = windows(logs.len()).flat_map(|window| {
        let start = window.start;
        scan(&logs[window]).into_iter().map(move |split| Split { at: split.at + start, ..split })
    });
    Ok(large(&logs, together(found.collect())))
}

/// The windows of a series: from its start on by half a window, and the last one. A longer series has those of the shorter one
/// but the last, so that what was found in the past stays found.
fn windows(count: usize) -> impl Iterator<Item = Range<usize>> {
    let last = count.saturating_sub(WINDOW);
    (0..last).step_by(WINDOW / 2).chain([last]).map(move |start| start..(start + WINDOW).min(count))
}

/// A split of a series with what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    at: usize,
    /// The scaled energy distance between both sides.
    distance: f64,
    p: f64,
}

/// The significant splits of one window: the best one of any segment is tested against the best ones of the same segments
/// shuffled, until one fails.
fn scan(logs: &[f64]) -> Vec<Split> {
    let mut bench = Bench::new(logs);
    let mut splits: Vec<Split> = Vec::new();
    loop {
        let mut cuts: Vec<usize> = splits.iter().map(|split| split.at).chain([0, logs.len()]).collect();
        cuts.sort_unstable();
        let segments: Vec<Range<usize>> = cuts.windows(2).map(|pair| pair[0]..pair[1]).collect();
        let Some((at, distance)) = bench.best(&segments) else { return splits };
        let Some(p) = bench.p(&segments, distance) else { return splits };
        splits.push(Split { at, distance, p });
    }
}

/// Splits that lie closer than the shortest segment are the same one, found from two windows: the clearer one stays.
fn together(mut splits: Vec<Split>) -> Vec<Split> {
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

/// The splits with their levels, without those that shift it by too little, the smallest one left out first.
fn large(logs: &[f64], mut splits: Vec<Split>) -> Vec<ChangePoint> {
    loop {
        let found = levels(logs, &splits);
        let size = |change: &ChangePoint| (change.after / change.before).ln().abs();
        let smallest = (0..found.len()).min_by(|&a, &b| size(&found[a]).total_cmp(&size(&found[b])));
        match smallest {
            // Rounding must not decide about a shift of exactly the floor.
            Some(i) if size(&found[i]) < FLOOR.ln_1p() * (1.0 - 1e-9) => drop(splits.remove(i)),
            _ => return found,
        }
    }
}

fn levels(logs: &[f64], splits: &[Split]) -> Vec<ChangePoint> {
    // Of logarithms, so that a mirrored series has the mirrored shift.
    let level =
        |range: Range<usize>| Sample::new(logs[range].to_vec()).map_or(f64::NAN, |sample| median(&sample).exp());
    let of = |(i, split): (usize, &Split)| {
        let start = if i == 0 { 0 } else { splits[i - 1].at };
        let end = splits.get(i + 1).map_or(logs.len(), |next| next.at);
        ChangePoint {
            at: split.at,
            before: level(start.max(split.at.saturating_sub(WINDOW))..split.at),
            after: level(split.at..end.min(split.at + WINDOW)),
            p: split.p,
        }
    };
    splits.iter().enumerate().map(of).collect()
}

/// The points of one window in some order, and room to work in.
#[derive(Debug)]
struct Bench {
    points: Vec<f64>,
    shuffled: Vec<f64>,
    sums: Vec<f64>,
}

impl Bench {
    fn new(logs: &[f64]) -> Self {
        Self { points: logs.to_vec(), shuffled: Vec::new(), sums: Vec::new() }
    }

    /// The best split over all segments.
    fn best(&mut self, segments: &[Range<usize>]) -> Option<(usize, f64)> {
        let of = |segment: &Range<usize>| {
            let (at, distance) = best_split(&self.points[segment.clone()], &mut self.sums)?;
            Some((segment.start + at, distance))
        };
        segments.iter().filter_map(of).max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))
    }

    /// How often the best split of the shuffled segments is as good as `seen`; `None` from [`ALPHA`] on.
    fn p(&mut self, segments: &[Range<usize>], seen: f64) -> Option<f64> {
        // The same partition in another order has the same distance but for rounding.
        let seen = seen * (1.0 - 1e-9);
        let mut stream = ChaCha8Rng::seed_from_u64(SEED);
        let mut beyond = 0;
        self.shuffled.clone_from(&self.points);
        for _ in 0..PERMUTATIONS {
            let mut best = 0.0_f64;
            for segment in segments {
                let points = &mut self.shuffled[segment.clone()];
                shuffle(points, &mut stream);
                best = best.max(best_split(points, &mut self.sums).map_or(0.0, |split| split.1));
            }
            beyond += usize::from(best >= seen);
            if p_of(beyond) >= ALPHA {
                return None;
            }
        }
        Some(p_of(beyond))
    }
}

/// The p where so many permutations look as much like a change as the data, which count as one more.
fn p_of(beyond: usize) -> f64 {
    (beyond + 1) as f64 / (PERMUTATIONS + 1) as f64
}

/// Shuffles by Fisher and Yates, written out because a library may change its algorithm.
fn shuffle(points: &mut [f64], stream: &mut ChaCha8Rng) {
    for last in (1..points.len()).rev() {
        // The bias of a remainder is below 2^-50 for any window.
        let other = (stream.next_u64() % (last as u64 + 1)) as usize;
        points.swap(last, other);
    }
}

/// Where `points` part best, and the scaled energy distance of both sides; `None` where they are too few. The right side may
/// end before the last point, so that a level which comes back hides no change. `sums` is room to work in.
fn best_split(points: &[f64], sums: &mut Vec<f64>) -> Option<(usize, f64)> {
    let count = points.len();
    if count < 2 * SHORTEST {
        return None;
    }
    // For every point the sum of its distances from the first `left` points, and that of all pairs up to a point.
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

/// The sums of the distances of all pairs among the first points, for every number of them.
fn pair_sums(points: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; points.len() + 1];
    for (i, point) in points.iter().enumerate() {
        sums[i + 1] = sums[i] + points[..i].iter().map(|other| (point - other).abs()).sum::<f64>();
    }
    sums
}

/// Equation 7 of the paper from the sums of distances inside each side and between them.
fn energy((n, inside_n): (usize, f64), (m, inside_m): (usize, f64), between: f64) -> f64 {
    let (n, m) = (n as f64, m as f64);
    let mean = 2.0 * between / (n * m) - 2.0 * inside_n / (n * (n - 1.0)) - 2.0 * inside_m / (m * (m - 1.0));
    n * m / (n + m) * mean
}

#[cfg(test)]
mod tests;
