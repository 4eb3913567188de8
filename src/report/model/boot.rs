//! Boot time: from the request to the guest program's own first line, over the ladder.

use super::beside::{context, statements};
use super::ladder::{Along, Drawing, Share, rungs, trend};
use super::overview::{Subject, overview};
use super::text::{count, mean_cell, median_cell, quantity, ratio, ratio_cell, ratio_spread, trials_cell};
use super::victim::{is_server, name, scale};
use super::{Block, Cell, Finding, Section, Table, View};
use crate::model::event::Event;
use crate::model::platform::{Accelerator, PlatformId};
use crate::model::record::{Outcome, TrialRecord};
use crate::model::units::{Direction, Scale, Unit};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};
use crate::report::published::Published;
use crate::stats::{Sample, Summary, summarize};

/// What the usual guest does; a server is started and stopped in its place.
const HELLO: &str = "A program that prints one line and exits";

/// How a server is booted.
const SERVER: &str = "is started again and again until it serves, and then ended, alone and beside idle servers of its \
    kind. Boot is the time from the request to its first line, serves the time until it takes requests; removal is the \
    time from its end until nothing of it is left. Where the platform tells when it had made the instance, boot falls \
    into create, until then, and start, from then on; of a virtual machine into monitor, kernel and program, or start where a \
    part is missing; monitor+kernel is both where the monitor says nothing. All on the host's monotonic clock.";

const INTRO: &str = "is started again and again, alone and beside idle instances. Boot is the time from the request to \
    its first line; whole is the time to its exit; removal is the time from there until nothing of it is left. Where the \
    platform tells when it had made the instance, boot falls into create, until then, and start, from then on; of a \
    virtual machine into monitor, until that is up, kernel, until the guest says its first word, and program, until its \
    first line, or start where a part is missing; monitor+kernel is both where the monitor says nothing. Run is from the first line to the exit. All on the host's monotonic clock.";

/// The section of a boot run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let drawing = |part, title, metric, label| Drawing {
        part,
        title,
        metric,
        label,
        along: Along::Background,
        share: Share::All,
        start: Start::Zero,
    };
    let titles = [
        "Boot time over background instances",
        "Request to exit over background instances",
        "Request to serving over background instances",
    ];
    let [boot_title, whole_title, ready_title] = titles.map(|title| view.title(title));
    let boot = drawing("ladder", &boot_title, "boot", "request to first line");
    let whole = drawing("whole", &whole_title, "boot_whole", "request to exit");
    let ready = drawing("ready", &ready_title, "ready", "request to serving");
    let figures = [
        boot.absolute(view),
        boot.relative(view, Vec::new()),
        phases(view),
        whole.absolute(view),
        whole.relative(view, Vec::new()),
        ready.absolute(view),
        ready.relative(view, Vec::new()),
    ];
    let mut blocks = vec![Block::Table(table(view))];
    blocks.extend(figures.into_iter().flatten().map(Block::Figure));
    blocks.extend(statements(view, published));
    blocks.extend(context(view));
    let intro = match is_server(&view.workload) {
        true => format!("{} {SERVER}", name(&view.workload)),
        false => format!("{HELLO} {INTRO}"),
    };
    let section = Section { id: view.id(""), title: view.title("Boot"), intro, blocks };
    (section, findings(view))
}

fn findings(view: &View<'_>) -> Vec<Finding> {
    let of = |platform: &PlatformId| {
        let rungs = rungs(view, platform, Along::Background);
        let first = *rungs.first()?;
        let alone = first
            .summary("boot")
            .map_or_else(|| format!("no good trial in {}", first.counts.trials()), |s| quantity(s, Unit::Nanos));
        let most = rungs.iter().rev().find_map(|c| Some((c, c.response("boot")?)));
        let beside = most.map_or_else(String::new, |(c, response)| {
            let n = count(c.case.background as usize, "idle instance");
            format!("; with {n} beside it {} as long ({})", ratio(response), ratio_spread(response))
        });
        let monitor =
            first.summary("monitor").map(|s| format!("; its monitor takes {} of it", quantity(s, Unit::Nanos)));
        let monitor = monitor.unwrap_or_default();
        let trend = trend(view, &rungs, "boot").unwrap_or_default();
        let text = format!("{platform} boots {} in {alone}{monitor}{beside}{trend}.", name(&view.workload));
        let simulated = view.simulated(platform);
        Some(Finding { section: view.id(""), topic: view.title("boot"), text, simulated })
    };
    let subject = Subject {
        topic: "boot",
        what: &format!("Boot time of {}", name(&view.workload)),
        metric: "boot",
        unit: Unit::Nanos,
        direction: Direction::Lower,
    };
    overview(view, &subject, |p| view.first(p)).into_iter().chain(view.platforms().iter().filter_map(of)).collect()
}

/// Columns of the parts of a boot, and their metrics.
const PARTS: [(&str, &str); 7] = [
    ("~create", "create"),
    ("~monitor", "monitor"),
    ("~kernel", "kernel"),
    ("~monitor+kernel", "monitor_kernel"),
    ("~program", "program"),
    ("~start", "start"),
    ("~run", "run"),
];

