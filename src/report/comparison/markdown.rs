//! A comparison for a job summary or a comment on a pull request, in GitHub's Markdown.

use std::time::Duration;

use super::words::{
    CHANGE_NOTE, change, counted, counts, differences, few, headline, quantity, ranked, reasons, verdict,
};
use crate::compare::rule::{Comparison, Line, Verdict};
use crate::report::progress::in_words;

/// The length at which a text is shortened. GitHub rejects comments above 65,536 characters.
const BUDGET: usize = 60_000;

/// The text so far, and the length that is left for the compared cases.
struct Page {
    text: String,
    budget: usize,
}

pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut page = Page { text: format!("### {}\n\n", headline(comparison)), budget: BUDGET };
    if !comparison.lines.is_empty() {
        page.text += &format!("**{}**\n\n", counts(comparison));
    }
    sides(&mut page, comparison);
    page.items(comparison.not_comparable.iter().map(|reason| format!("not comparable: {reason}")));
    // Notes are printed below the tables, but must not be left out for them.
    let mut notes = Page { text: String::new(), budget: page.budget };
    notes.items(comparison.notes.iter().cloned());
    page.budget = notes.budget;
    let (shown, folded): (Vec<&Line>, Vec<&Line>) =
        ranked(comparison).into_iter().partition(|line| is_remarkable(line));
    page.block(&shown, counted(comparison));
    if !folded.is_empty() {
        page.text += &format!("\n<details><summary>{} more: neither worse nor better</summary>\n", folded.len());
        page.block(&folded, counted(comparison));
        page.text += "\n</details>\n";
    }
    if !comparison.lines.is_empty() {
        page.text += &format!("\n{CHANGE_NOTE}\n");
    }
    if !notes.text.is_empty() {
        page.text.push('\n');
    }
    page.text + &notes.text
}

/// Whether a reader has to look at the line.
fn is_remarkable(line: &Line) -> bool {
    matches!(line.decision.verdict, Verdict::Regressed | Verdict::Improved | Verdict::Invalid)
}

fn sides(page: &mut Page, comparison: &Comparison) {
    page.text += &format!("A: {}, B: {}", code(&comparison.a.name), code(&comparison.b.name));
    if let Some(took) = comparison.took {
        page.text += &format!(", measured in {}", in_words(Duration::from(took)));
    }
    page.text += "\n\n";
    page.items(differences(&comparison.a, &comparison.b));
}

impl Page {
    /// Appends pieces while they fit into the budget, and returns the number of pieces that are left out.
    fn fill(&mut self, pieces: impl IntoIterator<Item = String>) -> usize {
        let mut left_out = 0;
        for piece in pieces {
            if left_out == 0 && piece.len() <= self.budget {
                self.budget -= piece.len();
                self.text += &piece;
            } else {
                left_out += 1;
            }
        }
        left_out
    }

    /// Appends a list.
    fn items(&mut self, texts: impl IntoIterator<Item = String>) {
        let left_out = self.fill(texts.into_iter().map(|text| format!("- {}\n", escape(&text))));
        if left_out > 0 {
            self.text += &format!("- {left_out} more are in the JSON\n");
        }
    }

    /// Appends a table of lines and the reasons of their verdicts.
    fn block(&mut self, lines: &[&Line], counted: &str) {
        if lines.is_empty() {
            return;
        }
        self.text += &format!("\n| case | metric | A | B | change | verdict | {counted} |\n");
        self.text += "| --- | --- | ---: | ---: | ---: | --- | ---: |\n";
        // Half of the budget is for the reasons: a verdict without its reason has little value.
        let reserved = self.budget / 2;
        self.budget -= reserved;
        let left_out = self.fill(lines.iter().map(|line| row(line)));
        self.budget += reserved;
        if left_out > 0 {
            self.text += &format!("\n{left_out} more lines are in the JSON.\n");
        }
        let reasons = reasons(lines);
        if !reasons.is_empty() {
            self.text.push('\n');
        }
        self.items(reasons.into_iter().map(|(verdict, reason, names)| format!("{verdict}: {}: {reason}", few(&names))));
    }
}

fn row(line: &Line) -> String {
    let (verdict, detectable) = verdict(line);
    let verdict = if is_remarkable(line) { format!("**{verdict}**") } else { verdict };
    let numbers = [
        quantity(line.a.as_ref(), line.unit),
        quantity(line.b.as_ref(), line.unit),
        change(line.decision.shift.as_ref()),
    ];
    let [a, b, change] = numbers.map(|(value, detail)| stacked(&escape(&value), &detail));
    let verdict = stacked(&verdict, &detectable);
    let blocks = line.decision.blocks;
    format!("| {} | {} | {a} | {b} | {change} | {verdict} | {blocks} |\n", escape(&line.case), escape(&line.metric))
}

/// A value with its detail below.
fn stacked(value: &str, detail: &str) -> String {
    match detail.is_empty() {
        true => value.to_owned(),
        false => format!("{value}<br>{}", escape(detail)),
    }
}

/// Escapes characters that end a cell, start HTML or emphasize (GitHub Flavored Markdown, 2.4 backslash escapes, 4.10
/// tables). An underscore within a word does not emphasize.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '|' | '*' | '`' | '[' | ']' | '<' | '>' | '#' | '~' => out.extend(['\\', c]),
            // An `@` in a version must not notify a user.
            '@' => out.push_str("&#64;"),
            '&' => out.push_str("&amp;"),
            '\r' | '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A name as code, without its backticks.
pub fn code(text: &str) -> String {
    format!("`{}`", text.replace(['`', '\r', '\n'], " "))
}
