//! A victim's time over the number of idle instances, and of victims at once.

use super::beside::{context, statements};
use super::ladder::{Along, Drawing, rungs, trend};
use super::text::{
    column_scale, count, mean_cell, median_cell, quantity, ratio, ratio_cell, ratio_spread, thousands, times,
    trials_cell,
};
use super::{Block, Cell, Finding, Section, Table, View, parallel};
use crate::platform::PlatformId;
use crate::report::figures::{Origin, Point, Series, Start};
use crate::report::published::{Published, PublishedLadder};
use crate::units::Unit;

const INTRO: &str = "SQLite inserts rows one by one on an in-memory file system, alone, beside idle instances, and in \
    several instances at once. The time runs from the guest's ready line to its result, on the host's clock; the guest's \
    own clock is a cross-check.";

/// The section of a scalability run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let insert = Drawing {
        part: "ladder",
        title: "SQLite over background instances",
        metric: "insert_time",
        label: "time of all inserts",
        along: Along::Background,
        start: Start::Zero,
    };
    let mut blocks = vec![Block::Table(table(view))];
    let relative = insert.relative(view, beside(view, published));
    blocks.extend([insert.absolute(view), relative].into_iter().flatten().map(Block::Figure));
    blocks.extend(parallel::blocks(view));
    blocks.extend(statements(view, published));
    blocks.extend(context(view));
    let section = Section { id: view.id(""), title: view.title("Scalability"), intro: INTRO.into(), blocks };
    let findings = findings(view).into_iter().chain(parallel::findings(view)).collect();
    (section, findings)
}

fn findings(view: &View<'_>) -> Vec<Finding> {
    let of = |platform: &PlatformId| {
        let rungs = rungs(view, platform, Along::Background);
        let first = *rungs.first()?;
        let alone = first
            .summary("insert_time")
            .map_or_else(|| format!("no good trial in {}", first.failed + first.skipped), |s| quantity(s, Unit::Nanos));
        let most = rungs.iter().rev().find(|c| c.response("insert_time").is_some());
        let beside = most.map_or_else(String::new, |c| {
            let Some(response) = c.response("insert_time") else { return String::new() };
            let n = count(c.case.background as usize, "idle instance");
            format!("; with {n} beside it {} as long ({})", ratio(response), ratio_spread(response))
        });
        let trend = trend(view, &rungs, "insert_time").unwrap_or_default();
        let text = format!("{} on {} takes {alone}{beside}{trend}.", first.case.workload, platform);
        Some(Finding {
            section: view.id(""),
            topic: view.title("scalability"),
            text,
            simulated: view.simulated(platform),
        })
    };
    view.platforms().iter().filter_map(of).collect()
}

fn table(view: &View<'_>) -> Table {
    let columns = [
        "platform",
        "#beside",
        "#insert time",
        "#mean ± sd",
        "#by the guest's clock",
        "#against none beside",
        "#trials",
    ];
    let mut table = Table::new(view.id("table"), "SQLite's insert time", &columns);
    let all = view.cases.iter().filter_map(|c| c.summary("insert_time"));
    let scale = column_scale(Unit::Nanos, all);
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Background) {
            table.rows.push(vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.background.to_string()),
                median_cell(case.summary("insert_time"), scale),
                mean_cell(case.summary("insert_time"), scale),
                median_cell(case.summary("insert_time_guest"), scale),
                ratio_cell(case.response("insert_time")),
                trials_cell(case.ok, case.failed, case.skipped),
            ]);
        }
    }
    table.note = format!(
        "{} rows. Medians with their 95 % interval (below six trials: the range). Against none beside: ratio of paired \
         trials, above 1 is slower, with its 95 % interval.",
        thousands(view.run.file.configuration.rows.into())
    );
    table.without_empty_columns()
}

/// The published ladders, as far as ours goes.
fn beside(view: &View<'_>, published: &Published) -> Vec<Series> {
    let top = view.cases.iter().map(|c| c.case.background).max().unwrap_or(0);
    published.ladders.iter().filter_map(|ladder| series(ladder, top)).collect()
}

fn series(ladder: &PublishedLadder, top: u32) -> Option<Series> {
    let first = ladder.levels.first()?.mean_s;
    let point = |l: &crate::report::published::PublishedLevel| {
        let (y, sd) = (l.mean_s / first, l.sd_s / first);
        let hover = format!("at {}: {} ± {} (mean of {}, published)", l.background, times(y), times(sd), ladder.runs);
        Point { x: f64::from(l.background), y, spread: None, hover }
    };
    let points: Vec<Point> = ladder.levels.iter().filter(|l| l.background <= top).map(point).collect();
    let name = format!("{}, published", ladder.platform);
    (points.len() > 1).then_some(Series { name, origin: Origin::Published, points })
}