fn table(view: &View<'_>) -> Table {
    let mut columns = vec!["platform", "#beside", "#boot", "#mean ± sd"];
    columns.extend(PARTS.map(|(column, _)| column));
    columns.extend(["#serves", "#removal", "#whole", "#against none beside", "#trials"]);
    let mut table = Table::new(view.id("table"), view.title("Boot time"), &columns).keys(2);
    let boot = scale(&view.cases, "boot", Unit::Nanos);
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Background) {
            let cell = |metric| median_cell(case.summary(metric), scale(&view.cases, metric, Unit::Nanos));
            let mut row = vec![Cell::new(view.name(&platform)), Cell::new(case.case.background.to_string())];
            row.extend([cell("boot"), mean_cell(case.summary("boot"), boot)]);
            row.extend(PARTS.map(|(_, metric)| cell(metric)));
            row.extend([cell("ready"), cell("removal"), cell("boot_whole")]);
            row.extend([ratio_cell(case.response("boot")), trials_cell([case])]);
            table.rows.push(row);
        }
    }
    table.note =
        "Medians with their 95 % interval (below six trials: the range). Against none beside: ratio of paired \
        trials, above 1 is slower, with its 95 % interval."
            .into();
    table.without_empty_columns()
}

/// What lies between two events of a boot, on one platform.
#[derive(Debug)]
struct Phase {
    part: Part,
    to: Event,
    lasts: Summary,
}

/// A part of a boot, as it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    name: &'static str,
    /// Its colour.
    slot: usize,
}

/// The parts of a boot, one upon the other. Means, since only means add up.
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
    // Parts that end alike never meet on one platform.
    shown.sort_by_key(|phase| (phase.to, phase.part.slot));
    shown.dedup_by_key(|phase| phase.part);
    let series = shown.iter().map(|phase| bars(phase.part, &platforms)).collect();
    let names: Vec<String> = platforms.iter().map(|(name, _)| name.clone()).collect();
    Some(Figure {
        id: view.id("phases"),
        title: view.title("The parts of a boot"),
        caption: format!(
            "Mean of {} with nothing beside. What a platform does not tell apart is one part.",
            count(platforms.iter().flat_map(|(_, p)| p.iter().map(|p| p.lasts.count)).max().unwrap_or(0), "trial"),
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
    let phase = |p: &Phase| format!("{} {}", p.to, Scale::of(Unit::Nanos, p.lasts.mean).text(p.lasts.mean));
    let of = |(name, phases): &(String, Vec<Phase>)| {
        format!(" {name}: {}.", phases.iter().map(phase).collect::<Vec<_>>().join(", "))
    };
    format!("Mean time until each event.{}", platforms.iter().map(of).collect::<String>())
}

fn bars(part: Part, platforms: &[(String, Vec<Phase>)]) -> BarSeries {
    let bar = |(name, phases): &(String, Vec<Phase>)| match phases.iter().find(|phase| phase.part == part) {
        None => Bar::Missing,
        Some(Phase { lasts: s, .. }) => {
            let scale = Scale::of(Unit::Nanos, s.mean);
            let sd = s.sd.map_or_else(String::new, |sd| format!(" ± {}", scale.number(sd)));
            let hover = format!("{name}, {}{sd} (mean of {})", scale.text(s.mean), s.count);
            Bar::Value { value: s.mean, spread: None, hover }
        }
    };
    let bars = platforms.iter().map(bar).collect();
    BarSeries { name: part.name.into(), origin: Origin::Measured, slot: part.slot, bars }
}

/// The part of a boot between two events. Those that share a colour never meet in a figure.
fn part(from: Event, to: Event, accelerator: Accelerator) -> Part {
    let (name, slot) = match (from, to, accelerator) {
        (_, Event::Spawn, _) => ("request", 0),
        (_, Event::Created, _) => ("create", 0),
        (_, Event::Vmm, _) => ("monitor", 5),
        (Event::Vmm, Event::Guest, _) => ("guest kernel", 6),
        (_, Event::Guest, Accelerator::None) => ("to the guest's start", 5),
        (_, Event::Guest, _) => ("monitor and guest kernel", 1),
        (Event::Spawn, Event::Main, _) => ("all, to main", 4),
        (Event::Vmm, Event::Main, _) => ("guest, to main", 8),
        (Event::Guest, Event::Main, _) => ("program, to main", 7),
        (_, Event::Main, _) => ("start, to main", 1),
        (_, Event::Ready, _) => ("until it serves", 2),
        (_, Event::Result, _) => ("to the result", 6),
        (_, Event::Exit, _) => ("run, to exit", 2),
        (_, Event::Gone, _) => ("removal", 3),
    };
    Part { name, slot }
}

/// How long each phase lasts on a platform with nothing beside.
fn phases_of(view: &View<'_>, platform: &PlatformId) -> Vec<Phase> {
    let wanted = |t: &&TrialRecord| t.outcome == Outcome::Ok && t.case.platform == *platform && t.case.background == 0;
    let trials: Vec<&TrialRecord> = view.trials().filter(wanted).collect();
    let phase = |pair: &[Event]| {
        let lasts = |t: &&TrialRecord| t.events[&pair[1]].0 as f64 - t.events[&pair[0]].0 as f64;
        let sample = Sample::new(trials.iter().map(lasts).collect()).ok()?;
        Some(Phase { part: part(pair[0], pair[1], view.accelerator), to: pair[1], lasts: summarize(&sample) })
    };
    apart(view, &trials).windows(2).filter_map(phase).collect()
}

/// The events that part a boot: those that every good trial has, and before the first line only those that always come
/// one after the other. A quick guest may begin before its monitor answers, and one without a kernel of its own begins
/// with its program.
fn apart(view: &View<'_>, trials: &[&TrialRecord]) -> Vec<Event> {
    // A server's end is the harness's doing, and no part of its boot.
    let own = |e: &Event| !is_server(&view.workload) || *e <= Event::Ready;
    let everywhere = |e: &Event| own(e) && trials.iter().all(|t| t.events.contains_key(e));
    let mut kept: Vec<Event> = Vec::new();
    for event in Event::ALL.iter().copied().filter(everywhere) {
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
