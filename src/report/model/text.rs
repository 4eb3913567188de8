//! Numbers in words. Invariant: in a sentence, every number has its unit, spread and count.

use super::{CaseResult, Cell, Tone};
use crate::model::units::{Scale, Unit};
use crate::stats::{Response, Slowdown, Summary};

/// A number this many times smaller than its scale still has two digits.
const TEN: f64 = 10.0;

/// The text of a missing measurement.
pub const MISSING: &str = "—";

/// The spread of a median: `median of 40, 95 % 7.02 to 7.51 ms`.
pub fn spread(summary: &Summary, scale: Scale) -> String {
    let n = summary.count;
    match summary.interval {
        Some(i) => format!("median of {n}, 95 % {} to {}", scale.number(i.low), scale.text(i.high)),
        None if n == 1 => "a single trial".into(),
        None => format!("median of {n}, from {} to {}", scale.number(summary.min), scale.text(summary.max)),
    }
}

/// `7.19 ms (median of 40, 95 % 7.02 to 7.51 ms)`.
pub fn quantity(summary: &Summary, unit: Unit) -> String {
    let scale = Scale::of(unit, summary.median);
    format!("{} ({})", scale.text(summary.median), spread(summary, scale))
}

/// The share of a throughput that a slowdown leaves: `52 %`, or `DNR`.
pub fn share(response: &Response) -> String {
    match response {
        Response::Slowdown(s) => format!("{} %", per_cent(1.0 / s.ratio)),
        Response::DidNotRespond { .. } => "DNR".into(),
    }
}

/// The spread of a share: `95 % 49 to 55 %, 20 pairs`.
pub fn share_spread(response: &Response) -> String {
    match response {
        Response::Slowdown(s) => {
            let interval = match s.interval {
                Some(i) => format!("95 % {} to {} %", per_cent(1.0 / i.high), per_cent(1.0 / i.low)),
                None => "no interval".into(),
            };
            format!("{interval}, {}", pairs(s))
        }
        Response::DidNotRespond { .. } => ratio_spread(response),
    }
}

/// A share in per cent, with one more digit if it is small.
fn per_cent(share: f64) -> String {
    let digits = usize::from(share < 0.1);
    format!("{:.digits$}", 100.0 * share)
}

/// `20 pairs, 2 without a response`.
fn pairs(slowdown: &Slowdown) -> String {
    match slowdown.unanswered {
        0 => count(slowdown.pairs, "pair"),
        n => format!("{}, {n} without a response", count(slowdown.pairs, "pair")),
    }
}

/// A slowdown: `1.98 ×`, or `DNR`.
pub fn ratio(response: &Response) -> String {
    match response {
        Response::Slowdown(s) => times(s.ratio),
        Response::DidNotRespond { .. } => "DNR".into(),
    }
}

/// The spread of a slowdown: `95 % 1.90 to 2.06, 20 pairs`.
pub fn ratio_spread(response: &Response) -> String {
    match response {
        Response::Slowdown(s) => {
            let interval = match s.interval {
                Some(i) => format!("95 % {} to {}", factor(i.low), factor(i.high)),
                None => "no interval".into(),
            };
            format!("{interval}, {}", pairs(s))
        }
        Response::DidNotRespond { failed, of } => format!("did not respond in {failed} of {}", count(*of, "pair")),
    }
}

/// A ratio with its sign: `1.98 ×`.
pub fn times(ratio: f64) -> String {
    format!("{} ×", factor(ratio))
}

/// A ratio with two digits after the point, or fewer if it is large.
pub fn factor(ratio: f64) -> String {
    match ratio {
        r if r >= 1e6 => format!("{r:.1e}"),
        r if r >= 100.0 => format!("{r:.0}"),
        r if r >= 10.0 => format!("{r:.1}"),
        r if r >= 0.1 => format!("{r:.2}"),
        r => format!("{r:.3}"),
    }
}

/// `1 trial`, `40 trials`.
pub fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// The cell of a summary's median with its spread.
pub fn median_cell(summary: Option<&Summary>, scale: Scale) -> Cell {
    let Some(s) = summary else { return Cell::missing() };
    let detail = match s.interval {
        Some(i) => format!("{} – {}", scale.number(i.low), scale.number(i.high)),
        None if s.count == 1 => "one trial".into(),
        None => format!("range {} – {}", scale.number(s.min), scale.number(s.max)),
    };
    Cell::new(scale.text(s.median)).detail(detail)
}

/// The cell of a mean with its standard deviation.
pub fn mean_cell(summary: Option<&Summary>, scale: Scale) -> Cell {
    let Some(s) = summary else { return Cell::missing() };
    let sd = s.sd.map_or_else(|| "one trial".into(), |sd| format!("± {}", scale.number(sd)));
    Cell::new(scale.text(s.mean)).detail(sd)
}

/// The cell of a slowdown with its interval.
pub fn ratio_cell(response: Option<&Response>) -> Cell {
    match response {
        None => Cell::missing(),
        Some(r @ Response::DidNotRespond { .. }) => Cell::new(ratio(r)).detail(ratio_spread(r)).tone(Tone::Bad),
        Some(r @ Response::Slowdown(s)) => {
            let detail = s.interval.map_or_else(
                || format!("{}, no interval", count(s.pairs, "pair")),
                |i| format!("{} – {}", factor(i.low), factor(i.high)),
            );
            let tone = if s.unanswered > 0 { Tone::Bad } else { Tone::Plain };
            Cell::new(ratio(r)).detail(detail).tone(tone)
        }
    }
}

/// The cell of a row's trials: the number of successful ones, and of flagged, failed and skipped ones.
pub fn trials_cell<'a>(cases: impl IntoIterator<Item = &'a CaseResult>) -> Cell {
    let mut sum = [0; 4];
    for case in cases {
        let counts = [case.counts.ok, case.counts.flagged, case.counts.failed, case.counts.skipped];
        sum = std::array::from_fn(|i| sum[i] + counts[i]);
    }
    let [ok, rest @ ..] = sum;
    let words = rest.iter().zip(["flagged", "failed", "skipped"]).filter(|(n, _)| **n > 0);
    let words: Vec<String> = words.map(|(n, what)| format!("{n} {what}")).collect();
    let [flagged, failed, _] = rest;
    let tone = if failed + flagged > 0 { Tone::Bad } else { Tone::Plain };
    Cell::new(ok.to_string()).detail(words.join(", ")).tone(tone)
}

/// The scale for a column of summaries: that of its largest median, unless the smallest would lose its digits.
pub fn column_scale<'a>(unit: Unit, column: impl Iterator<Item = &'a Summary>) -> Scale {
    let medians = column.map(|s| s.median.abs()).filter(|m| m.is_finite() && *m > 0.0);
    let (least, most) = medians.fold((f64::INFINITY, 0.0), |(lo, hi), m| (m.min(lo), m.max(hi)));
    Scale::of(unit, f64::min(most, least * TEN))
}

/// `+96 %`, `−2 %`, `0 %`.
pub fn percent(percent: f64) -> String {
    match percent.round() {
        0.0 => "0 %".into(),
        p if p < 0.0 => format!("−{:.0} %", -p),
        p => format!("+{p:.0} %"),
    }
}

/// `60,000`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().map(|c| str::from_utf8(c).unwrap_or_default()).collect();
    groups.join(",")
}

/// Joins words: `a, b and c`.
pub fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

/// The same text with a capital letter.
pub fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
