//! A victim with an attacker: its slowdown compared with the same victim alone, paired by round.

mod figure;

use super::overview::FEW;
use super::statements::statements;
use super::text::{column_scale, median_cell, percent, ratio_cell, share, thousands, times, trials_cell};
use super::victim::{Victim, detail_cell, scale, victim};
use super::{Block, CaseResult, Cell, Column, Finding, Section, Table, Tone, View};
use crate::model::attacker::Attacker;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::record::Role;
use crate::model::units::Unit;
use crate::report::published::{Published, PublishedSlowdown};
use crate::stats::Response;

/// The section of a victim of an isolation run.
pub(super) fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let victim = victim(&view.workload);
    let mut blocks = vec![Block::Table(slowdowns(view, victim, published))];
    let placements = placements(view);
    blocks.extend(placements.iter().filter_map(|p| figure::figure(view, *p, published)).map(Block::Figure));
    blocks.push(Block::Table(numbers(view, victim)));
    blocks.extend(statements(view, published));
    let section = Section { id: view.id(""), title: view.title("Isolation"), intro: intro(victim), blocks };
    (section, findings(view, victim))
}

fn intro(victim: &Victim) -> String {
    format!(
        "{}, with an attacker. Every round also measures it alone (the reference) and with an idle neighbor in the \
         attacker's place (the placebo), in shuffled order. Slowdown is the ratio within a round ({}); above 1 is \
         worse. DNR: the victim did not respond. {}",
        victim.does,
        victim.reading(),
        victim.source,
    )
}

/// An attacker, or `None` for the idle neighbor of the placebo.
type Neighbor = Option<Attacker>;

fn find<'v>(view: &'v View<'_>, platform: &PlatformId, placement: Placement, who: Neighbor) -> Option<&'v CaseResult> {
    let role = if who.is_some() { Role::Measured } else { Role::Placebo };
    view.cases.iter().find(|c| {
        c.role == role && c.case.platform == *platform && c.case.placement == placement && c.case.attacker == who
    })
}

fn placements(view: &View<'_>) -> Vec<Placement> {
    let is_measured = |p: &Placement| view.cases.iter().any(|c| c.role != Role::Reference && c.case.placement == *p);
    Placement::ALL.iter().copied().filter(is_measured).collect()
}

/// The placebo, if it was measured, and the attackers in the order of [`Attacker::ALL`].
fn neighbors(view: &View<'_>) -> Vec<Neighbor> {
    let placebo = view.cases.iter().any(|c| c.role == Role::Placebo).then_some(None);
    let is_measured = |a: &Attacker| view.cases.iter().any(|c| c.case.attacker == Some(*a));
    placebo.into_iter().chain(Attacker::ALL.iter().copied().filter(is_measured).map(Some)).collect()
}

fn neighbor_name(who: Neighbor) -> String {
    who.map_or_else(|| "placebo".into(), |a| a.to_string())
}

/// The worst attacker of each placement: on every platform if they are few, else on the least and the most harmed one.
fn findings(view: &View<'_>, victim: &Victim) -> Vec<Finding> {
    let of_placement = |placement: Placement| {
        let worst: Vec<Worst> =
            view.platforms().into_iter().filter_map(|p| worst(view, victim, p, placement)).collect();
        match worst.len() > FEW {
            true => extremes(view, victim, placement, worst).into_iter().collect(),
            false => worst.iter().map(|w| on_platform(view, victim, placement, w)).collect::<Vec<_>>(),
        }
    };
    placements(view).into_iter().flat_map(of_placement).collect()
}

/// The attacker that harms a platform's victim most.
#[derive(Debug)]
struct Worst {
    platform: PlatformId,
    attacker: Neighbor,
    response: Response,
}

