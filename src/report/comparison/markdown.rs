//! A comparison for a job summary or a comment on a pull request, in GitHub's Markdown.

use std::time::Duration;

use super::words::{
    CHANGE_NOTE, change, counted, counts, differences, few, headline, quantity, ranked, reasons, verdict,
};
use crate::compare::rule::{Comparison, Line, Verdict};
use crate::report::progress::in_words;

/// GitHub refuses comments above 65,536 characters: what is longer than this is told shorter.
const ROOM: usize = 60_000;

/// The text as it grows, and how much of it may still be as long as what is compared makes it.
struct Page {
    text: String,
    room: usize,
}

pub(super) fn markdown(comparison: &Comparison) -> String {
    let mut page = Page { text: format!("### {}\n\n", headline(comparison)), room: ROOM };
    if !comparison.lines.is_empty() {
        page.text += &format!("**{}**\n\n", counts(comparison));
    }
    sides(&mut page, comparison);
    page.items(comparison.not_comparable.iter().map(|reason| format!("not comparable: {reason}")));
    // They stand below the tables, and may not be lost for them.
    let mut notes = Page { text: String::new(), room: page.room };
    notes.items(comparison.notes.iter().cloned());
    page.room = notes.room;
    let (told, folded): (Vec<&Line>, Vec<&Line>) = ranked(comparison).into_iter().partition(|line| is_remarkable(line));
    page.block(&told, counted(comparison));
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

/// What a reader has to look at.
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
    /// Puts down as many of the pieces as there is room for, and returns how many there are more.
    fn fill(&mut self, pieces: impl IntoIterator<Item = String>) -> usize {
        let mut left_out = 0;
        for piece in pieces {
            if left_out == 0 && piece.len() <= self.room {
                self.room -= piece.len();
                self.text += &piece;
            } else {
                left_out += 1;
            }
        }
        left_out
    }

    /// A list.
    fn items(&mut self, texts: impl IntoIterator<Item = String>) {
        let left_out = self.fill(texts.into_iter().map(|text| format!("- {}\n", escape(&text))));
        if left_out > 0 {
            self.text += &format!("- {left_out} more are in the JSON\n");
        }
    }

    /// A table of lines, and below it why they are what they are.
    fn block(&mut self, lines: &[&Line], counted: &str) {
        if lines.is_empty() {
            return;
        }
        self.text += &format!("\n| case | metric | A | B | change | verdict | {counted} |\n");
        self.text += "| --- | --- | ---: | ---: | ---: | --- | ---: |\n";
        // Half of the room is for the reasons: a verdict without one is worth little.
        let reserved = self.room / 2;
        self.room -= reserved;
        let left_out = self.fill(lines.iter().map(|line| row(line)));
        self.room += reserved;
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
    let said = verdict(line);
    let said = if is_remarkable(line) { (format!("**{}**", said.0), said.1) } else { said };
    let numbers = [
        quantity(line.a.as_ref(), line.unit),
        quantity(line.b.as_ref(), line.unit),
        change(line.decision.shift.as_ref()),
    ];
    let [a, b, change] = numbers.map(|(value, beside)| stacked(&escape(&value), &beside));
    let said = stacked(&said.0, &said.1);
    let blocks = line.decision.blocks;
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
            '&' => out.push_str("&amp;"),
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
