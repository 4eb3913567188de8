//! Several victims at once: what each one gets, what all of them do together, and how evenly they share.

use super::ladder::{Along, Drawing, Share, headline, rungs};
use super::tally::PER_VICTIM;
use super::text::{column_scale, median_cell, quantity, ratio_cell, trials_cell};
use super::victim::{Detail, Victim, scale, victim};
use super::{Block, CaseResult, Cell, Finding, Table, View};
use crate::model::platform::PlatformId;
use crate::model::units::{Direction, Unit};
use crate::report::figures::Start;
use crate::stats::Response;

/// What all victims do together.
const TOGETHER: &str = "throughput";

/// The table and figures; none when no trial had several victims.
pub(super) fn blocks(view: &View<'_>) -> Vec<Block> {
    if !view.cases.iter().any(|c| c.case.victims > 1) {
        return Vec::new();
    }
    let victim = victim(&view.workload);
    let (together, each, fairness) = titles(victim);
    let (share, each_label) = match victim.direction {
        Direction::Higher => (Share::Each, victim.label),
        _ => (Share::All, "median over the victims"),
    };
    let drawing = |part, title, metric, label, share, start| Drawing {
        part,
        title,
        metric,
        label,
        along: Along::Victims,
        share,
        start,
    };
    let rate = if victim.direction == Direction::Higher { victim.label } else { "rows per second" };
    let figures = [
        drawing("parallel-throughput", &together, TOGETHER, rate, Share::All, Start::Zero),
        drawing("parallel-each", &each, victim.metric, each_label, share, Start::Zero),
        drawing("parallel-fairness", &fairness, "fairness", "Jain's index, 1 = evenly", Share::All, Start::Fit),
    ];
    let mut blocks = vec![Block::Table(table(view, victim))];
    blocks.extend(figures.iter().filter_map(|f| f.absolute(view)).map(Block::Figure));
    blocks
}

fn titles(victim: &Victim) -> (String, String, String) {
    let n = victim.name;
    (
        format!("{n}: throughput of all victims together"),
        format!("{n}: {} of a victim among others", victim.column),
        format!("{n}: how evenly victims share"),
    )
}

/// How much worse off each of several victims is than one alone.
fn each<'v>(case: &'v CaseResult, victim: &Victim) -> Option<&'v Response> {
    let unanswered = |r: &&Response| matches!(r, Response::DidNotRespond { .. });
    let whole = case.response(victim.metric);
    match victim.direction {
        Direction::Higher => case.response(PER_VICTIM).or(whole.filter(unanswered)),
        _ => whole,
    }
}

/// A sentence a platform, at its largest number of victims.
pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    let victim = victim(&view.workload);
    let of = |platform: &PlatformId| {
        let rungs = parallel(view, platform);
        let several = rungs.iter().rev().filter(|c| c.case.victims > 1);
        let (most, response) = several.filter_map(|c| Some((*c, each(c, victim)?))).next()?;
        let fair = most
            .summary("fairness")
            .map_or_else(String::new, |s| format!("; Jain's index of fairness {}", quantity(s, Unit::Ratio)));
        let text = format!(
            "{} × {} at once on {platform}: compared with one alone, {}{fair}.",
            most.case.victims,
            victim.name,
            victim.each(response),
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

fn table(view: &View<'_>, victim: &Victim) -> Table {
    let own_column = format!("#{} of each", victim.column);
    let columns = [
        "platform",
        "#victims",
        &own_column,
        "#each against one",
        "#throughput of all",
        "#fairness",
        "#client busy",
        "#trials",
    ];
    let title = format!("Several {} victims at once", victim.name);
    let mut table = Table::new(view.id("parallel-table"), title, &columns).keys(2);
    let at = |metric, unit| scale(&view.cases, metric, unit);
    let own_scale = column_scale(victim.unit, view.cases.iter().filter_map(|c| headline(c, victim.metric)));
    let client = victim.beside.iter().find(|d: &&Detail| d.metric == "client_cpu");
    for platform in view.platforms() {
        for case in parallel(view, &platform) {
            table.rows.push(vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.victims.to_string()),
                median_cell(headline(case, victim.metric), own_scale),
                ratio_cell(each(case, victim)),
                median_cell(case.summary(TOGETHER), at(TOGETHER, Unit::PerSecond)),
                median_cell(case.summary("fairness"), at("fairness", Unit::Ratio)),
                client.map_or_else(Cell::missing, |d| d.cell(case, &view.cases)),
                trials_cell([case]),
            ]);
        }
    }
    table.note = note(victim).into();
    table.without_empty_columns()
}

fn note(victim: &Victim) -> &'static str {
    match victim.direction {
        Direction::Higher => {
            "Throughput of each: median over the victims of a trial, then over trials. Each against one: slowdown, above 1 each has less \
             than one alone. Fairness: Jain's index, 1 when all are served alike."
        }
        _ => {
            "Insert time of each: median over the victims of a trial, then over trials. Throughput of all: rows of all \
             victims together. Fairness: Jain's index, 1 when all are served alike."
        }
    }
}