fn worst(view: &View<'_>, victim: &Victim, platform: PlatformId, placement: Placement) -> Option<Worst> {
    let attacks = neighbors(view).into_iter().flatten().filter_map(|a| find(view, &platform, placement, Some(a)));
    let compared = attacks.filter_map(|case| Some((case, *case.response(victim.metric)?)));
    let (case, response) = compared.max_by(|a, b| severity(&a.1).total_cmp(&severity(&b.1)))?;
    Some(Worst { attacker: case.case.attacker, response, platform })
}

fn on_platform(view: &View<'_>, victim: &Victim, placement: Placement, worst: &Worst) -> Finding {
    let placebo = find(view, &worst.platform, placement, None)
        .and_then(|c| c.response(victim.metric))
        .map_or_else(String::new, |r| format!("; placebo {}, {}", victim.short(r), victim.short_spread(r)));
    let text = format!(
        "The worst attacker {}: {} {} on {} ({}{placebo}).",
        place(placement),
        neighbor_name(worst.attacker),
        victim.harm(&worst.response),
        worst.platform,
        victim.short_spread(&worst.response),
    );
    finding(view, text, view.simulated(&worst.platform))
}

fn extremes(view: &View<'_>, victim: &Victim, placement: Placement, mut worst: Vec<Worst>) -> Option<Finding> {
    worst.sort_by(|a, b| severity(&a.response).total_cmp(&severity(&b.response)));
    let [least, .., most] = worst.as_slice() else { return None };
    let words = |w: &Worst| {
        let (attacker, harm) = (neighbor_name(w.attacker), victim.harm(&w.response));
        format!("{}, where {attacker} {harm} ({})", w.platform, victim.short_spread(&w.response))
    };
    let text = format!(
        "The worst attacker {}, on {} platforms: least harm on {}; most harm on {}.",
        place(placement),
        worst.len(),
        words(least),
        words(most),
    );
    Some(finding(view, text, worst.iter().any(|w| view.simulated(&w.platform))))
}

fn finding(view: &View<'_>, text: String, simulated: bool) -> Finding {
    Finding { section: view.id(""), topic: view.title("isolation"), text, simulated }
}

