//! Axes: their range, their ticks, and the position of a value.

use serde::Serialize;

use crate::model::units::{Scale, Unit};

/// One axis of a chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Axis {
    /// Its label, without the unit.
    pub label: String,
    /// The unit of its values.
    pub unit: Unit,
    /// How values are spaced.
    pub scale: AxisScale,
    /// Where it starts.
    pub start: Start,
}

/// How values are spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AxisScale {
    /// Equal differences.
    Linear,
    /// Equal ratios; only for positive values.
    Log,
}

/// Where an axis starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At zero, so that lengths compare.
    Zero,
    /// Near the smallest value, for ratios close to one.
    Fit,
}

/// The largest value that an axis can show; beyond it, differences and steps would overflow.
const BOUND: f64 = 1e300;

/// An axis fitted to its values and to the pixels it spans.
#[derive(Debug, Clone)]
pub(super) struct Fitted {
    low: f64,
    high: f64,
    scale: AxisScale,
    unit: Scale,
    pixels: (f64, f64),
    /// The ticks' values in the base unit with their labels.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Axis {
    /// Fits the axis to `values` (base unit) over `pixels` with about `tick_count` ticks.
    pub(super) fn fit(&self, values: impl Iterator<Item = f64>, pixels: (f64, f64), tick_count: usize) -> Fitted {
        let shown = |v: &f64| v.abs() < BOUND && (self.scale == AxisScale::Linear || *v > 0.0);
        let (min, max) =
            values.filter(shown).fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        let (min, max) = if min.is_finite() { (min, max) } else { (0.0, 1.0) };
        let unit = Scale::of(self.unit, max.abs().max(min.abs()));
        let (min, max) = (min / unit.factor, max / unit.factor);
        let ticks = match self.scale {
            AxisScale::Linear => linear_ticks(min, max, self.start, tick_count, self.unit == Unit::Count),
            AxisScale::Log => log_ticks(min, max),
        };
        let (low, high) = (ticks[0], ticks[ticks.len() - 1]);
        let step = ticks.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
        let ticks = ticks.into_iter().map(|t| (t * unit.factor, label(t, step))).collect();
        Fitted { low, high, scale: self.scale, unit, pixels, ticks }
    }
}

impl Fitted {
    /// The position of `value` (base unit) in pixels, clamped to the axis.
    pub(super) fn at(&self, value: f64) -> f64 {
        let v = value / self.unit.factor;
        let share = match self.scale {
            AxisScale::Linear => (v - self.low) / (self.high - self.low),
            AxisScale::Log => (v.max(self.low).ln() - self.low.ln()) / (self.high.ln() - self.low.ln()),
        };
        let share = if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    /// The symbol of its labels' unit; empty for counts and ratios.
    pub(super) fn symbol(&self) -> &'static str {
        self.unit.symbol
    }
}

/// Round ticks that enclose both ends; whole ones for counts.
fn linear_ticks(min: f64, max: f64, start: Start, tick_count: usize, is_count: bool) -> Vec<f64> {
    let min = if start == Start::Zero { min.min(0.0) } else { min };
    let max = if start == Start::Zero { max.max(0.0) } else { max };
    let span = if max > min { max - min } else { max.abs().max(1.0) };
    let whole = if is_count { 1.0 } else { 0.0 };
    let step = nice(span / tick_count.max(1) as f64).max(whole);
    let first = (min / step + 1e-9).floor();
    let last = ((max / step) - 1e-9).ceil().max(first + 1.0);
    (0..=(last - first) as usize).map(|i| (first + i as f64) * step).collect()
}

