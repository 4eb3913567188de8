//! Quantiles and the median absolute deviation.
//!
//! Invariant: a quantile lies between the smallest and the largest value and never falls as `p` rises.

use super::Sample;

/// The quantile at `p`, by linear interpolation between order statistics (type 7 of Hyndman & Fan 1996).
///
/// `p` is clamped to the range from 0 to 1.
pub fn quantile(sample: &Sample, p: f64) -> f64 {
    let values = sample.sorted();
    let position = (values.len() - 1) as f64 * p.clamp(0.0, 1.0);
    let below = position.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    let (a, b) = (values[below], values[above]);
    (a + (position - below as f64) * (b - a)).clamp(a, b)
}

/// The median: the middle value, or the mean of the two middle ones.
pub fn median(sample: &Sample) -> f64 {
    median_of_sorted(sample.sorted())
}

/// The median absolute deviation from the median, unscaled; see [`sigma`].
pub fn mad(sample: &Sample) -> f64 {
    let center = median(sample);
    let mut distances: Vec<f64> = sample.sorted().iter().map(|x| (x - center).abs()).collect();
    distances.sort_unstable_by(f64::total_cmp);
    median_of_sorted(&distances)
}

/// The standard deviation, estimated by the median absolute deviation; `None` with fewer than six values.
pub fn sigma(sample: &Sample) -> Option<f64> {
    /// The ratio of sigma to the median absolute deviation of a normal distribution.
    const NORMAL: f64 = 1.4826;
    (sample.count() >= 6).then(|| NORMAL * mad(sample))
}

/// The median of at least one value, in ascending order.
pub(super) fn median_of_sorted(values: &[f64]) -> f64 {
    let half = values.len() / 2;
    match values.len() % 2 {
        1 => values[half],
        _ => 0.5 * values[half - 1] + 0.5 * values[half],
    }
}
