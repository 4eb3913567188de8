//! A victim beside an attacker: how much slower than alone, paired block by block.

use super::beside::statements;
use super::text::{column_scale, median_cell, percent, ratio, ratio_cell, ratio_spread, thousands, times, trials_cell};
use super::{Block, CaseResult, Cell, Finding, Section, Table, Tone, View};
use crate::attacker::Attacker;
use crate::placement::Placement;
use crate::platform::PlatformId;
use crate::report::figures::{
    Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Reference, Start,
};
use crate::report::published::{Published, PublishedSlowdown};
use crate::stats::Response;
use crate::store::Role;
use crate::units::{Scale, Unit};

const INTRO: &str = "The SQLite victim runs beside an attacker. Every block also has it alone (the reference) and beside \
    an idle neighbour in the attacker's place (the placebo), in shuffled order; slowdown is the ratio of the two times \
    within a block, above 1 is slower. DNR: the victim did not respond.";

const METRIC: &str = "insert_time";
/// Above this slowdown a linear axis would flatten all others.
const LONG: f64 = 5.0;

/// The section of an isolation run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let mut blocks = vec![Block::Table(slowdowns(view, published))];
    blocks.extend(placements(view).into_iter().filter_map(|p| figure(view, p, published)).map(Block::Figure));
    blocks.push(Block::Table(times_table(view)));
    blocks.extend(statements(view, published));
    let section = Section { id: view.id(""), title: view.title("Isolation"), intro: INTRO.into(), blocks };
    (section, findings(view))
}

/// What stands in the attacker's place: nothing but an idle neighbour, or an attacker.
type Neighbour = Option<Attacker>;

fn find<'v>(view: &'v View<'_>, platform: &PlatformId, placement: Placement, who: Neighbour) -> Option<&'v CaseResult> {
    let role = if who.is_some() { Role::Measured } else { Role::Placebo };
    view.cases.iter().find(|c| {
        c.role == role && c.case.platform == *platform && c.case.placement == placement && c.case.attacker == who
    })
}

fn placements(view: &View<'_>) -> Vec<Placement> {
    let here = |p: &Placement| view.cases.iter().any(|c| c.role != Role::Reference && c.case.placement == *p);
    Placement::ALL.iter().copied().filter(here).collect()
}

/// The placebo, if there is one, and the attackers, in the order of the catalogue.
fn neighbours(view: &View<'_>) -> Vec<Neighbour> {
    let placebo = view.cases.iter().any(|c| c.role == Role::Placebo).then_some(None);
    let here = |a: &Attacker| view.cases.iter().any(|c| c.case.attacker == Some(*a));
    placebo.into_iter().chain(Attacker::ALL.iter().copied().filter(here).map(Some)).collect()
}

fn neighbour_name(who: Neighbour) -> String {
    who.map_or_else(|| "placebo".into(), |a| a.to_string())
}

/// The worst attack of each placement, with the placebo beside it.
fn findings(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for platform in view.platforms() {
        for placement in placements(view) {
            let attacks =
                neighbours(view).into_iter().flatten().filter_map(|a| find(view, &platform, placement, Some(a)));
            let answered = attacks.filter_map(|case| Some((case, case.response(METRIC)?)));
            let Some((case, response)) = answered.max_by(|a, b| worse(a.1).total_cmp(&worse(b.1))) else { continue };
            let placebo = find(view, &platform, placement, None)
                .and_then(|c| c.response(METRIC))
                .map_or_else(String::new, |r| format!("; placebo {}, {}", ratio(r), ratio_spread(r)));
            let attacker = neighbour_name(case.case.attacker);
            let place = place(placement);
            let effect = match response {
                Response::Slowdown(_) => format!("makes {} take {} as long", case.case.workload, ratio(response)),
                Response::DidNotRespond { .. } => format!("stops {}", case.case.workload),
            };
            let text = format!(
                "The worst attack {place}: {attacker} {effect} on {} ({}{placebo}).",
                platform,
                ratio_spread(response),
            );
            let simulated = view.simulated(&platform);
            findings.push(Finding { section: view.id(""), topic: view.title("isolation"), text, simulated });
        }
    }
    findings
}

fn worse(response: &Response) -> f64 {
    match response {
        Response::Slowdown(s) => s.ratio,
        Response::DidNotRespond { .. } => f64::INFINITY,
    }
}

