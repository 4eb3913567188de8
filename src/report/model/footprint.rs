//! Image size and memory: what an idle instance costs, by every honest way to count it.

mod machine;
mod minimum;

use super::beside::{context, statements};
use super::ladder::{Along, Drawing, Share, rungs};
use super::overview::{Subject, overview};
use super::text::{column_scale, count, median_cell, quantity, trials_cell};
use super::victim::name;
use super::{Block, CaseResult, Cell, Finding, Heading, Section, Table, View};
use crate::model::platform::PlatformId;
use crate::model::units::{Direction, Scale, Unit};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};
use crate::report::published::Published;
use crate::stats::Summary;

const INTRO: &str = "Idle instances are started, and what they take is counted in several ways that do not add up: PSS \
    divides shared pages among those who share them, USS leaves them out, the charge is what the instance's cgroup is \
    billed for, slab is the kernel's own bookkeeping, and the host's available memory tells what is really gone.";

/// Metric and heading of each way to count.
const WAYS: [(&str, &str); 6] = [
    ("pss_per_instance", "PSS"),
    ("uss_per_instance", "USS"),
    ("charge_per_instance", "cgroup charge"),
    ("slab_per_instance", "kernel slab"),
    ("mem_available_per_instance", "host memory"),
    ("swap_per_instance", "host swap"),
];

/// The section of a footprint run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    if view.run.file.configuration.is_minimum() {
        return minimum::section(view);
    }
    let used = Drawing {
        part: "memory",
        title: &view.title("Memory used over instances"),
        metric: "mem_used",
        label: "memory no longer available",
        along: Along::Instances,
        share: Share::All,
        start: Start::Zero,
    };
    let start = Drawing {
        part: "start",
        title: &view.title("Start time for each instance"),
        metric: "start_per_instance",
        label: "time for each instance",
        ..used.clone()
    };
    let mut blocks = vec![Block::Table(table(view))];
    blocks.extend(machine::blocks(view));
    blocks
        .extend([used.absolute(view), components(view), start.absolute(view)].into_iter().flatten().map(Block::Figure));
    blocks.extend(statements(view, published));
    blocks.extend(context(view));
    let section = Section { id: view.id(""), title: view.title("Footprint"), intro: INTRO.into(), blocks };
    (section, findings(view))
}

fn findings(view: &View<'_>) -> Vec<Finding> {
    let of = |platform: &PlatformId| {
        let case = most(view, platform)?;
        let ways = [("pss_per_instance", "PSS"), ("mem_available_per_instance", "of the host's memory")];
        let word =
            |&(metric, name): &(&str, &str)| Some(format!("{} {name}", quantity(case.summary(metric)?, Unit::Bytes)));
        let words: Vec<String> = ways.iter().filter_map(word).collect();
        if words.is_empty() {
            return None;
        }
        let image = case.summary("image_size").map_or_else(String::new, |s| {
            format!("; its image is {}", Scale::of(Unit::Bytes, s.median).text(s.median))
        });
        let overhead = machine::overhead(case).unwrap_or_default();
        let instances = count(case.case.background as usize, "instance");
        let who = match view.heading {
            Heading::Experiment => format!("{platform} instance"),
            Heading::Workload => format!("{} instance on {platform}", name(&view.workload)),
        };
        let text = format!("An idle {who} takes {}, with {instances} running{overhead}{image}.", words.join(" and "));
        Some(Finding {
            section: view.id(""),
            topic: view.title("footprint"),
            text,
            simulated: view.simulated(platform),
        })
    };
    let subject = Subject {
        topic: "footprint",
        what: "Memory of an idle instance (PSS)",
        metric: WAYS[0].0,
        unit: Unit::Bytes,
        direction: Direction::Lower,
    };
    overview(view, &subject, |p| most(view, p)).into_iter().chain(view.platforms().iter().filter_map(of)).collect()
}

