//! Image size and memory of idle instances, by several ways to count memory.

mod machine;
mod minimum;

use super::host::context;
use super::ladder::{Along, Drawing, rungs};
use super::overview::{Subject, overview};
use super::statements::statements;
use super::text::{count, median_cell, quantity, trials_cell};
use super::victim::{name, scale};
use super::{Block, CaseResult, Cell, Column, Finding, Heading, Section, Table, View};
use crate::model::metric::{
    CHARGE_PER_INSTANCE, IMAGE_SIZE, MEM_AVAILABLE_PER_INSTANCE, MEM_USED, MetricInfo, PSS_PER_INSTANCE,
    SLAB_PER_INSTANCE, START_PER_INSTANCE, SWAP_PER_INSTANCE, USS_PER_INSTANCE,
};
use crate::model::platform::PlatformId;
use crate::model::units::{Scale, Unit};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};
use crate::report::published::Published;
use crate::stats::Summary;

const INTRO: &str = "Idle instances are started, and their memory is counted in several ways that do not add up. PSS \
    divides shared pages among the processes that share them; USS leaves them out. Cgroup memory is the charge of the \
    instance's control group, and kernel slab is the kernel's own bookkeeping. Host memory is the fall of the host's \
    available memory, which includes everything.";

/// The ways to count memory.
const WAYS: [&MetricInfo; 6] = [
    &PSS_PER_INSTANCE,
    &USS_PER_INSTANCE,
    &CHARGE_PER_INSTANCE,
    &SLAB_PER_INSTANCE,
    &MEM_AVAILABLE_PER_INSTANCE,
    &SWAP_PER_INSTANCE,
];

/// The section of a footprint run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    if view.run.file.configuration.is_minimum() {
        return minimum::section(view);
    }
    let ladder =
        |part, title: &str, metric| Drawing::new(part, &view.title(title), metric, Along::Instances).absolute(view);
    let memory = ladder("memory", "Memory used over instances", &MEM_USED);
    let start = ladder("start", "Start time per instance", &START_PER_INSTANCE);
    let mut blocks = vec![Block::Table(table(view))];
    blocks.extend(machine::blocks(view));
    blocks.extend([memory, components(view), start].into_iter().flatten().map(Block::Figure));
    blocks.extend(statements(view, published));
    blocks.extend(context(view));
    let section = Section { id: view.id(""), title: view.title("Footprint"), intro: INTRO.into(), blocks };
    (section, findings(view))
}

fn findings(view: &View<'_>) -> Vec<Finding> {
    let subject = Subject { topic: "footprint", start: "Memory of an idle instance (PSS)", metric: &PSS_PER_INSTANCE };
    let all = overview(view, &subject, |p| most(view, p));
    all.into_iter().chain(view.platforms().iter().filter_map(|platform| finding(view, platform))).collect()
}

fn finding(view: &View<'_>, platform: &PlatformId) -> Option<Finding> {
    let case = most(view, platform)?;
    let memory =
        |metric: &MetricInfo| Some(format!("{} of {}", quantity(case.summary(metric)?, metric.unit), metric.label));
    let memory: Vec<String> = [&PSS_PER_INSTANCE, &MEM_AVAILABLE_PER_INSTANCE].into_iter().filter_map(memory).collect();
    if memory.is_empty() {
        return None;
    }
    let image = case.summary(&IMAGE_SIZE).map_or_else(String::new, |s| {
        format!("; its image is {}", Scale::of(IMAGE_SIZE.unit, s.median).text(s.median))
    });
    let overhead = machine::overhead(case).unwrap_or_default();
    let instances = count(case.case.background as usize, "instance");
    let instance = match view.heading {
        Heading::Experiment => format!("{platform} instance"),
        Heading::Workload => format!("{} instance on {platform}", name(&view.workload)),
    };
    Some(Finding {
        section: view.id(""),
        topic: view.title("footprint"),
        text: format!("An idle {instance} uses {}, with {instances} running{overhead}{image}.", memory.join(" and ")),
        simulated: view.simulated(platform),
    })
}