/// Powers of ten, with 2 and 5 between them if the range is short.
fn log_ticks(min: f64, max: f64) -> Vec<f64> {
    let (min, max) = if min > 0.0 { (min, max.max(min * 1.01)) } else { (1.0, 10.0) };
    let decades = (max / min).log10();
    let digits: &[f64] = match decades {
        d if d <= 3.0 => &[1.0, 2.0, 5.0],
        _ => &[1.0],
    };
    let (first, last) = (min.log10().floor() as i32 - 1, max.log10().ceil() as i32 + 1);
    let all: Vec<f64> = (first..=last).flat_map(|e| digits.iter().map(move |d| d * 10f64.powi(e))).collect();
    let from = all.iter().rposition(|&t| t <= min * (1.0 + 1e-9)).unwrap_or(0);
    let to = all.iter().position(|&t| t >= max * (1.0 - 1e-9)).unwrap_or(all.len() - 1);
    all[from..=to.max(from + 1)].to_vec()
}

/// The next of 1, 2, 5 times a power of ten at or above `raw`.
fn nice(raw: f64) -> f64 {
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|d| d * power).find(|&s| s >= raw * (1.0 - 1e-9)).unwrap_or(power * 10.0)
}

/// A tick's label with as many decimals as the step needs, and with thousands separators.
fn label(value: f64, step: f64) -> String {
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |d| ("−", d));
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(w, f)| (w, Some(f)));
    if whole.len() > 15 {
        return format!("{value:.0e}");
    }
    let grouped: Vec<&str> = whole.as_bytes().rchunks(3).rev().map(|c| str::from_utf8(c).unwrap_or_default()).collect();
    let whole = grouped.join(",");
    match fraction {
        Some(fraction) => format!("{sign}{whole}.{fraction}"),
        None => format!("{sign}{whole}"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn axis(unit: Unit, scale: AxisScale, start: Start) -> Axis {
        Axis { label: "x".into(), unit, scale, start }
    }

    fn labels(fitted: &Fitted) -> Vec<&str> {
        fitted.ticks.iter().map(|(_, l)| l.as_str()).collect()
    }

    #[rstest]
    #[case(&[7.1e6, 10.9e6], Unit::Nanos, Start::Zero, "ms", &["0", "5", "10", "15"])]
    #[case(&[0.97, 1.21], Unit::Ratio, Start::Fit, "", &["0.9", "1.0", "1.1", "1.2", "1.3"])]
    #[case(&[0.0, 1000.0], Unit::Count, Start::Zero, "", &["0", "500", "1,000"])]
    #[case(&[5.0, 5.0], Unit::Count, Start::Fit, "", &["4", "6"])]
    #[case(&[], Unit::Count, Start::Zero, "", &["0", "1"])]
    fn linear_ticks_are_round_and_enclose_the_values(
        #[case] values: &[f64],
        #[case] unit: Unit,
        #[case] start: Start,
        #[case] symbol: &str,
        #[case] expected: &[&str],
    ) {
        let fitted = axis(unit, AxisScale::Linear, start).fit(values.iter().copied(), (0.0, 100.0), 3);
        assert_eq!((fitted.symbol(), labels(&fitted)), (symbol, expected.to_vec()));
    }

    #[test]
    fn log_ticks_space_ratios_equally() {
        let fitted = axis(Unit::Ratio, AxisScale::Log, Start::Fit).fit([0.9, 9.1].into_iter(), (0.0, 100.0), 5);
        assert_eq!(labels(&fitted), ["0.5", "1.0", "2.0", "5.0", "10.0"]);
        assert!((fitted.at(1.0) - fitted.at(0.5) - (fitted.at(10.0) - fitted.at(5.0))).abs() < 1e-9);
        assert_eq!(fitted.at(0.0), 0.0, "what cannot be shown lies at the end");
    }

    proptest::proptest! {
        #[test]
        fn every_finite_value_lies_on_its_axis(values in proptest::collection::vec(-1e18f64..1e18, 1..8), log in proptest::bool::ANY) {
            let scale = if log { AxisScale::Log } else { AxisScale::Linear };
            let fitted = axis(Unit::Bytes, scale, Start::Fit).fit(values.iter().copied(), (10.0, 90.0), 5);
            proptest::prop_assert!(fitted.ticks.len() >= 2);
            proptest::prop_assert!(fitted.ticks.len() < 60);
            for v in values {
                proptest::prop_assert!((10.0..=90.0).contains(&fitted.at(v)));
            }
        }
    }
}
