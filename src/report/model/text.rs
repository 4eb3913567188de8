//! Numbers as words: never without unit, spread and count where they stand alone.

use super::{Cell, Tone};
use crate::stats::{Response, Summary};
use crate::units::{Scale, Unit};

/// A number ten times smaller than its scale still has two digits.
const TEN: f64 = 10.0;

/// What stands where nothing was measured.
pub const MISSING: &str = "—";

/// `median of 40, 95 % 7.02 to 7.51 ms`: what belongs beside a median.
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

/// `1.98 x`, or that the victim did not respond.
pub fn ratio(response: &Response) -> String {
    match response {
        Response::Slowdown(s) => times(s.ratio),
        Response::DidNotRespond { .. } => "DNR".into(),
    }
}

/// `95 % 1.90 to 2.06, 20 pairs`: what belongs beside a ratio.
pub fn ratio_spread(response: &Response) -> String {
    match response {
        Response::Slowdown(s) => {
            let interval = match s.interval {
                Some(i) => format!("95 % {} to {}", factor(i.low), factor(i.high)),
                None => "no interval".into(),
            };
            let unanswered = match s.unanswered {
                0 => String::new(),
                n => format!(", {n} without an answer"),
            };
            format!("{interval}, {}{unanswered}", count(s.pairs, "pair"))
        }
        Response::DidNotRespond { failed, of } => format!("did not respond in {failed} of {}", count(*of, "pair")),
    }
}

/// A ratio with the sign that says it is one.
pub fn times(ratio: f64) -> String {
    format!("{} ×", factor(ratio))
}

/// A ratio with the digits that differ from one.
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

/// The cell of how many trials are behind a row.
pub fn trials_cell(ok: usize, failed: usize, skipped: usize) -> Cell {
    let mut rest = Vec::new();
    if failed > 0 {
        rest.push(format!("{failed} failed"));
    }
    if skipped > 0 {
        rest.push(format!("{skipped} skipped"));
    }
    let tone = if failed > 0 { Tone::Bad } else { Tone::Plain };
    Cell::new(ok.to_string()).detail(rest.join(", ")).tone(tone)
}

/// The scale for a column of summaries: by its largest median, unless the smallest would lose its digits there.
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

/// Joins words as a sentence does.
pub fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}
