//! Tables of results, in the terminal, in Markdown and as JSON.

use comfy_table::{CellAlignment, Table as Terminal, presets};
use serde::Serialize;

/// One table.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Table {
    /// Its name in JSON: `aa`.
    pub(super) name: &'static str,
    /// Its title.
    pub(super) title: String,
    /// The columns; the first names the row.
    pub(super) head: Vec<String>,
    /// The rows.
    pub(super) rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without a row.
    pub(super) fn new(name: &'static str, title: impl Into<String>, head: &[&str]) -> Self {
        Self { name, title: title.into(), head: head.iter().map(|&h| h.to_owned()).collect(), rows: Vec::new() }
    }

    /// For a terminal.
    pub(super) fn text(&self) -> String {
        let mut table = Terminal::new();
        table.load_style(presets::NOTHING);
        table.set_header(&self.head);
        self.rows.iter().for_each(|row| {
            table.add_row(row);
        });
        table.column_iter_mut().skip(1).for_each(|column| column.set_cell_alignment(CellAlignment::Right));
        format!("{}\n\n{}\n", self.title, table.trim_fmt())
    }

    /// For the documentation.
    pub(super) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule = format!("| --- |{}\n", " ---: |".repeat(self.head.len().saturating_sub(1)));
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}\n\n{}{rule}{rows}", self.title, line(&self.head))
    }
}

/// A share in per cent; zero is a plain 0.
pub(super) fn per_cent(share: f64) -> String {
    match share {
        s if !s.is_finite() => "—".to_owned(),
        0.0 => "0".to_owned(),
        s if s < 0.0095 => format!("{:.2} %", 100.0 * s),
        s => format!("{:.1} %", 100.0 * s),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("x", "What is shown:", &["rule", "alarms"]);
        table.rows.push(vec!["ours".into(), per_cent(0.0)]);
        table.rows.push(vec!["theirs".into(), per_cent(0.26)]);
        table
    }

    #[test]
    fn a_table_is_text_and_markdown() {
        assert_eq!(
            table().markdown(),
            "What is shown:\n\n| rule | alarms |\n| --- | ---: |\n| ours | 0 |\n| theirs | 26.0 % |\n"
        );
        let text = table().text();
        assert!(text.starts_with("What is shown:\n\n") && text.contains("26.0 %"), "{text}");
    }

    #[test]
    fn shares_are_per_cent() {
        assert_eq!([0.0, 0.0004, 0.05, 1.0, f64::NAN].map(per_cent), ["0", "0.04 %", "5.0 %", "100.0 %", "—"]);
    }
}
