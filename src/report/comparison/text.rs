//! A comparison for a terminal or a log.

use std::time::Duration;

use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table, presets};

use super::words::{
    CHANGE_NOTE, change, counted, counts, differences, few, headline, quantity, ranked, reasons, verdict,
};
use crate::compare::rule::{Comparison, Line, Verdict};
use crate::report::Look;
use crate::report::progress::in_words;

/// The width of the text if the terminal's width is unknown.
const WIDTH: u16 = 120;
/// The names of the columns, and whether they hold numbers. The last name depends on the comparison.
const COLUMNS: [(&str, bool); 7] =
    [("case", false), ("metric", false), ("A", true), ("B", true), ("change", true), ("verdict", false), ("", true)];

pub(super) fn text(comparison: &Comparison, look: Look, width: Option<u16>) -> String {
    let mut out = format!("A: {}\nB: {}\n", comparison.a.name, comparison.b.name);
    for fact in differences(&comparison.a, &comparison.b) {
        out += &format!("   {fact}\n");
    }
    for reason in &comparison.not_comparable {
        out += &format!("{}: {reason}\n", paint("not comparable", Some(Color::Red), look));
    }
    let lines = ranked(comparison);
    if !lines.is_empty() {
        out += &format!("\n{}\n{CHANGE_NOTE}\n", grid(&lines, counted(comparison), look, width.unwrap_or(WIDTH)));
    }
    for (verdict, reason, names) in reasons(&lines) {
        out += &format!("{}: {}: {reason}\n", paint(verdict.name(), color(verdict), look), few(&names));
    }
    for note in &comparison.notes {
        out += &format!("note: {note}\n");
    }
    out + &last_line(comparison, look)
}

/// The result of the whole comparison.
fn last_line(comparison: &Comparison, look: Look) -> String {
    let color = comparison.has_regressed().then_some(Color::Red);
    let mut line = paint(&headline(comparison), color, look);
    if !comparison.lines.is_empty() {
        line += &format!(" {}.", counts(comparison));
    }
    if let Some(took) = comparison.took {
        line += &format!(" Measured in {}.", in_words(Duration::from(took)));
    }
    line + "\n"
}

fn grid(lines: &[&Line], counted: &str, look: Look, width: u16) -> String {
    let mut grid = Table::new();
    grid.load_style(match look {
        Look::Plain => presets::ASCII_BORDERS_ONLY_CONDENSED,
        Look::Styled => presets::UTF8_BORDERS_ONLY,
    });
    grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    grid.set_header(COLUMNS.map(|(name, _)| if name.is_empty() { counted } else { name }));
    for line in lines {
        grid.add_row(row(line));
    }
    for (i, (_, numeric)) in COLUMNS.iter().enumerate() {
        let Some(column) = grid.column_mut(i) else { continue };
        column.set_padding((0, 1));
        // Cases are long and may be wrapped; numbers and verdicts are not.
        if i > 0 {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        if *numeric {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // Painted after the layout, which would count the escape sequences as characters.
    let marked = Verdict::ALL.iter().filter_map(|&verdict| Some((verdict, color(verdict)?)));
    marked.fold(grid.to_string().replace(TIE, " "), |text, (verdict, color)| {
        text.replace(verdict.name(), &paint(verdict.name(), Some(color), look))
    })
}

fn row(line: &Line) -> Vec<Cell> {
    let verdict = Cell::new(stacked(verdict(line)));
    let numbers = [
        quantity(line.a.as_ref(), line.unit),
        quantity(line.b.as_ref(), line.unit),
        change(line.decision.shift.as_ref()),
    ];
    let [a, b, change] = numbers.map(|number| Cell::new(stacked(number)));
    let blocks = Cell::new(line.decision.blocks);
    vec![Cell::new(&line.case), Cell::new(&line.metric), a, b, change, verdict, blocks]
}

/// Keeps a number, its unit and its interval on one line while the table is laid out.
const TIE: char = '\u{a0}';

/// A value with its detail below.
fn stacked((value, detail): (String, String)) -> String {
    let tie = |text: &str| text.replace(' ', &TIE.to_string());
    match detail.is_empty() {
        true => tie(&value),
        false => format!("{}\n{}", tie(&value), tie(&detail)),
    }
}

/// The terminal colors for bad, good and doubtful.
#[derive(Clone, Copy)]
enum Color {
    Red,
    Green,
    Yellow,
}

fn color(verdict: Verdict) -> Option<Color> {
    match verdict {
        Verdict::Regressed => Some(Color::Red),
        Verdict::Improved => Some(Color::Green),
        Verdict::Invalid => Some(Color::Yellow),
        Verdict::Equivalent | Verdict::Inconclusive | Verdict::Skipped => None,
    }
}

/// Bold text, with a color if there is one, by the sequences of ECMA-48, 8.3.117.
fn paint(text: &str, color: Option<Color>, look: Look) -> String {
    let code = match color {
        Some(Color::Red) => "1;31",
        Some(Color::Green) => "1;32",
        Some(Color::Yellow) => "1;33",
        None => "1",
    };
    match look {
        Look::Plain => text.to_owned(),
        Look::Styled => format!("\x1b[{code}m{text}\x1b[0m"),
    }
}
