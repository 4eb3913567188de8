//! Boot time: from the request to the guest program's first line, over the ladder.

use super::host::context;
use super::ladder::{Along, Drawing, rungs, trend};
use super::overview::{Subject, overview};
use super::statements::statements;
use super::text::{count, mean_cell, median_cell, quantity, ratio, ratio_cell, ratio_spread, trials_cell};
use super::victim::{is_server, name, scale};
use super::{Block, CaseResult, Cell, Column, Finding, Section, Table, View};
use crate::model::event::Event;
use crate::model::metric::{
    BOOT, BOOT_WHOLE, CREATE, KERNEL, MONITOR, MONITOR_KERNEL, MetricInfo, PROGRAM, READY, REMOVAL, RUN, START,
};
use crate::model::platform::{Accelerator, PlatformId};
use crate::model::record::{Outcome, TrialRecord};
use crate::model::units::{Scale, Unit};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};
use crate::report::published::Published;
use crate::stats::{Sample, Summary, summarize};

/// How the usual guest is booted.
const PROGRAM_INTRO: &str = "A program that prints one line and exits is started again and again, alone and with idle \
    background instances. Boot is the time from the request to its first line, total the time to its exit. Run is the \
    time from the first line to the exit, removal the time from the exit until nothing of the instance is left.";

/// How a server is booted; its name precedes this.
const SERVER_INTRO: &str = "is started, accepts requests and is stopped, again and again, alone and with idle background \
    servers of its kind. Boot is the time from the request to its first line, ready the time until it accepts requests. \
    Removal is the time from its end until nothing of the instance is left.";

/// How a boot is split.
const PARTS_INTRO: &str = "If the platform reports creation, boot is split into create and start. The boot of a virtual \
    machine is split into monitor (until the monitor runs), kernel (until the guest's first output) and program (until \
    the first line). Parts that the platform does not report separately are one: start is kernel and program, monitor + \
    kernel is both of these. All times are on the host's monotonic clock.";

/// The metrics of the parts of a boot.
const PARTS: [&MetricInfo; 7] = [&CREATE, &MONITOR, &KERNEL, &MONITOR_KERNEL, &PROGRAM, &START, &RUN];

/// The section of a boot run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let ladders =
        [("ladder", "Boot time", &BOOT), ("whole", "Total time", &BOOT_WHOLE), ("ready", "Time to ready", &READY)];
    let [boot, whole, ready] = ladders.map(|(part, what, metric)| ladder(view, part, what, metric));
    let figures = boot.into_iter().chain(phases(view)).chain(whole).chain(ready);
    let mut blocks = vec![Block::Table(table(view))];
    blocks.extend(figures.map(Block::Figure));
    blocks.extend(statements(view, published));
    blocks.extend(context(view));
    let intro = match is_server(&view.workload) {
        true => format!("{} {SERVER_INTRO} {PARTS_INTRO}", name(&view.workload)),
        false => format!("{PROGRAM_INTRO} {PARTS_INTRO}"),
    };
    let section = Section { id: view.id(""), title: view.title("Boot"), intro, blocks };
    (section, findings(view))
}

/// The figures of one metric over the ladder, as it is and relative to no background.
fn ladder(view: &View<'_>, part: &str, what: &str, metric: &'static MetricInfo) -> Vec<Figure> {
    let title = view.title(&format!("{what} over background instances"));
    let drawing = Drawing::new(part, &title, metric, Along::Background);
    drawing.absolute(view).into_iter().chain(drawing.relative(view, Vec::new())).collect()
}

fn findings(view: &View<'_>) -> Vec<Finding> {
    let subject = Subject { topic: "boot", start: &format!("Boot time of {}", name(&view.workload)), metric: &BOOT };
    let all = overview(view, &subject, |p| view.first(p));
    all.into_iter().chain(view.platforms().iter().filter_map(|platform| finding(view, platform))).collect()
}

