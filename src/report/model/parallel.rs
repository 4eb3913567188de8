//! Several victims at once: the throughput of each and of all together, and how evenly they share.

use super::ladder::{Along, Drawing, Share, per_victim, rungs};
use super::text::{column_scale, count, median_cell, quantity, ratio_cell, trials_cell};
use super::victim::{Victim, detail_cell, scale, victim};
use super::{Block, CaseResult, Cell, Column, Finding, Table, View};
use crate::model::metric::{CLIENT_CPU, FAIRNESS, THROUGHPUT, THROUGHPUT_PER_VICTIM};
use crate::model::platform::PlatformId;
use crate::report::figures::{Figure, Start};
use crate::stats::Response;

/// The table and figures; none when no trial had several victims.
pub(super) fn blocks(view: &View<'_>) -> Vec<Block> {
    if !view.cases.iter().any(|c| c.case.victims > 1) {
        return Vec::new();
    }
    let victim = victim(&view.workload);
    let mut blocks = vec![Block::Table(table(view, victim))];
    let figures = [total_throughput(view, victim), each_victim(view, victim), fairness(view, victim)];
    blocks.extend(figures.into_iter().flatten().map(Block::Figure));
    blocks
}

fn total_throughput(view: &View<'_>, victim: &Victim) -> Option<Figure> {
    let title = format!("{}: throughput of all victims", victim.name);
    let drawing = Drawing::new("parallel-throughput", &title, &THROUGHPUT, Along::Victims);
    Drawing { label: victim.rate, ..drawing }.absolute(view)
}

fn each_victim(view: &View<'_>, victim: &Victim) -> Option<Figure> {
    let title = format!("{}: {} per victim", victim.name, victim.metric.label);
    let drawing = Drawing::new("parallel-each", &title, victim.metric, Along::Victims);
    match victim.has_throughput() {
        true => Drawing { label: victim.rate, share: Share::PerVictim, ..drawing }.absolute(view),
        false => drawing.absolute(view),
    }
}

fn fairness(view: &View<'_>, victim: &Victim) -> Option<Figure> {
    let title = format!("{}: fairness (Jain's index)", victim.name);
    let drawing = Drawing::new("parallel-fairness", &title, &FAIRNESS, Along::Victims);
    Drawing { start: Start::Fit, ..drawing }.absolute(view)
}

/// The slowdown of one of several victims compared with one alone.
fn slowdown_of_each<'v>(case: &'v CaseResult, victim: &Victim) -> Option<&'v Response> {
    let is_unanswered = |r: &&Response| matches!(r, Response::DidNotRespond { .. });
    let whole = case.response(victim.metric);
    match victim.has_throughput() {
        true => case.response(&THROUGHPUT_PER_VICTIM).or(whole.filter(is_unanswered)),
        false => whole,
    }
}

/// A sentence per platform, at its largest number of victims.
pub(super) fn findings(view: &View<'_>) -> Vec<Finding> {
    view.platforms().iter().filter_map(|platform| finding(view, platform)).collect()
}

fn finding(view: &View<'_>, platform: &PlatformId) -> Option<Finding> {
    let victim = victim(&view.workload);
    let rungs = parallel(view, platform);
    let several = rungs.iter().rev().filter(|c| c.case.victims > 1);
    let (most, response) = several.filter_map(|c| Some((*c, slowdown_of_each(c, victim)?))).next()?;
    let fairness = most
        .summary(&FAIRNESS)
        .map_or_else(String::new, |s| format!("; fairness (Jain's index) {}", quantity(s, FAIRNESS.unit)));
    let text = format!(
        "{} at once on {platform}: compared with one alone, {}{fairness}.",
        count(most.case.victims as usize, &format!("{} victim", victim.name)),
        victim.change_of_each(response),
    );
    Some(Finding { section: view.id(""), topic: view.title("parallel"), text, simulated: view.simulated(platform) })
}

/// A platform's rungs; none if it never had several victims.
fn parallel<'v>(view: &'v View<'_>, platform: &'v PlatformId) -> Vec<&'v CaseResult> {
    let rungs = rungs(view, platform, Along::Victims);
    if rungs.iter().any(|c| c.case.victims > 1) { rungs } else { Vec::new() }
}

fn table(view: &View<'_>, victim: &Victim) -> Table {
    let mut columns = vec![Column::text("platform"), Column::number("victims")];
    columns.push(Column::number(format!("{} per victim", victim.metric.label)));
    columns.push(Column::number("slowdown vs 1 victim"));
    columns.push(Column::number(format!("total {}", THROUGHPUT.label)));
    columns.extend([&FAIRNESS, &CLIENT_CPU].map(Column::metric));
    columns.push(Column::number("trials"));
    let title = format!("Several {} victims at once", victim.name);
    let mut table = Table::new(view.id("parallel-table"), title, columns).keys(2);
    let own_scale = column_scale(victim.metric.unit, view.cases.iter().filter_map(|c| per_victim(c, victim.metric)));
    for platform in view.platforms() {
        for case in parallel(view, &platform) {
            table.rows.push(vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.victims.to_string()),
                median_cell(per_victim(case, victim.metric), own_scale),
                ratio_cell(slowdown_of_each(case, victim)),
                median_cell(case.summary(&THROUGHPUT), scale(&view.cases, &THROUGHPUT)),
                median_cell(case.summary(&FAIRNESS), scale(&view.cases, &FAIRNESS)),
                detail_cell(&CLIENT_CPU, case, &view.cases),
                trials_cell([case]),
            ]);
        }
    }
    table.note = note(victim).into();
    table.without_empty_columns()
}

fn note(victim: &Victim) -> &'static str {
    match victim.has_throughput() {
        true => {
            "Throughput per victim: median over the victims of a trial, then over trials. Slowdown: above 1, each victim \
             has less throughput than one alone. Fairness: Jain's index; 1 if all victims get the same share."
        }
        false => {
            "Insert time per victim: median over the victims of a trial, then over trials. Total throughput: rows of all \
             victims. Fairness: Jain's index; 1 if all victims get the same share."
        }
    }
}