fn place(placement: Placement) -> &'static str {
    match placement {
        Placement::Unpinned => "without pinning",
        Placement::Alone => "elsewhere",
        Placement::SameThread => "on the same hardware thread",
        Placement::SameCore => "on the sibling thread of the core",
        Placement::SameSocket => "on another core of the socket",
        Placement::OtherSocket => "on another socket",
        Placement::Fill => "filling the rest of the socket",
    }
}

/// Ours beside the published: the slowdown per attacker and placement.
fn slowdowns(view: &View<'_>, published: &Published) -> Table {
    let platforms = view.platforms();
    let theirs = published_platforms(published);
    let mut columns = vec!["attacker".to_owned(), "placement".into()];
    columns.extend(platforms.iter().map(|p| format!("#{}", view.name(p))));
    columns.extend(theirs.iter().map(|p| format!("#{p}, published")));
    columns.push("#trials".into());
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(view.id("slowdowns"), "Slowdown of the SQLite victim", &columns);
    for placement in placements(view) {
        for who in neighbours(view) {
            let cases: Vec<Option<&CaseResult>> = platforms.iter().map(|p| find(view, p, placement, who)).collect();
            if cases.iter().all(Option::is_none) {
                continue;
            }
            let mut row = vec![Cell::new(neighbour_name(who)), Cell::new(placement.name())];
            row.extend(cases.iter().map(|c| slowdown_cell(*c)));
            row.extend(theirs.iter().map(|p| published_cell(lookup(published, p, who, placement))));
            let sum = |of: fn(&CaseResult) -> usize| cases.iter().flatten().map(|c| of(c)).sum();
            row.push(trials_cell(sum(|c| c.ok), sum(|c| c.failed), sum(|c| c.skipped)));
            table.rows.push(row);
        }
    }
    table.note = format!(
        "Ours: Hodges-Lehmann estimate of the ratio over blocks with its 95 % interval; six blocks are the fewest that \
         have one. Trials: of all platforms in the row. Published: {}, table 5.1; mean ratio, no interval given.",
        published.source.cite()
    );
    table.without_empty_columns()
}

fn slowdown_cell(case: Option<&CaseResult>) -> Cell {
    let Some(case) = case else { return Cell::missing() };
    match case.response(METRIC) {
        Some(Response::Slowdown(s)) => {
            let cell = ratio_cell(case.response(METRIC));
            Cell { text: format!("{} ({})", cell.text, percent(s.percent())), ..cell }
        }
        other => ratio_cell(other),
    }
}

fn published_platforms(published: &Published) -> Vec<String> {
    let mut names: Vec<String> = published.slowdowns.iter().map(|s| s.platform.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn lookup<'p>(
    published: &'p Published,
    platform: &str,
    who: Neighbour,
    place: Placement,
) -> Option<&'p PublishedSlowdown> {
    published.slowdowns.iter().find(|s| s.platform == platform && Some(s.attacker) == who && s.placement == place)
}

fn published_cell(theirs: Option<&PublishedSlowdown>) -> Cell {
    let Some(s) = theirs else { return Cell::missing() };
    Cell::new(format!("{} ({})", times(1.0 + s.percent / 100.0), percent(s.percent))).tone(Tone::Published)
}

/// One placement's slowdowns, a group an attacker.
fn figure(view: &View<'_>, placement: Placement, published: &Published) -> Option<Figure> {
    let who = neighbours(view);
    let ours = |platform: &PlatformId| BarSeries {
        name: view.name(platform),
        origin: Origin::Measured,
        bars: who.iter().map(|w| bar(find(view, platform, placement, *w))).collect(),
    };
    let theirs = |platform: &String| BarSeries {
        name: format!("{platform}, published"),
        origin: Origin::Published,
        bars: who.iter().map(|w| published_bar(lookup(published, platform, *w, placement))).collect(),
    };
    let has_values = |s: &BarSeries| s.bars.iter().any(|b| !matches!(b, Bar::Missing));
    let mut series: Vec<BarSeries> = view.platforms().iter().map(ours).filter(has_values).collect();
    if series.is_empty() {
        return None;
    }
    series.extend(published_platforms(published).iter().map(theirs).filter(has_values));
    let long = series.iter().flat_map(|s| &s.bars).any(|b| matches!(b, Bar::Value { value, .. } if *value > LONG));
    let (scale, start) = if long { (AxisScale::Log, Start::Fit) } else { (AxisScale::Linear, Start::Zero) };
    let title = format!("Attackers {}", place(placement));
    Some(Figure {
        id: view.id(placement.name()),
        caption:
            "Slowdown of the SQLite victim against alone, paired by block; error bars: 95 % interval. The line at 1 \
            is no slowdown; the placebo is an idle neighbour."
                .into(),
        alternative: alternative(&title, &who, &series),
        title,
        plot: Plot::Bars(BarChart {
            y: Axis { label: "slowdown, 1 = alone".into(), unit: Unit::Ratio, scale, start },
            arrangement: Arrangement::Grouped,
            groups: who.iter().map(|w| neighbour_name(*w)).collect(),
            series,
            references: vec![Reference { value: 1.0, label: String::new() }],
        }),
    })
}