fn finding(view: &View<'_>, platform: &PlatformId) -> Option<Finding> {
    let rungs = rungs(view, platform, Along::Background);
    let guest = name(&view.workload);
    let first = *rungs.first()?;
    let alone = match first.summary(&BOOT) {
        Some(summary) => format!("{platform} boots {guest} in {}", quantity(summary, BOOT.unit)),
        None => format!("{platform} has no successful boot of {guest} in {}", count(first.counts.trials(), "trial")),
    };
    let monitor = first.summary(&MONITOR);
    let monitor =
        monitor.map_or_else(String::new, |s| format!("; the monitor takes {} of it", quantity(s, MONITOR.unit)));
    let loaded = with_background(&rungs).unwrap_or_default();
    let trend = trend(view, &rungs, &BOOT).unwrap_or_default();
    Some(Finding {
        section: view.id(""),
        topic: view.title("boot"),
        text: format!("{alone}{monitor}{loaded}{trend}."),
        simulated: view.simulated(platform),
    })
}

/// `; with 200 background instances, 1.10 × as long (…)`: at the highest level that was measured.
fn with_background(rungs: &[&CaseResult]) -> Option<String> {
    let (case, response) = rungs.iter().rev().find_map(|c| Some((c, c.response(&BOOT)?)))?;
    let instances = count(case.case.background as usize, "background instance");
    Some(format!("; with {instances}, {} as long ({})", ratio(response), ratio_spread(response)))
}

fn table(view: &View<'_>) -> Table {
    let mut columns = vec![Column::text("platform"), Column::number("background")];
    columns.extend([Column::metric(&BOOT), Column::number("mean ± sd")]);
    columns.extend(PARTS.map(|metric| Column::metric(metric).minor()));
    columns.extend([&READY, &REMOVAL, &BOOT_WHOLE].map(Column::metric));
    columns.extend(["slowdown vs 0 background", "trials"].map(Column::number));
    let mut table = Table::new(view.id("table"), view.title("Boot time"), columns).keys(2);
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Background) {
            let cell = |metric| median_cell(case.summary(metric), scale(&view.cases, metric));
            let mut row = vec![Cell::new(view.name(&platform)), Cell::new(case.case.background.to_string())];
            row.extend([cell(&BOOT), mean_cell(case.summary(&BOOT), scale(&view.cases, &BOOT))]);
            row.extend(PARTS.map(cell));
            row.extend([&READY, &REMOVAL, &BOOT_WHOLE].map(cell));
            row.extend([ratio_cell(case.response(&BOOT)), trials_cell([case])]);
            table.rows.push(row);
        }
    }
    table.note =
        "Medians with their 95 % interval (below six trials: the range). Slowdown: ratio of paired trials with \
        its 95 % interval; above 1 is slower."
            .into();
    table.without_empty_columns()
}

/// The time between two events of a boot on one platform.
#[derive(Debug)]
struct Phase {
    part: Part,
    to: Event,
    duration: Summary,
}

/// A part of a boot in the figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    name: &'static str,
    /// It decides the color.
    slot: usize,
}

/// The parts of a boot as stacked bars. Means, since only means add up.
fn phases(view: &View<'_>) -> Option<Figure> {
    let platforms: Vec<(String, Vec<Phase>)> = view
        .platforms()
        .iter()
        .map(|p| (view.name(p), phases_of(view, p)))
        .filter(|(_, phases)| !phases.is_empty())
        .collect();
    if platforms.is_empty() {
        return None;
    }
    let mut shown: Vec<&Phase> = platforms.iter().flat_map(|(_, phases)| phases).collect();
    // No platform has two parts that end with the same event.
    shown.sort_by_key(|phase| (phase.to, phase.part.slot));
    shown.dedup_by_key(|phase| phase.part);
    let series = shown.iter().map(|phase| bars(phase.part, &platforms)).collect();
    let names: Vec<String> = platforms.iter().map(|(name, _)| name.clone()).collect();
    Some(Figure {
        id: view.id("phases"),
        title: view.title("Parts of a boot"),
        caption: format!(
            "Mean of {} with 0 background instances. Parts that a platform does not report separately are shown as one.",
            count(platforms.iter().flat_map(|(_, p)| p.iter().map(|p| p.duration.count)).max().unwrap_or(0), "trial"),
        ),
        alternative: alternative(&platforms),
        plot: Plot::Bars(BarChart {
            y: Axis { label: "time".into(), unit: Unit::Nanos, scale: AxisScale::Linear, start: Start::Zero },
            arrangement: Arrangement::Stacked,
            groups: names,
            series,
            references: Vec::new(),
        }),
    })
}

