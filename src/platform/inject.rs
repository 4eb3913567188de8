//! Fire drills: what makes an arm slower on purpose, so that it can be seen whether a gate notices. Pure.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::host::cgroup::Quota;
use crate::model::units::Nanos;

/// What makes an arm slower on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Inject {
    /// Busy work in the guest program, in what is timed.
    Busy(Amount),
    /// The most of one CPU's time that an instance gets, in percent.
    Quota(f64),
    /// A delay of every packet to an instance.
    Delay(Nanos),
}

/// How much busy work.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Amount {
    /// So long.
    Time(Nanos),
    /// So many percent of the median of what is measured; whoever measures resolves it.
    Percent(f64),
}

/// A text that is no fire drill.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; accepted: busy:5%, busy:400us, quota:95%, delay:100us, with ns, us, ms or s")]
pub struct ParseInjectError {
    why: String,
}

/// The longest time that may be injected, an hour: more is a mistake. The guest programs have the same limit.
const MOST: Nanos = Nanos(3_600 * Nanos::SECOND.0);

/// The units of a time.
const UNITS: &[(&str, u64)] = &[("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000)];

impl Inject {
    /// Busy work as a time, by the median of what is measured.
    pub fn resolved(self, median: Nanos) -> Self {
        match self {
            Inject::Busy(Amount::Percent(percent)) => {
                let share = (median.0 as f64 * percent / 100.0).round() as u64;
                Inject::Busy(Amount::Time(Nanos(share.clamp(1, MOST.0))))
            }
            other => other,
        }
    }

    /// Whether it takes a median to know how much it is.
    pub fn is_unresolved(self) -> bool {
        matches!(self, Inject::Busy(Amount::Percent(_)))
    }
}

impl FromStr for Inject {
    type Err = ParseInjectError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: String| ParseInjectError { why };
        let (kind, amount) = text.split_once(':').ok_or_else(|| wrong(format!("`{text}` has no `:`")))?;
        match kind {
            "busy" if amount.ends_with('%') => percent(amount, 1_000.0).map(|it| Inject::Busy(Amount::Percent(it))),
            "busy" => time(amount).map(|it| Inject::Busy(Amount::Time(it))),
            "quota" => percent(amount, 100.0).and_then(enough).map(Inject::Quota),
            "delay" => time(amount).map(Inject::Delay),
            _ => Err(format!("`{kind}` is nothing that can be injected")),
        }
        .map_err(wrong)
    }
}

/// `5%`, more than none and at most `most`.
fn percent(text: &str, most: f64) -> Result<f64, String> {
    let number: Option<f64> = text.strip_suffix('%').and_then(|number| number.parse().ok());
    let fits = number.filter(|&number| number > 0.0 && number <= most);
    fits.ok_or_else(|| format!("`{text}` is no share of more than 0% and at most {most}%"))
}

/// A share that there is a quota for.
fn enough(percent: f64) -> Result<f64, String> {
    let least = Quota::LEAST_PERCENT;
    (percent >= least)
        .then_some(percent)
        .ok_or_else(|| format!("{percent}% is less than the {least}% that a kernel gives"))
}

/// `400us`, more than none and at most [`MOST`].
fn time(text: &str) -> Result<Nanos, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, factor)| factor);
    let span = number.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(*factor));
    let fits = span.map(Nanos).filter(|&span| span > Nanos(0) && span <= MOST);
    fits.ok_or_else(|| format!("`{text}` is no time of more than 0 and at most an hour"))
}

/// In the largest unit of which it is a whole number.
fn text_of(span: Nanos) -> String {
    let fits = UNITS.iter().rev().find(|(_, factor)| span.0.is_multiple_of(*factor));
    fits.map_or_else(String::new, |(unit, factor)| format!("{}{unit}", span.0 / factor))
}

impl fmt::Display for Inject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Inject::Busy(Amount::Time(span)) => format!("busy:{}", text_of(*span)),
            Inject::Busy(Amount::Percent(percent)) => format!("busy:{percent}%"),
            Inject::Quota(percent) => format!("quota:{percent}%"),
            Inject::Delay(span) => format!("delay:{}", text_of(*span)),
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
