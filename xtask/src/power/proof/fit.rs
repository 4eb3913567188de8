//! The noise model of a recording.
//!
//! The difference of two trials grows with their distance: the variogram. Its shape separates core, wave and walk. It is made
//! robust by medians (after Genton 1998, 10.1023/A:1021728614555) and fitted by non-negative least squares. Trials far above the
//! moving median are the tail.

use featherweight::stats::{Sample, median};

use super::NoiseModel;
use super::noise::TAIL_STARTS;

/// The factor from the median of absolute normal numbers to their standard deviation.
const NORMAL: f64 = 1.4826;
/// The trials of the moving median: an odd number, short compared with a wave and long compared with a series of tail trials.
const WINDOW: usize = 31;
/// The fewest trials of a model.
const FEWEST: usize = 100;
/// The memories that are tried: waves of two to about two hundred trials.
const MEMORIES: [f64; 7] = [0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995];

/// The model of values in the order of measurement; `None` for fewer than 100 values, or if one is not positive. The spread of
/// sessions is 0, since one recording does not have it; see [`between`].
pub fn fit(values: &[f64]) -> Option<NoiseModel> {
    if values.len() < FEWEST || !values.iter().all(|v| v.is_finite() && *v > 0.0) {
        return None;
    }
    let logs: Vec<f64> = values.iter().map(|v| v.ln()).collect();
    let variogram = variogram(&logs);
    let fits = MEMORIES.into_iter().map(|memory| (memory, least_squares(&variogram, memory)));
    let (memory, parts, _) = fits
        .map(|(memory, parts)| (memory, parts, misfit(&variogram, memory, parts)))
        .min_by(|a, b| a.2.total_cmp(&b.2))?;
    let core = parts[0].sqrt();
    let (tail_share, tail) = tail(&logs, core);
    Some(NoiseModel {
        median: median(&Sample::new(values.to_vec()).ok()?),
        core,
        tail_share,
        tail,
        wave: parts[1].sqrt(),
        memory,
        walk: parts[2].sqrt(),
        session: 0.0,
    })
}

/// The spread of sessions, from the medians of several recordings of one case; `None` for fewer than two.
pub fn between(medians: &[f64]) -> Option<f64> {
    let logs = medians.iter().map(|m| m.ln()).collect();
    Sample::new(logs).ok()?.sd()
}

/// Half the squared spread of the differences of trials by their distance, which doubles each time.
fn variogram(logs: &[f64]) -> Vec<(f64, f64)> {
    let lags = std::iter::successors(Some(1usize), |lag| Some(2 * lag)).take_while(|lag| 4 * lag <= logs.len());
    let point = |lag: usize| {
        let differences: Vec<f64> = logs.iter().zip(&logs[lag..]).map(|(a, b)| (b - a).abs()).collect();
        let spread = NORMAL * Sample::new(differences).map_or(0.0, |s| median(&s));
        (lag as f64, 0.5 * spread * spread)
    };
    lags.map(point).collect()
}

/// The parts of core, wave and walk, each with variance 1, in the variogram at that distance.
fn shapes(lag: f64, memory: f64) -> [f64; 3] {
    [1.0, 1.0 - memory.powf(lag), 0.5 * lag]
}

/// The weight that makes relative errors count equally; a value of zero has no relative error.
fn weight(value: f64) -> f64 {
    if value > 0.0 { value.powi(-2) } else { 1.0 }
}

/// The non-negative variances by coordinate descent, which converges to the only minimum of a convex sum.
fn least_squares(variogram: &[(f64, f64)], memory: f64) -> [f64; 3] {
    let mut parts = [0.0; 3];
    for _ in 0..2_000 {
        for i in 0..3 {
            let (mut along, mut square) = (0.0, 0.0);
            for &(lag, value) in variogram {
                let shapes = shapes(lag, memory);
                let others: f64 = (0..3).filter(|&j| j != i).map(|j| parts[j] * shapes[j]).sum();
                along += weight(value) * shapes[i] * (value - others);
                square += weight(value) * shapes[i] * shapes[i];
            }
            parts[i] = (along / square).max(0.0);
        }
    }
    parts
}

fn misfit(variogram: &[(f64, f64)], memory: f64, parts: [f64; 3]) -> f64 {
    let model = |lag: f64| shapes(lag, memory).iter().zip(parts).map(|(shape, part)| shape * part).sum::<f64>();
    variogram.iter().map(|&(lag, value)| weight(value) * (value - model(lag)).powi(2)).sum()
}

/// The share of trials far above the moving median, and their mean distance from the tail's start.
fn tail(logs: &[f64], core: f64) -> (f64, f64) {
    let half = WINDOW / 2;
    let middle = |i: usize| {
        let window = &logs[i.saturating_sub(half)..(i + half + 1).min(logs.len())];
        Sample::new(window.to_vec()).map_or(0.0, |s| median(&s))
    };
    let start = TAIL_STARTS * core;
    let beyond: Vec<f64> =
        logs.iter().enumerate().map(|(i, log)| log - middle(i) - start).filter(|excess| *excess > 0.0).collect();
    match beyond.len() {
        0 => (0.0, 0.0),
        n => (n as f64 / logs.len() as f64, beyond.iter().sum::<f64>() / n as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::power::proof::{Random, Stream};

    fn drawn(model: NoiseModel, n: usize) -> Vec<f64> {
        let mut random = Random::new(11, 0);
        let mut stream = Stream::new(model, &mut random);
        (0..n).map(|_| stream.value(&mut random)).collect()
    }

    #[test]
    fn independent_noise_is_all_core() {
        let model = fit(&drawn(NoiseModel::quiet(0.05), 4_000)).unwrap();
        assert!((model.core - 0.05).abs() < 0.004, "{model:?}");
        assert!(model.wave < 0.015 && model.walk < 0.001 && model.tail_share < 0.002, "{model:?}");
        assert!((model.median / 1e7 - 1.0).abs() < 0.01);
    }

    #[test]
    fn a_known_model_is_recovered() {
        let truth = NoiseModel { walk: 0.0, ..NoiseModel::DRIFTING };
        let model = fit(&drawn(truth, 8_000)).unwrap();
        assert!((model.core / truth.core - 1.0).abs() < 0.15, "{model:?}");
        assert!((model.wave / truth.wave - 1.0).abs() < 0.5, "{model:?}");
        assert!((0.01..0.03).contains(&model.tail_share) && (0.1..0.3).contains(&model.tail), "{model:?}");
    }

    #[test]
    fn a_walk_is_not_a_wave() {
        let truth = NoiseModel { walk: 0.004, ..NoiseModel::quiet(0.02) };
        let model = fit(&drawn(truth, 4_000)).unwrap();
        assert!((model.walk / truth.walk - 1.0).abs() < 0.6, "{model:?}");
    }

    #[test]
    fn unsuitable_values_have_no_model() {
        assert_eq!(fit(&[1.0; 99]), None);
        assert_eq!(fit(&[0.0; 200]), None);
        assert_eq!(fit(&[f64::NAN; 200]), None);
        assert!(fit(&[5.0; 200]).is_some_and(|m| m.core == 0.0 && m.tail_share == 0.0));
        assert_eq!(between(&[1.0]), None);
        assert!(between(&[1.0, 1.02]).is_some_and(|s| (s - 0.014).abs() < 1e-3));
    }
}
