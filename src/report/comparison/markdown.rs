//! A comparison for a job summary or a comment on a pull request, in GitHub's Markdown.

use std::time::Duration;

use super::words::{CHANGE_NOTE, change, counts, differences, few, headline, quantity, ranked, reasons, verdict};
use crate::observe::in_words;
use crate::regression::{Comparison, Line, Verdict};

/// GitHub refuses comments above 65,536 characters; a line takes about 250.
const ROWS: usize = 200;

pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut out = format!("### {}\n\n", headline(comparison));
    if !comparison.lines.is_empty() {
        out += &format!("**{}**\n\n", counts(comparison));
    }
    out += &sides(comparison);
    for reason in &comparison.not_comparable {
        out += &format!("- not comparable: {}\n", escape(reason));
    }
    let lines = ranked(comparison);
    let (told, folded): (Vec<&Line>, Vec<&Line>) = lines.into_iter().partition(|line| is_remarkable(line));
    out += &block(&told);
    if !folded.is_empty() {
        let n = folded.len();
        let body = block(&folded);
        out += &format!("\n<details><summary>{n} more: neither worse nor better</summary>\n{body}\n</details>\n");
    }
    if !comparison.lines.is_empty() {
        out += &format!("\n{CHANGE_NOTE}\n");
    }
    if !comparison.notes.is_empty() {
        out.push('\n');
    }
    for note in &comparison.notes {
        out += &format!("- {}\n", escape(note));
    }
    out
}

/// What a reader has to look at.
fn is_remarkable(line: &Line) -> bool {
    matches!(line.ruling.verdict, Verdict::Regressed | Verdict::Improved | Verdict::Invalid)
}

fn sides(comparison: &Comparison) -> String {
    let mut out = format!("A: {}, B: {}", code(&comparison.a.name), code(&comparison.b.name));
    if let Some(took) = comparison.took {
        out += &format!(", measured in {}", in_words(Duration::from(took)));
    }
    out += "\n\n";
    for fact in differences(&comparison.a, &comparison.b) {
        out += &format!("- {}\n", escape(&fact));
    }
    out
}

/// A table of lines, and below it why they are what they are.
fn block(lines: &[&Line]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut out = "\n| case | metric | A | B | change | verdict | blocks |\n".to_owned();
    out += "| --- | --- | ---: | ---: | ---: | --- | ---: |\n";
    lines.iter().take(ROWS).for_each(|line| out += &row(line));
    if lines.len() > ROWS {
        out += &format!("\n{} more lines are in the JSON.\n", lines.len() - ROWS);
    }
    let reasons = reasons(lines);
    if !reasons.is_empty() {
        out.push('\n');
    }
    for (verdict, reason, names) in reasons {
        out += &format!("- {verdict}: {}: {}\n", escape(&few(&names)), escape(reason));
    }
    out
}

fn row(line: &Line) -> String {
    let said = verdict(line);
    let said = if is_remarkable(line) { (format!("**{}**", said.0), said.1) } else { said };
    let numbers = [
        quantity(line.a.as_ref(), line.unit),
        quantity(line.b.as_ref(), line.unit),
        change(line.ruling.shift.as_ref()),
    ];
    let [a, b, change] = numbers.map(|(value, beside)| stacked(&escape(&value), &beside));
    let said = stacked(&said.0, &said.1);
    let blocks = line.ruling.blocks;
    format!("| {} | {} | {a} | {b} | {change} | {said} | {blocks} |\n", escape(&line.case), escape(&line.metric))
}

/// A value and what belongs to it below.
fn stacked(value: &str, beside: &str) -> String {
    match beside.is_empty() {
        true => value.to_owned(),
        false => format!("{value}<br>{}", escape(beside)),
    }
}

/// Text in which nothing is markup: what would end a cell, begin HTML or emphasise is escaped (GitHub Flavored Markdown,
/// 2.4 backslash escapes, 4.10 tables). An underscore within a word emphasises nothing.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '*' | '`' | '[' | ']' | '<' | '>' | '#' | '~' => out.extend(['\\', c]),
            // Nobody is to be notified of a version.
            '@' => out.push_str("&#64;"),
            '\r' | '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A name as code; it holds no backtick then.
pub fn code(text: &str) -> String {
    format!("`{}`", text.replace(['`', '\r', '\n'], " "))
}