fn bar(case: Option<&CaseResult>) -> Bar {
    match case.and_then(|c| c.response(METRIC)) {
        None => Bar::Missing,
        Some(r @ Response::DidNotRespond { .. }) => Bar::Word("DNR".into(), ratio_spread(r)),
        Some(r @ Response::Slowdown(s)) => Bar::Value {
            value: s.ratio,
            spread: s.interval.map(|i| (i.low, i.high)),
            hover: format!("{} ({})", ratio(r), ratio_spread(r)),
        },
    }
}

fn published_bar(theirs: Option<&PublishedSlowdown>) -> Bar {
    let Some(s) = theirs else { return Bar::Missing };
    let value = 1.0 + s.percent / 100.0;
    Bar::Value { value, spread: None, hover: format!("{} (published, no interval)", times(value)) }
}

fn alternative(title: &str, who: &[Neighbour], series: &[BarSeries]) -> String {
    let word = |(w, bar): (&Neighbour, &Bar)| match bar {
        Bar::Value { value, .. } => Some(format!("{} {}", neighbour_name(*w), times(*value))),
        Bar::Word(word, _) => Some(format!("{} {word}", neighbour_name(*w))),
        Bar::Missing => None,
    };
    let of = |s: &BarSeries| {
        let words: Vec<String> = who.iter().zip(&s.bars).filter_map(word).collect();
        format!(" {}: {}.", s.name, words.join(", "))
    };
    format!("{title}.{}", series.iter().map(of).collect::<String>())
}

/// The times themselves, and how much the attackers did.
fn times_table(view: &View<'_>) -> Table {
    let columns = [
        "platform",
        "placement",
        "beside",
        "#insert time",
        "#by the guest's clock",
        "#attackers' operations",
        "#trials",
    ];
    let mut table = Table::new(view.id("times"), "The victim's times, and what the attackers did", &columns);
    let scale = column_scale(Unit::Nanos, view.cases.iter().filter_map(|c| c.summary(METRIC)));
    for platform in view.platforms() {
        let mut cases: Vec<&CaseResult> = view.cases.iter().filter(|c| c.case.platform == platform).collect();
        cases.sort_by_key(|c| (c.case.placement, c.case.attacker, c.role));
        for case in cases {
            let beside = match (case.role, case.case.attacker) {
                (Role::Reference, _) => "nobody".into(),
                (_, who) => neighbour_name(who),
            };
            let ops = operations(case);
            table.rows.push(vec![
                Cell::new(view.name(&platform)),
                Cell::new(case.case.placement.name()),
                Cell::new(beside),
                median_cell(case.summary(METRIC), scale),
                median_cell(case.summary("insert_time_guest"), scale),
                ops,
                trials_cell(case.ok, case.failed, case.skipped),
            ]);
        }
    }
    table.note = format!(
        "{} rows. Medians with their 95 % interval (below six trials: the range). An attacker without operations did not \
         attack, and its trial is failed.",
        thousands(view.run.file.configuration.rows.into())
    );
    table.without_empty_columns()
}

/// How many operations the attackers did: the median, with its interval or range.
fn operations(case: &CaseResult) -> Cell {
    let Some(s) = &case.attack_ops else { return Cell::missing() };
    let scale = Scale::of(Unit::PerSecond, s.median);
    let cell = median_cell(Some(s), scale);
    // A count on the scale of rates: thousands and millions without the "per second".
    Cell {
        text: format!("{} {}", scale.number(s.median), scale.symbol.trim_end_matches("/s")).trim_end().into(),
        ..cell
    }
}
