//! Tests how often the methods are right on random data with known parameters. The seed is fixed.
//!
//! Invariant: the data have the drift and skew of real runs, so a method that works only for ideal data fails.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::model::units::Direction;

const ROUNDS: usize = 2_000;
/// In 2,000 rounds, two standard deviations of a share of 95 % are 1 %.
const NOMINAL: std::ops::RangeInclusive<f64> = 0.935..=0.985;

struct Noise(ChaCha8Rng);

impl Noise {
    fn normal(&mut self) -> f64 {
        let (u, v): (f64, f64) = (self.0.random(), self.0.random());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// A time of about 1 with a tail to the right.
    fn time(&mut self) -> f64 {
        let tail: f64 = self.0.random();
        (0.05 * self.normal()).exp() - 0.02 * (1.0 - tail).ln()
    }

    fn times(&mut self, n: usize) -> Sample {
        Sample::new((0..n).map(|_| self.time()).collect()).unwrap()
    }
}

/// The share of the rounds in which the outcome holds.
fn share(mut outcome: impl FnMut(&mut Noise) -> bool) -> f64 {
    let mut noise = Noise(ChaCha8Rng::seed_from_u64(20_240_607));
    (0..ROUNDS).filter(|_| outcome(&mut noise)).count() as f64 / ROUNDS as f64
}

fn contains(interval: Option<Interval>, truth: f64) -> bool {
    interval.expect("there are enough values").contains(truth)
}

#[test]
fn the_interval_of_a_slowdown_covers_the_truth_on_a_drifting_host() {
    for n in [6, 10, 30] {
        let covered = share(|noise| {
            let drifted = |i: usize| (0.3 * i as f64 / n as f64).exp();
            let pairs: Vec<_> = (0..n).map(|i| (drifted(i) * noise.time(), 1.25 * drifted(i) * noise.time())).collect();
            contains(slowdown(&pairs, Direction::Lower).unwrap().interval, 1.25)
        });
        assert!(NOMINAL.contains(&covered), "{n} pairs: {covered}");
    }
}

#[test]
fn the_interval_of_a_shift_covers_the_truth() {
    let covered = share(|noise| {
        let later = noise.times(12).sorted().iter().map(|t| t + 0.5).collect();
        contains(shift(&noise.times(9), &Sample::new(later).unwrap(), Level::P95).interval, 0.5)
    });
    assert!(NOMINAL.contains(&covered), "{covered}");
}

#[test]
fn the_interval_of_a_median_covers_the_truth() {
    // The order-statistic interval is conservative: 97.9 % at 10 values.
    let covered = share(|noise| {
        let normal = Sample::new((0..10).map(|_| noise.normal()).collect()).unwrap();
        contains(summarize(&normal).interval, 0.0)
    });
    assert!((0.97..=0.99).contains(&covered), "{covered}");
}

#[test]
fn the_interval_of_a_ratio_of_means_covers_the_truth() {
    let covered = share(|noise| {
        let loaded = noise.times(15).sorted().iter().map(|t| 2.0 * t).collect();
        let found = fieller(&noise.times(10), &Sample::new(loaded).unwrap(), Level::P95).unwrap();
        found.interval.contains(2.0)
    });
    assert!(NOMINAL.contains(&covered), "{covered}");
}

#[test]
fn the_interval_of_an_exponent_covers_the_truth() {
    let covered = share(|noise| {
        let point = |n: i32| (f64::from(n), f64::from(n).powf(1.2) * noise.time());
        contains(exponent(&(1..=16).map(point).collect::<Vec<_>>(), Level::P95).unwrap().interval, 1.2)
    });
    assert!(NOMINAL.contains(&covered), "{covered}");
}

#[test]
fn a_trend_is_seldom_found_in_a_ladder_without_one() {
    let flagged = share(|noise| {
        let points: Vec<_> = (0..30).map(|i| (f64::from(i % 10), noise.time())).collect();
        mann_kendall_against(&points).unwrap().p < 0.05
    });
    assert!((0.03..=0.065).contains(&flagged), "{flagged}");
}

#[test]
fn a_knee_is_seldom_found_in_a_straight_ladder_and_nearly_always_at_a_steep_bend() {
    let found = |bend: f64, noise: &mut Noise| {
        let value = |n: f64| n.powf(0.5) * (n / 8.0).max(1.0).powf(bend);
        let points: Vec<_> = (1..=12).map(f64::from).map(|n| (n, value(n) * (0.05 * noise.normal()).exp())).collect();
        knee(&points, Axes::LogLog).unwrap()
    };
    let straight = share(|noise| found(0.0, noise).is_some());
    assert!(straight < 0.03, "{straight}");
    let bent = share(|noise| found(6.0, noise).is_some_and(|k| (6.0..=8.0).contains(&k.position)));
    assert!(bent > 0.95, "{bent}");
}
