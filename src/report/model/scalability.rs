//! A victim over the number of idle instances, and of victims at once.

use super::beside::{context, statements};
use super::ladder::{Along, Drawing, Share, rungs, trend};
use super::overview::{Subject, overview};
use super::text::{count, mean_cell, median_cell, ratio_cell, thousands, times, trials_cell};
use super::victim::{Detail, Victim, scale, victim};
use super::{Block, CaseResult, Cell, Finding, Section, Table, View, parallel};
use crate::model::platform::PlatformId;
use crate::model::units::{Direction, Unit};
use crate::report::figures::{Origin, Point, Series, Start};
use crate::report::published::{Published, PublishedLadder, PublishedLevel};

/// The section of a victim of a scalability run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let victim = victim(&view.workload);
    let title = format!("{} over background instances", victim.name);
    let headline = Drawing {
        part: "ladder",
        title: &title,
        metric: victim.metric,
        label: victim.label,
        along: Along::Background,
        share: Share::All,
        start: Start::Zero,
    };
    let mut blocks = vec![Block::Table(table(view, victim))];
    let relative = headline.relative(view, beside(view, published));
    blocks.extend([headline.absolute(view), relative].into_iter().flatten().map(Block::Figure));
    blocks.extend(more(view, victim).map(Block::Table));
    blocks.extend(kinds(view, victim, &headline));
    blocks.extend(parallel::blocks(view));
    blocks.extend(statements(view, published));
    blocks.extend(context(view));
    let intro =
        format!("{}, alone, beside idle instances, and in several instances at once. {}", victim.does, victim.clock);
    let section = Section { id: view.id(""), title: view.title("Scalability"), intro, blocks };
    let findings = findings(view, victim).into_iter().chain(parallel::findings(view)).collect();
    (section, findings)
}

/// The rates that a headline is made of, such as SET and GET, each on its own.
fn kinds(view: &View<'_>, victim: &Victim, headline: &Drawing<'_>) -> Vec<Block> {
    let figure = |d: &Detail| {
        let (part, title) =
            (format!("ladder-{}", d.column.to_lowercase()), format!("{}: {}", headline.title, d.column));
        Drawing { part: &part, title: &title, metric: d.metric, ..headline.clone() }.absolute(view)
    };
    let rates = victim.beside.iter().filter(|d| d.unit == Unit::PerSecond);
    rates.filter_map(figure).map(Block::Context).collect()
}

fn findings(view: &View<'_>, victim: &Victim) -> Vec<Finding> {
    let of = |platform: &PlatformId| {
        let rungs = rungs(view, platform, Along::Background);
        let first = *rungs.first()?;
        let most = rungs.iter().rev().find_map(|c| Some((c, c.response(victim.metric)?)));
        let beside = most.map_or_else(String::new, |(c, response)| {
            let n = count(c.case.background as usize, "idle instance");
            format!("; with {n} beside it, {}", victim.change(response))
        });
        let trend = trend(view, &rungs, victim.metric).unwrap_or_default();
        Some(Finding {
            section: view.id(""),
            topic: view.title("scalability"),
            text: format!("{} on {platform} {}{beside}{trend}.", victim.name, victim.alone(first)),
            simulated: view.simulated(platform),
        })
    };
    let subject = Subject {
        topic: "scalability",
        what: &format!("{}'s {} alone", victim.name, victim.column),
        metric: victim.metric,
        unit: victim.unit,
        direction: victim.direction,
    };
    overview(view, &subject, |p| view.first(p)).into_iter().chain(view.platforms().iter().filter_map(of)).collect()
}

fn table(view: &View<'_>, victim: &Victim) -> Table {
    let headline = format!("#{}", victim.column);
    let details: Vec<String> = victim.beside.iter().map(|d| format!("#{}", d.column)).collect();
    let mut columns = vec!["platform", "#beside", &headline, "#mean ± sd"];
    columns.extend(details.iter().map(String::as_str));
    columns.extend(["#against none beside", "#trials"]);
    let mut table = Table::new(view.id("table"), format!("{}'s {}", victim.name, victim.column), &columns).keys(2);
    let shown = of_one_victim(view);
    let scale = scale(&shown, victim.metric, victim.unit);
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Background) {
            let mut row = vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.background.to_string()),
                median_cell(case.summary(victim.metric), scale),
                mean_cell(case.summary(victim.metric), scale),
            ];
            row.extend(victim.beside.iter().map(|d| d.cell(case, &shown)));
            row.extend([ratio_cell(case.response(victim.metric)), trials_cell([case])]);
            table.rows.push(row);
        }
    }
    table.note = note(view, victim);
    table.without_empty_columns()
}

/// The cases with one victim: what many do together is on another scale.
fn of_one_victim(view: &View<'_>) -> Vec<CaseResult> {
    view.cases.iter().filter(|c| c.case.victims <= 1).cloned().collect()
}

fn note(view: &View<'_>, victim: &Victim) -> String {
    let rows = match victim.direction {
        Direction::Lower => format!("{} rows. ", thousands(view.run.file.configuration.rows().into())),
        _ => String::new(),
    };
    format!(
        "{rows}Medians with their 95 % interval (below six trials: the range). Against none beside: slowdown in paired \
         trials ({}), above 1 is worse, with its 95 % interval.",
        victim.reading()
    )
}

/// What the load generator saw beyond the headline; `None` without a load generator.
fn more(view: &View<'_>, victim: &Victim) -> Option<Table> {
    let details: Vec<String> = victim.more.iter().map(|d| format!("#{}", d.column)).collect();
    let mut columns = vec!["platform", "#beside"];
    columns.extend(details.iter().map(String::as_str));
    let mut table =
        Table::new(view.id("client"), format!("{}: what the load generator saw", victim.name), &columns).keys(2);
    let shown = of_one_victim(view);
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Background) {
            let mut row = vec![Cell::new(view.name(&platform)), Cell::new(case.case.background.to_string())];
            row.extend(victim.more.iter().map(|d| d.cell(case, &shown)));
            table.rows.push(row);
        }
    }
    table.note = "Medians with their 95 % interval (below six trials: the range).".into();
    let table = table.without_empty_columns();
    (table.columns.len() > 2).then_some(table)
}

/// The published ladders of the same victim, as far as ours goes.
fn beside(view: &View<'_>, published: &Published) -> Vec<Series> {
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
