//! Several victims at once: what each one gets, what all of them do together, and how evenly they share.

use super::ladder::{Along, Drawing, Share, rungs};
use super::text::{column_scale, median_cell, quantity, ratio_cell, trials_cell};
use super::victim::{Detail, Victim, scale, victim};
use super::{Block, CaseResult, Cell, Finding, Table, View};
use crate::platform::PlatformId;
use crate::report::figures::Start;
use crate::stats::{Interval, Response, Slowdown, Summary};
use crate::units::{Direction, Unit};

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

/// How much worse off each of several victims is than one alone. A throughput is of all together: shared evenly, each
/// has its part of it.
fn each(case: &CaseResult, victim: &Victim) -> Option<Response> {
    let response = *case.response(victim.metric)?;
    let parts = if victim.direction == Direction::Higher { f64::from(case.case.victims) } else { 1.0 };
    Some(match response {
        Response::Slowdown(s) => Response::Slowdown(Slowdown {
            ratio: s.ratio * parts,
            interval: s.interval.map(|i| i.map(|v| v * parts)),
            ..s
        }),
        unanswered => unanswered,
    })
}

/// The headline of each victim: a throughput divided by their number.
fn own(case: &CaseResult, victim: &Victim) -> Option<Summary> {
    let s = *case.summary(victim.metric)?;
    let parts = if victim.direction == Direction::Higher { f64::from(case.case.victims.max(1)) } else { 1.0 };
    let of = |v: f64| v / parts;
    Some(Summary {
        median: of(s.median),
        mean: of(s.mean),
        sd: s.sd.map(of),
        min: of(s.min),
        max: of(s.max),
        interval: s.interval.map(|i: Interval| i.map(of)),
        ..s
    })
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
            victim.each(&response),
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
    let owns: Vec<Summary> = view.cases.iter().filter_map(|c| own(c, victim)).collect();
    let own_scale = column_scale(victim.unit, owns.iter());
    let client = victim.beside.iter().find(|d: &&Detail| d.metric == "client_cpu");
    for platform in view.platforms() {
        for case in parallel(view, &platform) {
            table.rows.push(vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.victims.to_string()),
                median_cell(own(case, victim).as_ref(), own_scale),
                ratio_cell(each(case, victim).as_ref()),
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
            "Throughput of each: that of all divided by their number. Each against one: slowdown, above 1 each has less \
             than one alone. Fairness: Jain's index, 1 when all are served alike."
        }
        _ => {
            "Insert time of each: median over the victims of a trial, then over trials. Throughput of all: rows of all \
             victims together. Fairness: Jain's index, 1 when all are served alike."
        }
    }
}