fn table(view: &View<'_>) -> Table {
    // Swap is seldom used; if it is, the figures of the host's state show it, too.
    let way = |metric: &MetricInfo| match Column::metric(metric) {
        column if metric.name == SWAP_PER_INSTANCE.name => column.minor(),
        column => column,
    };
    let mut columns = vec![Column::text("platform"), Column::number("instances")];
    columns.extend(WAYS.map(way));
    columns.extend([&MEM_USED, &START_PER_INSTANCE].map(Column::metric));
    columns.extend([Column::metric(&IMAGE_SIZE).minor(), Column::number("trials")]);
    let mut table = Table::new(view.id("table"), view.title("Memory per instance"), columns).keys(2);
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Instances) {
            let cell = |metric| median_cell(case.summary(metric), scale(&view.cases, metric));
            let mut row = vec![Cell::new(view.name(&platform)), Cell::new(case.case.background.to_string())];
            row.extend(WAYS.map(cell));
            row.extend([&MEM_USED, &START_PER_INSTANCE, &IMAGE_SIZE].map(cell));
            row.push(trials_cell([case]));
            table.rows.push(row);
        }
    }
    table.note =
        "Medians with their 95 % interval (below six trials: the range). Host memory and host swap: change of \
        MemAvailable and of used swap since no instance ran, divided by the number of instances; total: not divided."
            .into();
    table.without_empty_columns()
}

/// The ways to count next to each other, at each platform's largest number of instances.
fn components(view: &View<'_>) -> Option<Figure> {
    let is_used = |s: &Summary| s.max > 0.0;
    let is_measured = |metric: &&MetricInfo| view.cases.iter().any(|c| c.summary(metric).is_some_and(is_used));
    let ways: Vec<&MetricInfo> = WAYS.into_iter().filter(is_measured).collect();
    let platforms: Vec<(PlatformId, &CaseResult)> =
        view.platforms().into_iter().filter_map(|p| Some((p.clone(), most(view, &p)?))).collect();
    if ways.is_empty() || platforms.is_empty() {
        return None;
    }
    let series = |(platform, case): &(PlatformId, &CaseResult)| BarSeries {
        name: format!("{}, {}", view.name(platform), count(case.case.background as usize, "instance")),
        origin: Origin::Measured,
        slot: view.slot(platform),
        bars: ways.iter().map(|metric| bar(case, metric)).collect(),
    };
    let series: Vec<BarSeries> = platforms.iter().map(series).collect();
    let title = view.title("Memory per instance by counting method");
    Some(Figure {
        id: view.id("components"),
        caption:
            "Medians at the largest number of instances; error bars: 95 % interval, or the range below six trials. \
            The methods overlap and do not add up."
                .into(),
        alternative: format!("{title}. The same numbers are in the table above."),
        title,
        plot: Plot::Bars(BarChart {
            y: Axis { label: "per instance".into(), unit: Unit::Bytes, scale: AxisScale::Linear, start: Start::Zero },
            arrangement: Arrangement::Grouped,
            groups: ways.iter().map(|metric| metric.label.to_owned()).collect(),
            series,
            references: Vec::new(),
        }),
    })
}

/// A platform's case with the most instances among those with a successful trial.
fn most<'v>(view: &'v View<'_>, platform: &PlatformId) -> Option<&'v CaseResult> {
    let has_trials = |c: &&CaseResult| c.case.platform == *platform && c.counts.ok > 0;
    view.cases.iter().filter(has_trials).max_by_key(|c| c.case.background)
}

fn bar(case: &CaseResult, metric: &MetricInfo) -> Bar {
    let Some(s) = case.summary(metric) else { return Bar::Missing };
    let spread = s.interval.map_or((s.min, s.max), |i| (i.low, i.high));
    Bar::Value { value: s.median, spread: (s.count > 1).then_some(spread), hover: quantity(s, metric.unit) }
}