fn table(view: &View<'_>) -> Table {
    let mut columns = vec!["platform".to_owned(), "#instances".into()];
    // Swap is seldom used; where it is, the host's state below tells as well.
    let mark = |name: &str| if name == "host swap" { '~' } else { '#' };
    columns.extend(WAYS.iter().map(|(_, name)| format!("{}{name}", mark(name))));
    columns.extend(["#all, host memory", "#start", "~image", "#trials"].map(str::to_owned));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(view.id("table"), view.title("Memory for each instance"), &columns).keys(2);
    let scale = |metric, unit| column_scale(unit, view.cases.iter().filter_map(|c| c.summary(metric)));
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Instances) {
            let cell = |metric, unit| median_cell(case.summary(metric), scale(metric, unit));
            let mut row = vec![Cell::new(view.name(&platform)), Cell::new(case.case.background.to_string())];
            row.extend(WAYS.iter().map(|(metric, _)| cell(metric, Unit::Bytes)));
            row.extend([cell("mem_used", Unit::Bytes), cell("start_per_instance", Unit::Nanos)]);
            row.extend([cell("image_size", Unit::Bytes), trials_cell([case])]);
            table.rows.push(row);
        }
    }
    table.note = "Medians with their 95 % interval (below six trials: the range). Host memory and swap are the change \
        of MemAvailable and of used swap since no instance ran, divided by their number."
        .into();
    table.without_empty_columns()
}

/// The ways to count side by side, at each platform's largest number of instances.
fn components(view: &View<'_>) -> Option<Figure> {
    let used = |s: &Summary| s.max > 0.0;
    let measured = |(metric, _): &&(&str, &str)| view.cases.iter().any(|c| c.summary(metric).is_some_and(used));
    let ways: Vec<&(&str, &str)> = WAYS.iter().filter(measured).collect();
    let platforms: Vec<(PlatformId, &CaseResult)> =
        view.platforms().into_iter().filter_map(|p| Some((p.clone(), most(view, &p)?))).collect();
    if ways.is_empty() || platforms.is_empty() {
        return None;
    }
    let series = |(platform, case): &(PlatformId, &CaseResult)| BarSeries {
        name: format!("{}, {}", view.name(platform), count(case.case.background as usize, "instance")),
        origin: Origin::Measured,
        slot: view.slot(platform),
        bars: ways.iter().map(|(metric, _)| bar(case, metric)).collect(),
    };
    let series: Vec<BarSeries> = platforms.iter().map(series).collect();
    let title = view.title("Memory for each instance, by way of counting");
    Some(Figure {
        id: view.id("components"),
        caption:
            "Medians at the largest number of instances; error bars: 95 % interval, or the range below six trials. \
            The ways overlap and do not add up."
                .into(),
        alternative: format!("{title}. The same numbers are in the table above."),
        title,
        plot: Plot::Bars(BarChart {
            y: Axis {
                label: "for each instance".into(),
                unit: Unit::Bytes,
                scale: AxisScale::Linear,
                start: Start::Zero,
            },
            arrangement: Arrangement::Grouped,
            groups: ways.iter().map(|(_, name)| (*name).to_owned()).collect(),
            series,
            references: Vec::new(),
        }),
    })
}

/// A platform's case with the most instances that has a good trial.
fn most<'v>(view: &'v View<'_>, platform: &PlatformId) -> Option<&'v CaseResult> {
    let here = |c: &&CaseResult| c.case.platform == *platform && c.counts.ok > 0;
    view.cases.iter().filter(here).max_by_key(|c| c.case.background)
}

fn bar(case: &CaseResult, metric: &str) -> Bar {
    let Some(s) = case.summary(metric) else { return Bar::Missing };
    let spread = s.interval.map_or((s.min, s.max), |i| (i.low, i.high));
    Bar::Value { value: s.median, spread: (s.count > 1).then_some(spread), hover: quantity(s, Unit::Bytes) }
}