fn severity(response: &Response) -> f64 {
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

/// The slowdown per attacker and placement, measured and published.
fn slowdowns(view: &View<'_>, victim: &Victim, published: &Published) -> Table {
    let platforms = view.platforms();
    let theirs = published_platforms(view, published);
    let mut columns = ["attacker", "placement"].map(Column::text).to_vec();
    columns.extend(platforms.iter().map(|p| Column::number(view.name(p))));
    columns.extend(theirs.iter().map(|p| Column::number(format!("{p}, published"))));
    columns.push(Column::number("trials"));
    let title = format!("Slowdown of the {} victim", victim.name);
    let mut table = Table::new(view.id("slowdowns"), title, columns).keys(2);
    for placement in placements(view) {
        for who in neighbors(view) {
            let cases: Vec<Option<&CaseResult>> = platforms.iter().map(|p| find(view, p, placement, who)).collect();
            if cases.iter().all(Option::is_none) {
                continue;
            }
            let mut row = vec![Cell::new(neighbor_name(who)), Cell::new(placement.name())];
            row.extend(cases.iter().map(|c| slowdown_cell(*c, victim)));
            row.extend(theirs.iter().map(|p| published_cell(lookup(view, published, p, who, placement))));
            row.push(trials_cell(cases.iter().copied().flatten()));
            table.rows.push(row);
        }
    }
    table.note = slowdowns_note(victim, &theirs, published);
    table.without_empty_columns()
}

fn slowdowns_note(victim: &Victim, theirs: &[String], published: &Published) -> String {
    let parentheses = if victim.has_throughput() { "In parentheses: the throughput that is left. " } else { "" };
    let cited = match theirs {
        [] => String::new(),
        _ => format!(" Published: {}, table 5.1; mean ratio without an interval.", published.source.cite()),
    };
    format!(
        "Measured: Hodges-Lehmann estimate of the ratio over rounds with its 95 % interval, which needs at least six \
         rounds. {parentheses}Trials: all platforms of the row.{cited}"
    )
}

fn slowdown_cell(case: Option<&CaseResult>, victim: &Victim) -> Cell {
    let Some(response) = case.and_then(|c| c.response(victim.metric)) else { return Cell::missing() };
    let cell = ratio_cell(Some(response));
    let parenthesis = match response {
        Response::DidNotRespond { .. } => return cell,
        Response::Slowdown(_) if victim.has_throughput() => share(response),
        Response::Slowdown(s) => percent(s.percent()),
    };
    Cell { text: format!("{} ({parenthesis})", cell.text), ..cell }
}

/// The platforms with a published slowdown of this victim.
fn published_platforms(view: &View<'_>, published: &Published) -> Vec<String> {
    let same = published.slowdowns.iter().filter(|s| s.workload == view.workload);
    let mut names: Vec<String> = same.map(|s| s.platform.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn lookup<'p>(
    view: &View<'_>,
    published: &'p Published,
    platform: &str,
    who: Neighbor,
    place: Placement,
) -> Option<&'p PublishedSlowdown> {
    let same = |s: &&PublishedSlowdown| s.workload == view.workload && s.platform == platform;
    published.slowdowns.iter().filter(same).find(|s| Some(s.attacker) == who && s.placement == place)
}

fn published_cell(theirs: Option<&PublishedSlowdown>) -> Cell {
    let Some(s) = theirs else { return Cell::missing() };
    Cell::new(format!("{} ({})", times(1.0 + s.percent / 100.0), percent(s.percent))).tone(Tone::Published)
}

/// The main metric with its details, and the attackers' operations.
fn numbers(view: &View<'_>, victim: &Victim) -> Table {
    let mut columns = ["platform", "placement", "neighbor"].map(Column::text).to_vec();
    columns.push(Column::metric(victim.metric));
    columns.extend(victim.details.iter().copied().map(Column::metric));
    columns.extend(["attacker operations", "trials"].map(Column::number));
    let title = format!("{}: {} and attacker operations", victim.name, victim.metric.label);
    let mut table = Table::new(view.id("times"), title, columns).keys(3);
    let scale = scale(&view.cases, victim.metric);
    for platform in view.platforms() {
        let mut cases: Vec<&CaseResult> = view.cases.iter().filter(|c| c.case.platform == platform).collect();
        cases.sort_by_key(|c| (c.case.placement, c.case.attacker, c.role));
        for case in cases {
            let neighbor = match (case.role, case.case.attacker) {
                (Role::Reference, _) => "none".into(),
                (_, who) => neighbor_name(who),
            };
            let mut row = vec![Cell::new(view.name(&platform)), Cell::new(case.case.placement.name())];
            row.extend([Cell::new(neighbor), median_cell(case.summary(victim.metric), scale)]);
            row.extend(victim.details.iter().map(|metric| detail_cell(metric, case, &view.cases)));
            row.extend([operations(case), trials_cell([case])]);
            table.rows.push(row);
        }
    }
    table.note = numbers_note(view, victim);
    table.without_empty_columns()
}

fn numbers_note(view: &View<'_>, victim: &Victim) -> String {
    let rows = match victim.has_throughput() {
        true => String::new(),
        false => format!("{} rows. ", thousands(view.run.file.configuration.rows().into())),
    };
    format!(
        "{rows}Medians with their 95 % interval (below six trials: the range). A trial whose attacker made no progress \
         has failed."
    )
}

/// The median number of the attackers' operations with its interval or range.
fn operations(case: &CaseResult) -> Cell {
    let Some(s) = &case.attack_ops else { return Cell::missing() };
    let scale = column_scale(Unit::PerSecond, std::iter::once(s));
    let cell = median_cell(Some(s), scale);
    // A count on the scale of rates: thousands and millions, without "per second".
    Cell {
        text: format!("{} {}", scale.number(s.median), scale.symbol.trim_end_matches("/s")).trim_end().into(),
        ..cell
    }
}
