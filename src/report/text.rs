//! The table at the end of a bench, for a terminal or a log.

use comfy_table::{Cell as Shown, CellAlignment, ContentArrangement, Table as Grid, presets};

use super::model::{Block, Cell, Report, Section, Table, Tone};
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
        Block::Table(table) if !table.rows.iter().flatten().all(|c| c.tone == Tone::Published) => Some(table),
        _ => None,
    })
}

fn bold(text: &str, look: Look) -> String {
    match look {
        Look::Plain => text.to_owned(),
        Look::Styled => format!("\x1b[1m{text}\x1b[0m"),
    }
}

fn grid(table: &Table, look: Look, width: u16) -> String {
    let mut grid = Grid::new();
    grid.load_style(match look {
        Look::Plain => presets::ASCII_BORDERS_ONLY_CONDENSED,
        Look::Styled => presets::UTF8_BORDERS_ONLY,
    });
    grid.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    let columns: Vec<usize> = (0..table.columns.len()).filter(|&c| !table.columns[c].minor).collect();
    grid.set_header(columns.iter().map(|&c| table.columns[c].name.as_str()));
    let kept = thin(table.rows.len());
    for &row in &kept {
        grid.add_row(columns.iter().map(|&c| shown(&table.rows[row][c])));
    }
    for (i, column) in columns.iter().map(|&c| &table.columns[c]).enumerate() {
        let Some(laid_out) = grid.column_mut(i) else { continue };
        laid_out.set_padding((0, 1));
        if column.numeric {
            laid_out.set_cell_alignment(CellAlignment::Right);
        }
    }
    let left_out = table.rows.len() - kept.len();
    let more = if left_out == 0 { String::new() } else { format!("\n{left_out} more rows are in the report.") };
    format!("{grid}{more}").replace(TIE, " ")
}

/// Keeps a number, its unit and its interval on one line while the table is laid out.
const TIE: char = '\u{a0}';

fn shown(cell: &Cell) -> Shown {
    let tie = |text: &str| if text.len() < 24 { text.replace(' ', &TIE.to_string()) } else { text.to_owned() };
    let text = cell.text.replace(" (SIMULATED)", "\n(SIMULATED)");
    match cell.detail.is_empty() {
        true => Shown::new(text),
        false => Shown::new(format!("{}\n{}", tie(&text), tie(&cell.detail.replace(" – ", "–")))),
    }
}

/// The rows to show of `count`: all, or evenly spread ones with the first and the last.
fn thin(count: usize) -> Vec<usize> {
    if count <= ROWS {
        return (0..count).collect();
    }
    (0..ROWS).map(|i| i * (count - 1) / (ROWS - 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_table_keeps_its_ends() {
        assert_eq!(thin(3), [0, 1, 2]);
        let rows = thin(1000);
        assert_eq!((rows.len(), rows[0], rows[ROWS - 1]), (ROWS, 0, 999));
        assert!(rows.is_sorted());
    }
}
