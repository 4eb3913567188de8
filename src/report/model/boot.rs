//! Boot time: from the request to the guest program's own first line, over the ladder.

use super::beside::{context, statements};
use super::ladder::{Along, Drawing, rungs, trend};
use super::text::{
    column_scale, count, mean_cell, median_cell, quantity, ratio, ratio_cell, ratio_spread, trials_cell,
};
use super::{Block, Cell, Finding, Section, Table, View};
use crate::platform::{Event, PlatformId};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};
use crate::report::published::Published;
use crate::stats::{Sample, Summary, summarize};
use crate::store::{Outcome, TrialRecord};
use crate::units::{Scale, Unit};

const INTRO: &str = "A program that prints one line and exits is started again and again, alone and beside idle \
    instances. Boot is the time from the request to its first line; whole is the time to its exit; removal is the time \
    from there until nothing of it is left. All on the host's monotonic clock.";

/// The section of a boot run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let drawing = |part, title, metric, label| Drawing {
        part,
        title,
        metric,
        label,
        along: Along::Background,
        start: Start::Zero,
    };
    let boot = drawing("ladder", "Boot time over background instances", "boot", "request to first line");
    let whole = drawing("whole", "Request to exit over background instances", "boot_whole", "request to exit");
    let figures = [
        boot.absolute(view),
        boot.relative(view, Vec::new()),
        phases(view),
        whole.absolute(view),
        whole.relative(view, Vec::new()),
    ];
    let mut blocks = vec![Block::Table(table(view))];
    blocks.extend(figures.into_iter().flatten().map(Block::Figure));
    blocks.extend(statements(view, published));
    blocks.extend(context(view));
    let section = Section { id: view.id(""), title: view.title("Boot"), intro: INTRO.into(), blocks };
    (section, findings(view))
}

fn findings(view: &View<'_>) -> Vec<Finding> {
    let of = |platform: &PlatformId| {
        let rungs = rungs(view, platform, Along::Background);
        let first = *rungs.first()?;
        let alone = first
            .summary("boot")
            .map_or_else(|| format!("no good trial in {}", first.failed + first.skipped), |s| quantity(s, Unit::Nanos));
        let most = rungs.iter().rev().find(|c| c.response("boot").is_some());
        let beside = most.map_or_else(String::new, |c| {
            let Some(response) = c.response("boot") else { return String::new() };
            let n = count(c.case.background as usize, "idle instance");
            format!("; with {n} beside it {} as long ({})", ratio(response), ratio_spread(response))
        });
        let trend = trend(view, &rungs, "boot").unwrap_or_default();
        let text = format!("{} boots {} in {alone}{beside}{trend}.", platform, first.case.workload);
        let simulated = view.simulated(platform);
        Some(Finding { section: view.id(""), topic: view.title("boot"), text, simulated })
    };
    view.platforms().iter().filter_map(of).collect()
}

fn table(view: &View<'_>) -> Table {
    let columns =
        ["platform", "#beside", "#boot", "#mean ± sd", "#whole", "#removal", "#against none beside", "#trials"];
    let mut table = Table::new(view.id("table"), "Boot time", &columns);
    let scale = |metric| column_scale(Unit::Nanos, view.cases.iter().filter_map(|c| c.summary(metric)));
    let (boot, whole, removal) = (scale("boot"), scale("boot_whole"), scale("removal"));
    for platform in view.platforms() {
        for case in rungs(view, &platform, Along::Background) {
            table.rows.push(vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.background.to_string()),
                median_cell(case.summary("boot"), boot),
                mean_cell(case.summary("boot"), boot),
                median_cell(case.summary("boot_whole"), whole),
                median_cell(case.summary("removal"), removal),
                ratio_cell(case.response("boot")),
                trials_cell(case.ok, case.failed, case.skipped),
            ]);
        }
    }
    table.note =
        "Medians with their 95 % interval (below six trials: the range). Against none beside: ratio of paired \
        trials, above 1 is slower, with its 95 % interval."
            .into();
    table.without_empty_columns()
}

/// The parts of a boot, one upon the other. Means, since only means add up.
fn phases(view: &View<'_>) -> Option<Figure> {
    let platforms: Vec<(String, Vec<(Event, Summary)>)> = view
        .platforms()
        .iter()
        .map(|p| (view.name(p), phases_of(view, p)))
        .filter(|(_, phases)| !phases.is_empty())
        .collect();
    if platforms.is_empty() {
        return None;
    }
    let shown = |event: &&Event| platforms.iter().any(|(_, phases)| phases.iter().any(|(e, _)| e == *event));
    let series: Vec<BarSeries> = Event::ALL.iter().filter(shown).map(|&event| bars(event, &platforms)).collect();
    let names: Vec<String> = platforms.iter().map(|(name, _)| name.clone()).collect();
    Some(Figure {
        id: view.id("phases"),
        title: "The phases of a boot".into(),
        caption: format!(
            "Mean of {} with nothing beside. A phase lasts until the named event; a platform without an event has its \
             time in the next phase.",
            count(platforms.iter().flat_map(|(_, p)| p.iter().map(|(_, s)| s.count)).max().unwrap_or(0), "trial"),
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

fn alternative(platforms: &[(String, Vec<(Event, Summary)>)]) -> String {
    let phase = |(event, s): &(Event, Summary)| format!("{event} {}", Scale::of(Unit::Nanos, s.mean).text(s.mean));
    let of = |(name, phases): &(String, Vec<(Event, Summary)>)| {
        format!(" {name}: {}.", phases.iter().map(phase).collect::<Vec<_>>().join(", "))
    };
    format!("Mean time until each event.{}", platforms.iter().map(of).collect::<String>())
}

fn bars(event: Event, platforms: &[(String, Vec<(Event, Summary)>)]) -> BarSeries {
    let bar = |(name, phases): &(String, Vec<(Event, Summary)>)| match phases.iter().find(|(e, _)| *e == event) {
        None => Bar::Missing,
        Some((_, s)) => {
            let scale = Scale::of(Unit::Nanos, s.mean);
            let sd = s.sd.map_or_else(String::new, |sd| format!(" ± {}", scale.number(sd)));
            let hover = format!("{name}, {}{sd} (mean of {})", scale.text(s.mean), s.count);
            Bar::Value { value: s.mean, spread: None, hover }
        }
    };
    let bars = platforms.iter().map(bar).collect();
    BarSeries { name: format!("to {event}"), origin: Origin::Measured, bars }
}

/// How long each phase lasts on a platform with nothing beside: only events that every good trial has.
fn phases_of(view: &View<'_>, platform: &PlatformId) -> Vec<(Event, Summary)> {
    let wanted = |t: &&TrialRecord| {
        t.outcome == Outcome::Ok
            && t.case.platform == *platform
            && t.case.accelerator == view.accelerator
            && t.case.background == 0
    };
    let trials: Vec<&TrialRecord> = view.run.trials.iter().filter(wanted).collect();
    let everywhere = |e: &Event| trials.iter().all(|t| t.events.contains_key(e));
    let events: Vec<Event> = Event::ALL.iter().copied().filter(everywhere).collect();
    let phase = |pair: &[Event]| {
        let lasts = |t: &&TrialRecord| t.events[&pair[1]].0 as f64 - t.events[&pair[0]].0 as f64;
        let sample = Sample::new(trials.iter().map(lasts).collect()).ok()?;
        Some((pair[1], summarize(&sample)))
    };
    events.windows(2).filter_map(phase).collect()
}
