//! Several victims at once: time, throughput of all together, and how evenly they share.

use super::ladder::{Along, Drawing, rungs};
use super::text::{column_scale, median_cell, quantity, ratio, ratio_cell, ratio_spread, trials_cell};
use super::{Block, CaseResult, Cell, Finding, Table, View};
use crate::platform::PlatformId;
use crate::report::figures::Start;
use crate::units::Unit;

/// The table and figures; none when no trial had several victims.
pub(super) fn blocks(view: &View<'_>) -> Vec<Block> {
    if !view.cases.iter().any(|c| c.case.victims > 1) {
        return Vec::new();
    }
    let drawing =
        |part, title, metric, label, start| Drawing { part, title, metric, label, along: Along::Victims, start };
    let figures = [
        drawing("parallel-throughput", "Rows of all victims together", "throughput", "rows per second", Start::Zero),
        drawing(
            "parallel-time",
            "Time of a victim among others",
            "insert_time",
            "median over the victims",
            Start::Zero,
        ),
        drawing("parallel-fairness", "How evenly victims share", "fairness", "Jain's index, 1 = evenly", Start::Fit),
    ];
    let mut blocks = vec![Block::Table(table(view))];
    blocks.extend(figures.iter().filter_map(|f| f.absolute(view)).map(Block::Figure));
    blocks
}

/// A sentence a platform, at its largest number of victims.
pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    let of = |platform: &PlatformId| {
        let rungs = parallel(view, platform);
        let most = *rungs.iter().rev().find(|c| c.case.victims > 1 && c.response("insert_time").is_some())?;
        let response = most.response("insert_time")?;
        let fair = most
            .summary("fairness")
            .map_or_else(String::new, |s| format!("; Jain's index of fairness {}", quantity(s, Unit::Ratio)));
        let text = format!(
            "{} victims at once on {}: each takes {} as long as one alone ({}){fair}.",
            most.case.victims,
            platform,
            ratio(response),
            ratio_spread(response),
        );
        Some(Finding { section: view.id(""), topic: view.title("parallel"), text, simulated: view.simulated(platform) })
    };
    view.platforms().iter().filter_map(of).collect()
}

/// A platform's rungs, if it has any with several victims.
fn parallel<'v>(view: &'v View<'_>, platform: &'v PlatformId) -> Vec<&'v CaseResult> {
    let rungs = rungs(view, platform, Along::Victims);
    if rungs.iter().any(|c| c.case.victims > 1) { rungs } else { Vec::new() }
}

fn table(view: &View<'_>) -> Table {
    let columns = ["platform", "#victims", "#insert time", "#against one", "#throughput", "#fairness", "#trials"];
    let mut table = Table::new(view.id("parallel-table"), "Several victims at once", &columns);
    let scale = |metric, unit| column_scale(unit, view.cases.iter().filter_map(|c| c.summary(metric)));
    for platform in view.platforms() {
        for case in parallel(view, &platform) {
            let cell = |metric, unit| median_cell(case.summary(metric), scale(metric, unit));
            table.rows.push(vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.victims.to_string()),
                cell("insert_time", Unit::Nanos),
                ratio_cell(case.response("insert_time")),
                cell("throughput", Unit::PerSecond),
                cell("fairness", Unit::Ratio),
                trials_cell(case.ok, case.failed, case.skipped),
            ]);
        }
    }
    table.note = "Insert time: median over the victims of a trial, then over trials. Throughput: rows of all victims \
        together. Fairness: Jain's index, 1 when all are served alike."
        .into();
    table.without_empty_columns()
}
