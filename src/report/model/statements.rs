//! Statements that others published about the same experiment.

use super::{Block, Cell, Column, Table, Tone, View};
use crate::report::published::Published;

/// The statements about the view's experiment and workload; `None` without any.
pub(super) fn statements(view: &View<'_>, published: &Published) -> Option<Block> {
    let experiment = view.run.file.experiment();
    let columns = ["platform", "measured", "published result", "place"].map(Column::text).to_vec();
    let mut table = Table::new(view.id("published"), "Published elsewhere", columns);
    let cell = |text: &str| Cell::new(text).tone(Tone::Published);
    for s in published.statements.iter().filter(|s| s.experiment == experiment && s.workload == view.workload) {
        table.rows.push(vec![cell(&s.platform), cell(&s.what), cell(&s.result), cell(&s.place)]);
    }
    table.note = format!(
        "Source: {}. The numbers come from another machine: compare their ratios, not their values.",
        published.source.cite()
    );
    (!table.rows.is_empty()).then_some(Block::Table(table))
}
