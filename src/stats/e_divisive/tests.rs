//! Change points of random series with known changes. The seeds are fixed.

use proptest::prelude::*;
use rand::RngExt;

use super::*;

/// Noise from a fixed stream.
struct Noise(ChaCha8Rng);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    fn unit(&mut self) -> f64 {
        self.0.random()
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (self.unit(), self.unit());
        (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }

    /// Noise with outliers in one direction, as on a busy host.
    fn tailed(&mut self) -> f64 {
        let wild = if self.unit() < 0.1 { 10.0 * self.unit() } else { 0.0 };
        self.normal() + wild
    }

    /// A series of `count` ratios around 1 with that spread. Each step has an index and a rise from there on.
    fn series(&mut self, count: usize, spread: f64, steps: &[(usize, f64)]) -> Vec<f64> {
        let level = |i: usize| steps.iter().filter(|step| step.0 <= i).map(|step| step.1.ln_1p()).sum::<f64>();
        (0..count).map(|i| (level(i) + spread * self.normal()).exp()).collect()
    }
}

/// No change points.
const NONE: [usize; 0] = [];

fn found(values: &[f64]) -> Vec<ChangePoint> {
    change_points(values).expect("the values have logarithms")
}

fn places(values: &[f64]) -> Vec<usize> {
    found(values).iter().map(|change| change.at).collect()
}

/// The best split, computed from the definition of the energy distance.
fn by_definition(points: &[f64]) -> (usize, f64) {
    let mean = |a: &[f64], b: &[f64], pairs: f64| {
        a.iter().flat_map(|x| b.iter().map(move |y| (x - y).abs())).sum::<f64>() / pairs
    };
    let mut best = (0, f64::NEG_INFINITY);
    for left in SHORTEST..=points.len() - SHORTEST {
        for end in left + SHORTEST..=points.len() {
            let (x, y) = (&points[..left], &points[left..end]);
            let (n, m) = (x.len() as f64, y.len() as f64);
            let energy = 2.0 * mean(x, y, n * m) - mean(x, x, n * (n - 1.0)) - mean(y, y, m * (m - 1.0));
            if n * m / (n + m) * energy > best.1 {
                best = (left, n * m / (n + m) * energy);
            }
        }
    }
    best
}

#[test]
fn a_step_is_found_at_its_place_with_its_levels() {
    let values = Noise::new(1).series(50, 0.01, &[(31, 0.05)]);
    let changes = found(&values);
    assert_eq!(changes.len(), 1, "{changes:?}");
    let change = changes[0];
    assert_eq!(change.at, 31);
    assert!((change.before - 1.0).abs() < 0.01 && (change.shift() - 0.05).abs() < 0.01, "{change:?}");
    assert!(change.p < ALPHA);
}

#[test]
fn steps_up_and_down_are_all_found() {
    let values = Noise::new(2).series(50, 0.006, &[(16, 0.08), (32, -0.074)]);
    assert_eq!(places(&values), [16, 32]);
}

#[test]
fn a_small_shift_is_not_reported_however_certain() {
    assert_eq!(places(&Noise::new(3).series(50, 0.0005, &[(25, 0.012)])), NONE);
    let with_a_large_one = Noise::new(4).series(50, 0.0005, &[(15, 0.012), (33, 0.05)]);
    assert_eq!(places(&with_a_large_one), [33]);
}

#[test]
fn a_single_outlier_is_not_a_change() {
    let mut values = Noise::new(5).series(40, 0.004, &[]);
    values[20] = 1.5;
    assert_eq!(places(&values), NONE);
}

#[test]
fn a_change_in_a_long_history_stays_where_it_was_found() {
    let values = Noise::new(6).series(140, 0.01, &[(60, 0.06)]);
    for count in [75, 90, 140] {
        assert_eq!(places(&values[..count]), [60], "{count}");
    }
}

#[test]
fn the_smallest_p_is_below_alpha() {
    assert!(p_of(0) < ALPHA && p_of(3) < ALPHA && p_of(4) >= ALPHA);
}

