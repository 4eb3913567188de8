//! The table at the end of a bench, for a terminal or a log.

use comfy_table::{
    Cell as GridCell, CellAlignment, ColumnConstraint, ContentArrangement, Table as Grid, Width, presets,
};

use super::model::{Block, Cell, Report, Section, Table};
use crate::store::StoredRun;

/// The decoration of a text. The caller chooses it by its output and by `NO_COLOR`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Plain characters for logs and files.
    Plain,
    /// Lines, bold and color.
    Styled,
}

/// The most rows of a table. Longer tables are thinned out; the first and last rows of each group stay.
const ROWS: usize = 24;
/// The width of the text if the terminal's width is unknown.
const WIDTH: u16 = 120;

/// The results of one run: notices, tables and findings. `width` is the terminal's.
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
        let simulated = if finding.simulated { " SIMULATED, not measured." } else { "" };
        out += &format!("{}{simulated}\n", finding.text);
    }
    out
}

/// The tables of measured numbers.
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

/// The table as text. A wide table has several parts, each with the columns that name the row.
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
        grid.add_row(columns.iter().map(|&c| laid_out_cell(&table.rows[row][c])));
    }
    for (i, &column) in columns.iter().enumerate() {
        let Some(grid_column) = grid.column_mut(i) else { continue };
        let least = u16::try_from(column_width(table, rows, column) + 1).unwrap_or(width);
        grid_column.set_padding((0, 1)).set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
        if table.columns[column].numeric {
            grid_column.set_cell_alignment(CellAlignment::Right);
        }
    }
    grid.to_string().replace(TIE, " ")
}

/// The columns of each part: those that name the row, and as many others as fit next to them.
fn parts(table: &Table, rows: &[usize], width: usize) -> Vec<Vec<usize>> {
    let shown: Vec<usize> = (0..table.columns.len()).filter(|&c| !table.columns[c].minor).collect();
    let (keys, others) = shown.split_at(table.keys.min(shown.len()));
    let width_of = |columns: &[usize]| columns.iter().map(|&c| column_width(table, rows, c) + 2).sum::<usize>();
    let available = width.saturating_sub(width_of(keys) + 2);
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for &column in others {
        match parts.last_mut() {
            Some(part) if width_of(&part[keys.len()..]) + width_of(&[column]) <= available => part.push(column),
            _ => parts.push(keys.iter().copied().chain([column]).collect()),
        }
    }
    if parts.is_empty() { vec![keys.to_vec()] } else { parts }
}

/// The width that a column needs to keep its cells on one line; long words and sentences may be wrapped.
fn column_width(table: &Table, rows: &[usize], column: usize) -> usize {
    let unbroken = |text: &str| text.chars().count().min(UNBROKEN);
    let heading = table.columns[column].name.split(' ').map(unbroken).max().unwrap_or(0);
    let cell = |row: &usize| {
        let cell = &table.rows[*row][column];
        let lines = wrapped(&cell.text);
        lines.split('\n').map(unbroken).max().unwrap_or(0).max(unbroken(&cell.detail.replace(" – ", "–")))
    };
    rows.iter().map(cell).max().unwrap_or(0).max(heading)
}

/// Texts up to this length stay on one line.
const UNBROKEN: usize = 24;

/// Replaces spaces while the table is laid out, so that a number, its unit and its interval stay on one line.
const TIE: char = '\u{a0}';

/// Wraps the mark of a simulated platform below its name.
fn wrapped(text: &str) -> String {
    text.replace(" (SIMULATED)", "\n(SIMULATED)")
}

fn laid_out_cell(cell: &Cell) -> GridCell {
    let tie = |text: &str| if text.len() < UNBROKEN { text.replace(' ', &TIE.to_string()) } else { text.to_owned() };
    let text = wrapped(&cell.text);
    match cell.detail.is_empty() {
        true => GridCell::new(text),
        false => GridCell::new(format!("{}\n{}", tie(&text), tie(&cell.detail.replace(" – ", "–")))),
    }
}

/// The rows to show: all of them if they are few, otherwise evenly spread rows of every group with the same name, which
/// include the first and the last one.
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
    fn rows_with_different_names_are_all_kept() {
        let names: Vec<String> = (0..40).map(|i| i.to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(thin(&names).len(), 40);
    }
}