fn alternative(platforms: &[(String, Vec<Phase>)]) -> String {
    let phase = |p: &Phase| format!("{} {}", p.to, Scale::of(Unit::Nanos, p.duration.mean).text(p.duration.mean));
    let words = |(name, phases): &(String, Vec<Phase>)| {
        format!(" {name}: {}.", phases.iter().map(phase).collect::<Vec<_>>().join(", "))
    };
    format!("Mean time until each event.{}", platforms.iter().map(words).collect::<String>())
}

fn bars(part: Part, platforms: &[(String, Vec<Phase>)]) -> BarSeries {
    let bar = |(name, phases): &(String, Vec<Phase>)| match phases.iter().find(|phase| phase.part == part) {
        None => Bar::Missing,
        Some(Phase { duration: s, .. }) => {
            let scale = Scale::of(Unit::Nanos, s.mean);
            let sd = s.sd.map_or_else(String::new, |sd| format!(" ± {}", scale.number(sd)));
            let hover = format!("{name}, {}{sd} (mean of {})", scale.text(s.mean), s.count);
            Bar::Value { value: s.mean, spread: None, hover }
        }
    };
    let bars = platforms.iter().map(bar).collect();
    BarSeries { name: part.name.into(), origin: Origin::Measured, slot: part.slot, bars }
}

/// The part of a boot between two events. Parts that share a slot never occur in one figure.
fn part(from: Event, to: Event, accelerator: Accelerator) -> Part {
    let (name, slot) = match (from, to, accelerator) {
        (_, Event::Spawn, _) => ("request", 0),
        (_, Event::Created, _) => (CREATE.label, 0),
        (_, Event::Vmm, _) => (MONITOR.label, 5),
        (Event::Vmm, Event::Guest, _) => (KERNEL.label, 6),
        (_, Event::Guest, Accelerator::None) => ("until guest start", 5),
        (_, Event::Guest, _) => (MONITOR_KERNEL.label, 1),
        (Event::Spawn, Event::Main, _) => (BOOT.label, 4),
        (Event::Vmm, Event::Main, _) => (START.label, 8),
        (Event::Guest, Event::Main, _) => (PROGRAM.label, 7),
        (_, Event::Main, _) => (START.label, 1),
        (_, Event::Ready, _) => ("until ready", 2),
        (_, Event::Result, _) => ("until result", 6),
        (_, Event::Exit, _) => (RUN.label, 2),
        (_, Event::Gone, _) => (REMOVAL.label, 3),
    };
    Part { name, slot }
}

/// The phases of a platform without background instances.
fn phases_of(view: &View<'_>, platform: &PlatformId) -> Vec<Phase> {
    let is_alone =
        |t: &&TrialRecord| t.outcome == Outcome::Ok && t.case.platform == *platform && t.case.background == 0;
    let trials: Vec<&TrialRecord> = view.trials().filter(is_alone).collect();
    let phase = |pair: &[Event]| {
        let duration = |t: &&TrialRecord| t.events[&pair[1]].0 as f64 - t.events[&pair[0]].0 as f64;
        let sample = Sample::new(trials.iter().map(duration).collect()).ok()?;
        Some(Phase { part: part(pair[0], pair[1], view.accelerator), to: pair[1], duration: summarize(&sample) })
    };
    boundaries(view, &trials).windows(2).filter_map(phase).collect()
}

/// The events between the parts of a boot: those of every successful trial, and before the first line only those whose
/// order is always the same. A quick guest may start before its monitor answers, and a guest without a kernel starts
/// with its program.
fn boundaries(view: &View<'_>, trials: &[&TrialRecord]) -> Vec<Event> {
    // The harness ends a server, so its end is not part of its boot.
    let is_own = |e: &Event| !is_server(&view.workload) || *e <= Event::Ready;
    let is_common = |e: &Event| is_own(e) && trials.iter().all(|t| t.events.contains_key(e));
    let mut kept: Vec<Event> = Vec::new();
    for event in Event::ALL.iter().copied().filter(is_common) {
        let lies_between = |t: &&TrialRecord| {
            let at = |event: &Event| t.events.get(event);
            kept.last().is_none_or(|last| at(last) < at(&event)) && at(&event) < at(&Event::Main)
        };
        if event >= Event::Main || trials.iter().all(lies_between) {
            kept.push(event);
        }
    }
    kept
}