#[test]
fn too_few_points_can_show_nothing() {
    let step = |count: usize| (0..count).map(|i| if i < count / 2 { 1.0 } else { 2.0 }).collect::<Vec<_>>();
    for count in [0, 1, 2 * SHORTEST - 1, 2 * SHORTEST] {
        assert_eq!(places(&step(count)), NONE, "{count}");
    }
    assert_eq!(places(&step(20)), [10]);
}

#[test]
fn a_value_without_a_logarithm_is_named() {
    assert_eq!(change_points(&[1.0, 0.0]), Err(StatsError::NotPositive { index: 1, value: 0.0 }));
    assert!(matches!(change_points(&[f64::NAN]), Err(StatsError::NotFinite { index: 0, .. })));
}

#[test]
fn the_order_of_the_sessions_matters() {
    let mut values = Noise::new(7).series(50, 0.01, &[(25, 0.05)]);
    assert_eq!(places(&values).len(), 1);
    shuffle(&mut values, &mut ChaCha8Rng::seed_from_u64(1));
    assert_eq!(places(&values), NONE);
}

/// The number of rounds with a change point although nothing changes.
fn false_alarms(rounds: usize, mut one: impl FnMut(&mut Noise) -> f64) -> usize {
    let mut noise = Noise::new(20_261_121);
    (0..rounds)
        .filter(|_| !found(&(0..WINDOW).map(|_| (0.03 * one(&mut noise)).exp()).collect::<Vec<_>>()).is_empty())
        .count()
}

#[test]
fn noise_seldom_looks_like_a_change_whatever_its_tails() {
    // At a rate of 1 in 1,000, more than 3 of 500 occur once in 5,000 such tests, and the seed is fixed.
    assert!(false_alarms(500, Noise::normal) <= 3);
    assert!(false_alarms(500, Noise::tailed) <= 3);
}

#[test]
fn windows_cover_a_series_and_those_of_a_shorter_one_stay() {
    let ranges = |count: usize| windows(count).map(|window| (window.start, window.end)).collect::<Vec<_>>();
    assert_eq!(ranges(0), [(0, 0)]);
    assert_eq!(ranges(50), [(0, 50)]);
    assert_eq!(ranges(60), [(0, 50), (10, 60)]);
    assert_eq!(ranges(110), [(0, 50), (25, 75), (50, 100), (60, 110)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_distance_is_that_of_the_definition(points in prop::collection::vec(-2.0..2.0f64, 10..30)) {
        let fast = best_split(&points, &mut Vec::new()).unwrap();
        let slow = by_definition(&points);
        prop_assert_eq!(fast.0, slow.0);
        prop_assert!((fast.1 - slow.1).abs() < 1e-9);
    }

    #[test]
    fn a_constant_series_never_changes(value in 1e-6..1e12f64, count in 0..120usize) {
        prop_assert_eq!(places(&vec![value; count]), NONE);
    }

    #[test]
    fn any_positive_series_has_ordered_changes_of_the_floor_at_least(values in prop::collection::vec(1e-3..1e6f64, 0..40)) {
        let changes = found(&values);
        prop_assert!(changes.windows(2).all(|pair| pair[0].at + SHORTEST <= pair[1].at));
        prop_assert!(changes.iter().all(|change| change.shift() >= FLOOR - 1e-9 || change.shift() <= 1.0 / (1.0 + FLOOR) - 1.0 + 1e-9));
    }
}

proptest! {
    // Each case tests a change by all permutations.
    #![proptest_config(ProptestConfig::with_cases(3))]

    #[test]
    fn unit_and_direction_of_the_metric_do_not_matter(seed in 0..1000u64, unit in 1e-6..1e9f64) {
        let values = Noise::new(seed).series(40, 0.01, &[(22, 0.06)]);
        let scaled = found(&values.iter().map(|value| unit * value).collect::<Vec<_>>());
        let mirrored = found(&values.iter().map(|value| 1.0 / value).collect::<Vec<_>>());
        let plain = found(&values);
        prop_assert_eq!(plain.len(), 1);
        for (other, shift) in [(&scaled, plain[0].shift()), (&mirrored, 1.0 / (1.0 + plain[0].shift()) - 1.0)] {
            prop_assert_eq!(other.len(), 1);
            prop_assert_eq!((other[0].at, other[0].p), (plain[0].at, plain[0].p));
            prop_assert!((other[0].shift() - shift).abs() < 1e-9);
        }
    }
}
