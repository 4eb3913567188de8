//! A victim over the number of background instances, and several victims at once.

use super::host::context;
use super::ladder::{Along, Drawing, rungs, trend};
use super::overview::{Subject, overview};
use super::statements::statements;
use super::text::{count, mean_cell, median_cell, ratio_cell, thousands, times, trials_cell};
use super::victim::{Victim, detail_cell, scale, victim};
use super::{Block, CaseResult, Cell, Column, Finding, Section, Table, View, parallel};
use crate::model::metric::MetricInfo;
use crate::model::platform::PlatformId;
use crate::model::units::Unit;
use crate::report::figures::{Origin, Point, Series};
use crate::report::published::{Published, PublishedLadder, PublishedLevel};

/// The section of a victim of a scalability run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let victim = victim(&view.workload);
    let title = format!("{} over background instances", victim.name);
    let drawing = Drawing::new("ladder", &title, victim.metric, Along::Background);
    let label = if victim.has_throughput() { victim.rate } else { victim.metric.label };
    let drawing = Drawing { label, ..drawing };
    let mut blocks = vec![Block::Table(table(view, victim))];
    let relative = drawing.relative(view, published_series(view, published));
    blocks.extend([drawing.absolute(view), relative].into_iter().flatten().map(Block::Figure));
    blocks.extend(load_table(view, victim).map(Block::Table));
    blocks.extend(partial_rates(view, victim, &drawing));
    blocks.extend(parallel::blocks(view));
    blocks.extend(statements(view, published));
    blocks.extend(context(view));
    let intro = format!(
        "{}: alone, with idle background instances, and in several instances at once. {}",
        victim.does, victim.source
    );
    let section = Section { id: view.id(""), title: view.title("Scalability"), intro, blocks };
    let findings = findings(view, victim).into_iter().chain(parallel::findings(view)).collect();
    (section, findings)
}

/// A figure for each rate that a throughput consists of, such as SET and GET.
fn partial_rates(view: &View<'_>, victim: &Victim, whole: &Drawing<'_>) -> Vec<Block> {
    let figure = |metric: &'static MetricInfo| {
        let part = format!("ladder-{}", metric.label.to_lowercase());
        let title = format!("{}: {}", whole.title, metric.label);
        Drawing { part: &part, title: &title, metric, ..whole.clone() }.absolute(view)
    };
    let rates = victim.details.iter().copied().filter(|metric| metric.unit == Unit::PerSecond);
    rates.filter_map(figure).map(Block::Context).collect()
}

fn findings(view: &View<'_>, victim: &Victim) -> Vec<Finding> {
    let start = format!("{}'s {} alone", victim.name, victim.metric.label);
    let subject = Subject { topic: "scalability", start: &start, metric: victim.metric };
    let all = overview(view, &subject, |p| view.first(p));
    all.into_iter().chain(view.platforms().iter().filter_map(|platform| finding(view, victim, platform))).collect()
}

fn finding(view: &View<'_>, victim: &Victim, platform: &PlatformId) -> Option<Finding> {
    let rungs = rungs(view, platform, Along::Background);
    let first = *rungs.first()?;
    let most = rungs.iter().rev().find_map(|c| Some((c, c.response(victim.metric)?)));
    let loaded = most.map_or_else(String::new, |(c, response)| {
        let n = count(c.case.background as usize, "background instance");
        format!("; with {n}, {}", victim.change(response))
    });
    let trend = trend(view, &rungs, victim.metric).unwrap_or_default();
    Some(Finding {
        section: view.id(""),
        topic: view.title("scalability"),
        text: format!("{} on {platform} {}{loaded}{trend}.", victim.name, victim.alone(first)),
        simulated: view.simulated(platform),
    })
}

fn table(view: &View<'_>, victim: &Victim) -> Table {
    let mut columns = vec![Column::text("platform"), Column::number("background")];
    columns.extend([Column::metric(victim.metric), Column::number("mean ± sd")]);
    columns.extend(victim.details.iter().copied().map(Column::metric));
    columns.extend(["slowdown vs 0 background", "trials"].map(Column::number));
    let title = format!("{}: {}", victim.name, victim.metric.label);
    let mut table = Table::new(view.id("table"), title, columns).keys(2);
    let shown = of_one_victim(view);
    let scale = scale(&shown, victim.metric);
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Background) {
            let mut row = vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.background.to_string()),
                median_cell(case.summary(victim.metric), scale),
                mean_cell(case.summary(victim.metric), scale),
            ];
            row.extend(victim.details.iter().map(|metric| detail_cell(metric, case, &shown)));
            row.extend([ratio_cell(case.response(victim.metric)), trials_cell([case])]);
            table.rows.push(row);
        }
    }
    table.note = note(view, victim);
    table.without_empty_columns()
}

/// The cases with one victim: the throughput of several victims together has another scale.
fn of_one_victim(view: &View<'_>) -> Vec<CaseResult> {
    view.cases.iter().filter(|c| c.case.victims <= 1).cloned().collect()
}

fn note(view: &View<'_>, victim: &Victim) -> String {
    let rows = match victim.has_throughput() {
        true => String::new(),
        false => format!("{} rows. ", thousands(view.run.file.configuration.rows().into())),
    };
    format!(
        "{rows}Medians with their 95 % interval (below six trials: the range). Slowdown: ratio of paired trials ({}) with \
         its 95 % interval; above 1 is worse.",
        victim.reading()
    )
}

/// The metrics of the load generator; `None` without one.
fn load_table(view: &View<'_>, victim: &Victim) -> Option<Table> {
    let mut columns = vec![Column::text("platform"), Column::number("background")];
    columns.extend(victim.load.iter().copied().map(Column::metric));
    let mut table = Table::new(view.id("client"), format!("{}: load generator", victim.name), columns).keys(2);
    let shown = of_one_victim(view);
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Background) {
            let mut row = vec![Cell::new(view.name(&platform)), Cell::new(case.case.background.to_string())];
            row.extend(victim.load.iter().map(|metric| detail_cell(metric, case, &shown)));
            table.rows.push(row);
        }
    }
    table.note = "Medians with their 95 % interval (below six trials: the range).".into();
    let table = table.without_empty_columns();
    (table.columns.len() > 2).then_some(table)
}

/// The published ladders of the same victim, up to the highest measured level.
fn published_series(view: &View<'_>, published: &Published) -> Vec<Series> {
    let top = view.cases.iter().map(|c| c.case.background).max().unwrap_or(0);
    let same = published.ladders.iter().filter(|l| l.workload == view.workload);
    same.enumerate().filter_map(|(slot, ladder)| series(ladder, slot, top)).collect()
}

fn series(ladder: &PublishedLadder, slot: usize, top: u32) -> Option<Series> {
    let first = ladder.levels.first()?.mean_s;
    let point = |l: &PublishedLevel| {
        let (y, sd) = (l.mean_s / first, l.sd_s / first);
        let hover = format!("at {}: {} ± {} (mean of {}, published)", l.background, times(y), times(sd), ladder.runs);
        Point { x: f64::from(l.background), y, spread: None, hover }
    };
    let points: Vec<Point> = ladder.levels.iter().filter(|l| l.background <= top).map(point).collect();
    let name = format!("{}, published", ladder.platform);
    (points.len() > 1).then_some(Series { name, origin: Origin::Published, slot, points })
}
