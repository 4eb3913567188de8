//! The words that all formats of a comparison share. Pure.

use crate::compare::rule::{Comparison, Line, Side, Verdict};
use crate::model::units::{Scale, Unit};
use crate::report::model::text::{MISSING, count};
use crate::stats::{Estimate, Summary};

/// The verdicts in the order of their importance to a reader.
const ORDER: [Verdict; 6] = [
    Verdict::Regressed,
    Verdict::Invalid,
    Verdict::Improved,
    Verdict::Inconclusive,
    Verdict::Equivalent,
    Verdict::Skipped,
];

/// How to read the column of changes.
pub(super) const CHANGE_NOTE: &str = "Change: how much worse B is than A, with its 98 % interval; for throughput, how much lower. A, B: median, its 95 % \
     interval, number of trials (n).";

/// A share above this is printed as a factor, since a large percentage is hard to read.
const MANY_TIMES: f64 = 100.0;

/// The lines, regressions first; lines with the same verdict keep their order.
pub(super) fn ranked(comparison: &Comparison) -> Vec<&Line> {
    let mut lines: Vec<&Line> = comparison.lines.iter().collect();
    lines.sort_by_key(|line| ORDER.iter().position(|verdict| *verdict == line.decision.verdict));
    lines
}

/// The verdicts that were given, with their counts.
pub(super) fn verdicts(comparison: &Comparison) -> Vec<(Verdict, usize)> {
    let times = |verdict: Verdict| comparison.lines.iter().filter(|l| l.decision.verdict == verdict).count();
    ORDER.into_iter().map(|verdict| (verdict, times(verdict))).filter(|(_, n)| *n > 0).collect()
}

/// `1 REGRESSED, 4 INCONCLUSIVE`.
pub(super) fn counts(comparison: &Comparison) -> String {
    let all: Vec<String> = verdicts(comparison).into_iter().map(|(verdict, n)| format!("{n} {verdict}")).collect();
    all.join(", ")
}

/// The result of the whole comparison in one sentence.
pub(super) fn headline(comparison: &Comparison) -> String {
    let n = verdicts(comparison).into_iter().find_map(|(v, n)| (v == Verdict::Regressed).then_some(n));
    let result = match n {
        _ if !comparison.not_comparable.is_empty() => return "Not comparable.".to_owned(),
        Some(n) => format!("{} regressed.", count(n, "metric")),
        None if comparison.says_nothing() => "Nothing could be compared.".to_owned(),
        None => "No regression found.".to_owned(),
    };
    match comparison.lost().len() {
        0 => result,
        1 => format!("{result} 1 case has no number in B."),
        n => format!("{result} {n} cases have no number in B."),
    }
}

/// What is counted per line: blocks if both sides were measured in turn, trials of stored runs.
pub(super) fn counted(comparison: &Comparison) -> &'static str {
    if comparison.took.is_some() { "blocks" } else { "trials" }
}

/// The facts that differ: `revision: 5ec9498 against ff4b0d4`.
pub(super) fn differences(a: &Side, b: &Side) -> Vec<String> {
    let mut names: Vec<&String> = a.facts.keys().chain(b.facts.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let difference = |name: &String| match (a.facts.get(name), b.facts.get(name)) {
        (Some(a), Some(b)) if a == b => None,
        (Some(a), Some(b)) => Some(format!("{name}: {a} against {b}")),
        (Some(a), None) => Some(format!("{name}: {a} in A only")),
        (None, Some(b)) => Some(format!("{name}: {b} in B only")),
        (None, None) => None,
    };
    names.into_iter().filter_map(difference).collect()
}

/// A summary's median, and its interval or range with the count: `7.19 ms`, `7.02–7.51, n 40`.
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

/// How much worse B is, and its interval: `+5.2 %`, `+4.1 to +6.3 %`.
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

/// The same in one text: `+5.2 % (98 % +4.1 to +6.3 %)`.
pub(super) fn whole_change(shift: Option<&Estimate>) -> String {
    match (change(shift), shift.and_then(|shift| shift.interval)) {
        ((value, spread), Some(_)) => format!("{value} (98 % {spread})"),
        ((value, spread), None) if spread.is_empty() => value,
        ((value, spread), None) => format!("{value} ({spread})"),
    }
}

/// A share as a signed percentage, or as a factor if it is large.
fn signed(share: f64) -> String {
    match share {
        s if !s.is_finite() => MISSING.to_owned(),
        s if s >= MANY_TIMES => format!("× {:.0}", 1.0 + s),
        s if s.abs() >= 1.0 => format!("{:+.0} %", 100.0 * s),
        s if s.abs() >= 0.01 => format!("{:+.1} %", 100.0 * s),
        s => format!("{:+.2} %", 100.0 * s),
    }
}

/// The smallest effect that an inconclusive line would have shown: `could detect 4.2 %`.
fn detectable(line: &Line) -> Option<String> {
    let effect = line.decision.detectable.filter(|effect| effect.is_finite())?;
    let share = signed(effect);
    Some(format!("could detect {}", share.trim_start_matches('+')))
}

/// The verdict, and the detectable effect of an inconclusive one.
pub(super) fn verdict(line: &Line) -> (String, String) {
    let detectable = if line.decision.verdict == Verdict::Inconclusive { detectable(line) } else { None };
    (line.decision.verdict.to_string(), detectable.unwrap_or_default())
}

/// The reasons of the verdicts: each one once, with the names of its lines, in the order of the lines.
pub(super) fn reasons<'a>(lines: &[&'a Line]) -> Vec<(Verdict, &'a str, Vec<String>)> {
    let mut all: Vec<(Verdict, &str, Vec<String>)> = Vec::new();
    for line in lines {
        let Some(reason) = line.decision.reason.as_deref() else { continue };
        let name = format!("{} {}", line.case, line.metric);
        match all.iter_mut().find(|(verdict, other, _)| (*verdict, *other) == (line.decision.verdict, reason)) {
            Some((_, _, names)) => names.push(name),
            None => all.push((line.decision.verdict, reason, vec![name])),
        }
    }
    all
}

/// The first few of many names: `a, b, c and 9 more`.
pub(super) fn few(names: &[String]) -> String {
    /// More names would hide the text after them.
    const SHOWN: usize = 3;
    match names.len() {
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN].join(", "), n - SHOWN),
    }
}
