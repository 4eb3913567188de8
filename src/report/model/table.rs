//! Tables as data.

use serde::Serialize;

use super::text::MISSING;
use crate::model::metric::MetricInfo;

/// A table with its explanation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// Its name in links.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, one cell per column.
    pub rows: Vec<Vec<Cell>>,
    /// How to read it.
    pub note: String,
    /// The number of leading columns that name the row. A table that is too wide is split, and every part has them.
    pub keys: usize,
}

/// A column's heading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether its cells are numbers, which are aligned to the right.
    pub numeric: bool,
    /// Whether a terminal leaves it out to save space.
    pub minor: bool,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// The value with its unit.
    pub text: String,
    /// Its spread; empty for words.
    pub detail: String,
    /// How it is shown.
    pub tone: Tone,
}

/// How a text is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Unmarked.
    Plain,
    /// Nothing was measured.
    Missing,
    /// Something failed.
    Bad,
    /// A number that others published.
    Published,
    /// The reader must know it before using the numbers.
    Warning,
}

impl Column {
    /// A column of names.
    pub(super) fn text(name: impl Into<String>) -> Self {
        Column { name: name.into(), numeric: false, minor: false }
    }

    /// A column of numbers.
    pub(super) fn number(name: impl Into<String>) -> Self {
        Column { numeric: true, ..Column::text(name) }
    }

    /// The column of a metric.
    pub(super) fn metric(metric: &MetricInfo) -> Self {
        Column::number(metric.label)
    }

    /// The same, left out on a terminal.
    pub(super) fn minor(self) -> Self {
        Column { minor: true, ..self }
    }
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

    /// The same, shown differently.
    pub fn tone(self, tone: Tone) -> Self {
        Cell { tone, ..self }
    }
}

impl Table {
    /// A table without rows.
    pub(super) fn new(id: impl Into<String>, title: impl Into<String>, columns: Vec<Column>) -> Self {
        Table { id: id.into(), title: title.into(), columns, rows: Vec::new(), note: String::new(), keys: 1 }
    }

    /// The same with that number of leading columns that name the row.
    pub(super) fn keys(self, keys: usize) -> Self {
        Table { keys, ..self }
    }

    /// Whether others published all of its numbers.
    pub(in crate::report) fn is_published(&self) -> bool {
        self.rows.iter().flatten().all(|cell| cell.tone == Tone::Published)
    }

    /// Removes numeric columns without any measurement.
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
