//! The table at the end of a bench, for a terminal or a log.

use comfy_table::{Cell as Shown, CellAlignment, ColumnConstraint, ContentArrangement, Table as Grid, Width, presets};

use super::model::{Block, Cell, Report, Section, Table};
use crate::store::StoredRun;

/// How the text may be decorated. The caller decides, by whether it writes to a terminal and by `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Plain characters for logs and files.
    Plain,
    /// Lines, bold and colour.
    Styled,
}

/// Longer tables are thinned out, first and last row kept.
const ROWS: usize = 24;
/// How wide the text may be when the terminal's width is unknown.
const WIDTH: u16 = 120;

/// The results of one run: what must be known first, the summary, and the tables. `width` is the terminal's.
pub fn terminal(run: &StoredRun, look: Look, width: Option<u16>) -> String {
    let report = Report::of(std::slice::from_ref(run), &[]);
    let mut out = String::new();
    for notice in &report.notices {
        out += &format!("{}: {}\n", bold(&notice.head, look), notice.text);
    }
    for section in &report.sections {
        for table in own_tables(section) {
            out += &format!("\n{}\n{}\n", bold(&table.title, look), grid(table, look, width.unwrap_or(WIDTH)));
        }
    }
    out.push('\n');
    for finding in &report.findings {
        let simulated = if finding.simulated { " SIMULATED, no measurement." } else { "" };
        out += &format!("{}{simulated}\n", finding.text);
    }
    out
}

/// The tables of our own numbers.
fn own_tables(section: &Section) -> impl Iterator<Item = &Table> {
    section.blocks.iter().filter_map(|block| match block {
        Block::Table(table) if !table.is_published() => Some(table),
        _ => None,
    })
}

fn bold(text: &str, look: Look) -> String {
    match look {
        Look::Plain => text.to_owned(),
        Look::Styled => format!("\x1b[1m{text}\x1b[0m"),
    }
}

/// The table as text, in as many parts as its columns need, each with the columns that name the row.
fn grid(table: &Table, look: Look, width: u16) -> String {
    let rows = thin(&table.rows.iter().map(|row| row[0].text.as_str()).collect::<Vec<_>>());
    let parts: Vec<String> = parts(table, &rows, usize::from(width))
        .iter()
        .map(|columns| part(table, &rows, columns, look, width))
        .collect();
    let left_out = table.rows.len() - rows.len();
    let more = if left_out == 0 { String::new() } else { format!("\n{left_out} more rows are in the report.") };
    format!("{}{more}", parts.join("\n"))
}

fn part(table: &Table, rows: &[usize], columns: &[usize], look: Look, width: u16) -> String {
    let mut grid = Grid::new();
    grid.load_style(match look {
        Look::Plain => presets::ASCII_BORDERS_ONLY_CONDENSED,
        Look::Styled => presets::UTF8_BORDERS_ONLY,
    });
    grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    grid.set_header(columns.iter().map(|&c| table.columns[c].name.as_str()));
    for &row in rows {
        grid.add_row(columns.iter().map(|&c| shown(&table.rows[row][c])));
    }
    for (i, &column) in columns.iter().enumerate() {
        let Some(laid_out) = grid.column_mut(i) else { continue };
        let least = u16::try_from(column_width(table, rows, column) + 1).unwrap_or(width);
        laid_out.set_padding((0, 1)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        if table.columns[column].numeric {
            laid_out.set_cell_alignment(CellAlignment::Right);
        }
    }
    grid.to_string().replace(TIE, " ")
}

/// The columns of each part: those that name the row, and as many others as fit beside them without being squeezed.
fn parts(table: &Table, rows: &[usize], width: usize) -> Vec<Vec<usize>> {
    let shown: Vec<usize> = (0..table.columns.len()).filter(|&c| !table.columns[c].minor).collect();
    let (keys, others) = shown.split_at(table.keys.min(shown.len()));
    let needs = |columns: &[usize]| columns.iter().map(|&c| column_width(table, rows, c) + 2).sum::<usize>();
    let room = width.saturating_sub(needs(keys) + 2);
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for &column in others {
        match parts.last_mut() {
            Some(part) if needs(&part[keys.len()..]) + needs(&[column]) <= room => part.push(column),
            _ => parts.push(keys.iter().copied().chain([column]).collect()),
        }
    }
    if parts.is_empty() { vec![keys.to_vec()] } else { parts }
}

/// How wide a column must be for its cells to stay whole; long words and sentences may be broken.
fn column_width(table: &Table, rows: &[usize], column: usize) -> usize {
    let long = |text: &str| if text.chars().count() < WHOLE { text.chars().count() } else { WHOLE };
    let heading = table.columns[column].name.split(' ').map(long).max().unwrap_or(0);
    let cell = |row: &usize| {
        let cell = &table.rows[*row][column];
        let lines = broken(&cell.text);
        lines.split('\n').map(long).max().unwrap_or(0).max(long(&cell.detail.replace(" – ", "–")))
    };
    rows.iter().map(cell).max().unwrap_or(0).max(heading)
}

/// Texts up to this length are kept on one line.
const WHOLE: usize = 24;

/// Keeps a number, its unit and its interval on one line while the table is laid out.
const TIE: char = '\u{a0}';

/// What makes a name long stands below it.
fn broken(text: &str) -> String {
    text.replace(" (SIMULATED)", "\n(SIMULATED)")
}

fn shown(cell: &Cell) -> Shown {
    let tie = |text: &str| if text.len() < WHOLE { text.replace(' ', &TIE.to_string()) } else { text.to_owned() };
    let text = broken(&cell.text);
    match cell.detail.is_empty() {
        true => Shown::new(text),
        false => Shown::new(format!("{}\n{}", tie(&text), tie(&cell.detail.replace(" – ", "–")))),
    }
}

/// The rows to show: all where they are few, else evenly spread ones of every run of rows with the same name, the first
/// and the last of each among them.
fn thin(names: &[&str]) -> Vec<usize> {
    if names.len() <= ROWS {
        return (0..names.len()).collect();
    }
    let groups: Vec<&[&str]> = names.chunk_by(|a, b| a == b).collect();
    let each = (ROWS / groups.len()).max(2);
    let mut first = 0;
    let mut kept = Vec::new();
    for count in groups.iter().map(|group| group.len()) {
        let few = count.min(each);
        kept.extend((0..few).map(|i| first + i * (count - 1) / (few - 1).max(1)));
        first += count;
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_table_keeps_the_ends_of_every_group() {
        assert_eq!(thin(&["a"; 3]), [0, 1, 2]);
        let rows = thin(&["a"; 1000]);
        assert_eq!((rows.len(), rows[0], rows[ROWS - 1]), (ROWS, 0, 999));
        let names: Vec<&str> = ["native", "youki", "docker"].iter().flat_map(|n| [*n; 101]).collect();
        let rows = thin(&names);
        assert_eq!((rows.len(), rows[7], rows[8], rows[23]), (ROWS, 100, 101, 302));
        assert!(rows.is_sorted());
    }

    #[test]
    fn rows_that_all_differ_are_all_kept() {
        let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(thin(&names).len(), 40);
    }
}
