//! Deliberate slowdowns of an arm ("fire drills"), which test whether a gate notices. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::host::cgroup::Quota;
use crate::model::units::Nanos;

/// A deliberate slowdown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Inject {
    /// Busy work in the guest program, within the measured time.
    Busy(Amount),
    /// A limit on an instance's CPU time, in percent of one CPU.
    Quota(f64),
    /// A delay of every packet to an instance.
    Delay(Nanos),
}

/// How much busy work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// A fixed time.
    Time(Nanos),
    /// A percentage of the measured median; the comparison resolves it.
    Percent(f64),
}

/// An invalid slowdown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; expected busy:5%, busy:400us, quota:95% or delay:100us, with ns, us, ms or s")]
pub struct ParseInjectError {
    why: String,
}

/// The longest time that can be injected, an hour: more is a mistake. The guest programs have the same limit.
const MOST: Nanos = Nanos(3_600 * Nanos::SECOND.0);

/// The units of a time.
const UNITS: &[(&str, u64)] = &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

impl Inject {
    /// Busy work as a time, given the measured median.
    pub fn resolved(self, median: Nanos) -> Self {
        match self {
            Inject::Busy(Amount::Percent(percent)) => {
                let share = (median.0 as f64 * percent / 100.0).round() as u64;
                Inject::Busy(Amount::Time(Nanos(share.clamp(1, MOST.0))))
            }
            other => other,
        }
    }

    /// Whether its amount depends on the measured median.
    pub fn is_unresolved(self) -> bool {
        matches!(self, Inject::Busy(Amount::Percent(_)))
    }
}

impl FromStr for Inject {
    type Err = ParseInjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |why: String| ParseInjectError { why };
        let (kind, amount) = text.split_once(':').ok_or_else(|| invalid(format!("`{text}` has no `:`")))?;
        match kind {
            "busy" if amount.ends_with('%') => percent(amount, 1_000.0).map(|it| Inject::Busy(Amount::Percent(it))),
            "busy" => time(amount).map(|it| Inject::Busy(Amount::Time(it))),
            "quota" => percent(amount, 100.0).and_then(check_quota).map(Inject::Quota),
            "delay" => time(amount).map(Inject::Delay),
            _ => Err(format!("unknown slowdown `{kind}`")),
        }
        .map_err(invalid)
    }
}

/// Parses `5%`: more than zero and at most `most`.
fn percent(text: &str, most: f64) -> Result<f64, String> {
    let number: Option<f64> = text.strip_suffix('%').and_then(|number| number.parse().ok());
    let fits = number.filter(|&number| number > 0.0 && number <= most);
    fits.ok_or_else(|| format!("invalid share `{text}`; its range is above 0% to {most}%"))
}

/// Rejects a share that is too small for a quota.
fn check_quota(percent: f64) -> Result<f64, String> {
    let least = Quota::LEAST_PERCENT;
    (percent >= least)
        .then_some(percent)
        .ok_or_else(|| format!("{percent}% is less than {least}%, the least that a kernel supports"))
}

/// Parses `400us`: more than zero and at most [`MOST`].
fn time(text: &str) -> Result<Nanos, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
    let span = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(*factor));
    let fits = span.map(Nanos).filter(|&span| span > Nanos(0) && span <= MOST);
    fits.ok_or_else(|| format!("invalid time `{text}`; its range is above 0 to an hour"))
}

/// The time as a whole number of the largest possible unit.
fn time_text(span: Nanos) -> String {
    let fits = UNITS.iter().rev().find(|(_, factor)| span.0.is_multiple_of(*factor));
    fits.map_or_else(String::new, |(unit, factor)| format!("{}{unit}", span.0 / factor))
}

impl fmt::Display for Inject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Inject::Busy(Amount::Time(span)) => format!("busy:{}", time_text(*span)),
            Inject::Busy(Amount::Percent(percent)) => format!("busy:{percent}%"),
            Inject::Quota(percent) => format!("quota:{percent}%"),
            Inject::Delay(span) => format!("delay:{}", time_text(*span)),
        };
        f.pad(&text)
    }
}

impl TryFrom<String> for Inject {
    type Error = ParseInjectError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Inject> for String {
    fn from(inject: Inject) -> Self {
        inject.to_string()
    }
}
