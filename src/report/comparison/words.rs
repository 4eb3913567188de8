//! What every format says of a comparison, in words. Pure.

use crate::compare::rule::{Comparison, Line, Side, Verdict};
use crate::model::units::{Scale, Unit};
use crate::report::model::text::{MISSING, count};
use crate::stats::{Estimate, Summary};

/// The verdicts in the order in which a reader wants them.
const ORDER: [Verdict; 6] = [
    Verdict::Regressed,
    Verdict::Invalid,
    Verdict::Improved,
    Verdict::Inconclusive,
    Verdict::Equivalent,
    Verdict::Skipped,
];

/// What the column of changes means.
pub(super) const CHANGE_NOTE: &str = "Change: how much worse B is than A, with its 98 % interval; of a throughput, how much less. A, B: median, its 95 % \
     interval, trials.";

/// A factor above which per cents are hard to read.
const MANY_TIMES: f64 = 100.0;

/// The lines, what regressed first; those of one verdict in their own order.
pub(super) fn ranked(comparison: &Comparison) -> Vec<&Line> {
    let mut lines: Vec<&Line> = comparison.lines.iter().collect();
    lines.sort_by_key(|line| ORDER.iter().position(|verdict| *verdict == line.decision.verdict));
    lines
}

/// How often each verdict was given, those that were.
pub(super) fn verdicts(comparison: &Comparison) -> Vec<(Verdict, usize)> {
    let times = |verdict: Verdict| comparison.lines.iter().filter(|l| l.decision.verdict == verdict).count();
    ORDER.into_iter().map(|verdict| (verdict, times(verdict))).filter(|(_, n)| *n > 0).collect()
}

/// `1 REGRESSED, 4 INCONCLUSIVE`.
pub(super) fn counts(comparison: &Comparison) -> String {
    let all: Vec<String> = verdicts(comparison).into_iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    all.join(", ")
}

/// What the whole comes to, in one sentence.
pub(super) fn headline(comparison: &Comparison) -> String {
    let n = verdicts(comparison).into_iter().find_map(|(v, n)| (v == Verdict::Regressed).then_some(n));
    let found = match n {
        _ if !comparison.not_comparable.is_empty() => return "Not comparable.".to_owned(),
        Some(n) => format!("{} regressed.", count(n, "metric")),
        None if comparison.says_nothing() => "Nothing could be compared.".to_owned(),
        None => "No regression found.".to_owned(),
    };
    match comparison.lost().len() {
        0 => found,
        1 => format!("{found} 1 case has no number in B."),
        n => format!("{found} {n} cases have no number in B."),
    }
}

/// What stands behind a line is counted in: blocks where both sides were measured in turn, trials of stored runs.
pub(super) fn counted(comparison: &Comparison) -> &'static str {
    if comparison.took.is_some() { "blocks" } else { "trials" }
}

/// What tells the sides apart: `revision: 5ec9498 against ff4b0d4`.
pub(super) fn differences(a: &Side, b: &Side) -> Vec<String> {
    let mut names: Vec<&String> = a.facts.keys().chain(b.facts.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let told = |name: &String| match (a.facts.get(name), b.facts.get(name)) {
        (Some(mine), Some(other)) if mine == other => None,
        (Some(mine), Some(other)) => Some(format!("{name}: {mine} against {other}")),
        (Some(mine), None) => Some(format!("{name}: {mine} in A alone")),
        (None, Some(other)) => Some(format!("{name}: {other} in B alone")),
        (None, None) => None,
    };
    names.into_iter().filter_map(told).collect()
}

/// A summary's median, and beside it its interval or range and its count: `7.19 ms`, `7.02–7.51, n 40`.
pub(super) fn quantity(summary: Option<&Summary>, unit: Unit) -> (String, String) {
    let Some(s) = summary else { return (MISSING.to_owned(), String::new()) };
    let scale = Scale::of(unit, s.median);
    let spread = match s.interval {
        Some(i) => format!("{}–{}, n {}", scale.number(i.low), scale.number(i.high), s.count),
        None if s.count == 1 => "a single trial".to_owned(),
        None => format!("range {}–{}, n {}", scale.number(s.min), scale.number(s.max), s.count),
    };
    (scale.text(s.median), spread)
}

/// How much worse B is, and between what: `+5.2 %`, `+4.1 to +6.3 %`.
pub(super) fn change(shift: Option<&Estimate>) -> (String, String) {
    let Some(shift) = shift else { return (MISSING.to_owned(), String::new()) };
    let spread = match shift.interval {
        Some(i) => range(i.low.exp_m1(), i.high.exp_m1()),
        None => "no interval".to_owned(),
    };
    (signed(shift.value.exp_m1()), spread)
}

/// `+4.1 to +6.3 %`.
fn range(low: f64, high: f64) -> String {
    let (low, high) = (signed(low), signed(high));
    match (low.strip_suffix(" %"), high.ends_with('%')) {
        (Some(low), true) => format!("{low} to {high}"),
        _ => format!("{low} to {high}"),
    }
}

/// The same in one piece: `+5.2 % (98 % +4.1 to +6.3 %)`.
pub(super) fn whole_change(shift: Option<&Estimate>) -> String {
    match (change(shift), shift.and_then(|shift| shift.interval)) {
        ((value, spread), Some(_)) => format!("{value} (98 % {spread})"),
        ((value, spread), None) if spread.is_empty() => value,
        ((value, spread), None) => format!("{value} ({spread})"),
    }
}

/// A share as a signed percentage; a large one as a factor.
fn signed(share: f64) -> String {
    match share {
        s if !s.is_finite() => MISSING.to_owned(),
        s if s >= MANY_TIMES => format!("× {:.0}", 1.0 + s),
        s if s.abs() >= 1.0 => format!("{:+.0} %", 100.0 * s),
        s if s.abs() >= 0.01 => format!("{:+.1} %", 100.0 * s),
        s => format!("{:+.2} %", 100.0 * s),
    }
}

/// What an inconclusive line could have seen: `could see 4.2 %`.
pub(super) fn seen(line: &Line) -> Option<String> {
    let effect = line.decision.detectable.filter(|effect| effect.is_finite())?;
    let share = signed(effect);
    Some(format!("could see {}", share.trim_start_matches('+')))
}

/// The verdict, and beside it what an inconclusive one could have seen.
pub(super) fn verdict(line: &Line) -> (String, String) {
    let beside = if line.decision.verdict == Verdict::Inconclusive { seen(line) } else { None };
    (line.decision.verdict.to_string(), beside.unwrap_or_default())
}

/// Why lines are what they are, each reason once with all lines that it holds of, in the order of the lines.
pub(super) fn reasons<'a>(lines: &[&'a Line]) -> Vec<(Verdict, &'a str, Vec<String>)> {
    let mut all: Vec<(Verdict, &str, Vec<String>)> = Vec::new();
    for line in lines {
        let Some(reason) = line.decision.reason.as_deref() else { continue };
        let name = format!("{} {}", line.case, line.metric);
        match all.iter_mut().find(|(verdict, told, _)| (*verdict, *told) == (line.decision.verdict, reason)) {
            Some((_, _, names)) => names.push(name),
            None => all.push((line.decision.verdict, reason, vec![name])),
        }
    }
    all
}

/// The first few of many names: `a, b, c and 9 more`.
pub(super) fn few(names: &[String]) -> String {
    /// More would hide what is said of them.
    const SHOWN: usize = 3;
    match names.len() {
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}
