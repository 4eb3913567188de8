//! Quantities with their units, so that no bare number crosses a module boundary.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A time span, or an instant on the host's monotonic clock, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub u64);

/// An amount of memory or storage, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// The unit of a metric's value, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Unit {
    /// Nanoseconds.
    #[serde(rename = "ns")]
    Nanos,
    /// Bytes.
    #[serde(rename = "B")]
    Bytes,
    /// Operations, requests or rows per second.
    #[serde(rename = "1/s")]
    PerSecond,
    /// A plain count.
    #[serde(rename = "count")]
    Count,
    /// A dimensionless ratio; 1 is the whole.
    #[serde(rename = "ratio")]
    Ratio,
}

impl Unit {
    /// The symbol in records: `ns`, `B`, `1/s`.
    pub const fn symbol(self) -> &'static str {
        match self {
            Unit::Nanos => "ns",
            Unit::Bytes => "B",
            Unit::PerSecond => "1/s",
            Unit::Count => "count",
            Unit::Ratio => "ratio",
        }
    }
}

/// The direction in which a metric improves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Lower is better: times, memory.
    Lower,
    /// Higher is better: throughput, fairness.
    Higher,
    /// Neither is better: the metric is context for the others, such as available memory.
    Neutral,
}

impl Nanos {
    /// One second.
    pub const SECOND: Nanos = Nanos(1_000_000_000);
    /// One millisecond.
    pub const MILLI: Nanos = Nanos(1_000_000);

    /// The span in seconds.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// The span from `earlier` to `self`; `None` if it is not positive.
    pub fn since(self, earlier: Nanos) -> Option<Nanos> {
        self.0.checked_sub(earlier.0).filter(|&d| d > 0).map(Nanos)
    }

    /// `self - other`, or zero if that is negative.
    pub fn saturating_sub(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(other.0))
    }
}

impl Bytes {
    /// 1,024 bytes.
    pub const KIB: Bytes = Bytes(1 << 10);
    /// 1,048,576 bytes.
    pub const MIB: Bytes = Bytes(1 << 20);
    /// 1,073,741,824 bytes.
    pub const GIB: Bytes = Bytes(1 << 30);

    /// The amount in MiB.
    pub fn as_mib(self) -> f64 {
        self.0 as f64 / (1u64 << 20) as f64
    }
}

impl From<Duration> for Nanos {
    fn from(d: Duration) -> Self {
        Nanos(u64::try_from(d.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Duration {
    fn from(n: Nanos) -> Self {
        Duration::from_nanos(n.0)
    }
}

impl Add for Nanos {
    type Output = Nanos;
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(other.0))
    }
}

impl Add for Bytes {
    type Output = Bytes;
    fn add(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_add(other.0))
    }
}

impl Sub for Bytes {
    type Output = Bytes;
    fn sub(self, other: Bytes) -> Bytes {
        Bytes(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Scale::of(Unit::Nanos, self.0 as f64).write(f, self.0 as f64)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Scale::of(Unit::Bytes, self.0 as f64).write(f, self.0 as f64)
    }
}

/// A readable scale of a unit. Choose one for a column, an axis or a line, and format all its values with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// The size of a scaled unit in base units.
    pub factor: f64,
    /// The symbol to print: `ms`, `MiB`, `k/s`; empty for counts and ratios.
    pub symbol: &'static str,
}

impl Scale {
    /// The readable scale for values of about `magnitude` (in the base unit).
    pub fn of(unit: Unit, magnitude: f64) -> Scale {
        let steps: &[(f64, &'static str)] = match unit {
            Unit::Nanos => &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")],
            Unit::Bytes => &[(1073741824.0, "GiB"), (1048576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")],
            Unit::PerSecond => &[(1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")],
            Unit::Count | Unit::Ratio => &[(1.0, "")],
        };
        let m = magnitude.abs();
        let (factor, symbol) = steps.iter().copied().find(|&(factor, _)| m >= factor).unwrap_or(steps[steps.len() - 1]);
        Scale { factor, symbol }
    }

    /// Formats `value` (in the base unit) on this scale with three significant digits, without the symbol.
    pub fn number(&self, value: f64) -> String {
        let v = value / self.factor;
        match v.abs() {
            a if a >= 100.0 || a == 0.0 => format!("{v:.0}"),
            a if a >= 10.0 => format!("{v:.1}"),
            a if a >= 0.01 => format!("{v:.2}"),
            _ => format!("{v:.3}"),
        }
    }

    /// Formats `value` on this scale with the symbol.
    pub fn text(&self, value: f64) -> String {
        match self.symbol {
            "" => self.number(value),
            symbol => format!("{} {symbol}", self.number(value)),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, value: f64) -> fmt::Result {
        f.pad(&self.text(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_printed_on_a_readable_scale() {
        assert_eq!(Nanos(7_190_081).to_string(), "7.19 ms");
        assert_eq!(Nanos(999).to_string(), "999 ns");
        assert_eq!(Bytes(600 << 10).to_string(), "600 KiB");
        assert_eq!(Bytes(0).to_string(), "0 B");
        assert_eq!(Scale::of(Unit::PerSecond, 1.45e6).text(1.45e6), "1.45 M/s");
    }

    #[test]
    fn a_span_that_is_not_positive_is_missing() {
        assert_eq!(Nanos(5).since(Nanos(5)), None);
        assert_eq!(Nanos(5).since(Nanos(6)), None);
        assert_eq!(Nanos(6).since(Nanos(5)), Some(Nanos(1)));
    }
}
