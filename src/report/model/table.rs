//! Tables as data.

use serde::Serialize;

use super::text::MISSING;

/// A table with its explanation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Its name in links.
    pub id: String,
    /// What it shows.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, one cell a column.
    pub rows: Vec<Vec<Cell>>,
    /// How to read it.
    pub note: String,
    /// How many columns in front name the row: a table too wide for its place is broken up, and these are repeated.
    pub keys: usize,
}

/// A column's heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its cells are numbers, to be aligned at the right.
    pub numeric: bool,
    /// It is left out where there is little room: on a terminal.
    pub minor: bool,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The value with its unit.
    pub text: String,
    /// Its spread; empty for words.
    pub detail: String,
    /// How it is to be read.
    pub tone: Tone,
}

/// How something is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// As it stands.
    Plain,
    /// Nothing was measured.
    Missing,
    /// Something failed.
    Bad,
    /// Somebody else's number.
    Published,
    /// It must be known before the numbers are used.
    Warning,
}

impl Cell {
    /// A plain cell.
    pub fn new(text: impl Into<String>) -> Self {
        Cell { text: text.into(), detail: String::new(), tone: Tone::Plain }
    }

    /// A cell without a value.
    pub fn missing() -> Self {
        Cell::new(MISSING).tone(Tone::Missing)
    }

    /// The same with its spread.
    pub fn detail(self, detail: impl Into<String>) -> Self {
        Cell { detail: detail.into(), ..self }
    }

    /// The same, read otherwise.
    pub fn tone(self, tone: Tone) -> Self {
        Cell { tone, ..self }
    }
}

impl Table {
    /// A table without rows yet; names of numeric columns begin with `#`, of minor numeric ones with `~`.
    pub(super) fn new(id: impl Into<String>, title: impl Into<String>, columns: &[&str]) -> Self {
        let column = |name: &&str| match name.strip_prefix('#') {
            Some(name) => Column { name: name.into(), numeric: true, minor: false },
            None => Column {
                name: name.trim_start_matches('~').into(),
                numeric: name.starts_with('~'),
                minor: name.starts_with('~'),
            },
        };
        let columns = columns.iter().map(column).collect();
        Table { id: id.into(), title: title.into(), columns, rows: Vec::new(), note: String::new(), keys: 1 }
    }

    /// The same with so many columns in front that name the row.
    pub(super) fn keys(self, keys: usize) -> Self {
        Table { keys, ..self }
    }

    /// Whether all its numbers are somebody else's.
    pub(in crate::report) fn is_published(&self) -> bool {
        self.rows.iter().flatten().all(|cell| cell.tone == Tone::Published)
    }

    /// Leaves out numeric columns in which nothing was measured at all.
    pub(super) fn without_empty_columns(mut self) -> Self {
        let keep: Vec<bool> = (0..self.columns.len())
            .map(|c| !self.columns[c].numeric || self.rows.iter().any(|row| row[c].tone != Tone::Missing))
            .collect();
        let mut kept = keep.iter();
        self.columns.retain(|_| *kept.next().unwrap_or(&true));
        for row in &mut self.rows {
            let mut kept = keep.iter();
            row.retain(|_| *kept.next().unwrap_or(&true));
        }
        self
    }
}
