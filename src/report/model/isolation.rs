//! A victim beside an attacker: how much worse off than alone, paired block by block.

mod figure;

use super::beside::statements;
use super::overview::FEW;
use super::text::{column_scale, median_cell, percent, ratio_cell, share, thousands, times, trials_cell};
use super::victim::{Victim, scale, victim};
use super::{Block, CaseResult, Cell, Finding, Section, Table, Tone, View};
use crate::model::attacker::Attacker;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::record::Role;
use crate::model::units::{Direction, Unit};
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
        "{}, beside an attacker. Every block also has it alone (the reference) and beside an idle neighbour in the \
         attacker's place (the placebo), in shuffled order. Slowdown is the ratio within a block ({}); above 1 is \
         worse. DNR: the victim did not respond. {}",
        victim.does,
        victim.reading(),
        victim.clock,
    )
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

/// The worst attack of each placement: on every platform where they are few, else on the least and the most harmed.
fn findings(view: &View<'_>, victim: &Victim) -> Vec<Finding> {
    let of = |placement: Placement| {
        let worst: Vec<Worst> =
            view.platforms().into_iter().filter_map(|p| worst(view, victim, p, placement)).collect();
        match worst.len() > FEW {
            true => extremes(view, victim, placement, worst).into_iter().collect(),
            false => worst.iter().map(|w| alone(view, victim, placement, w)).collect::<Vec<_>>(),
        }
    };
    placements(view).into_iter().flat_map(of).collect()
}

/// The attack that harms a platform's victim most.
#[derive(Debug)]
struct Worst {
    platform: PlatformId,
    attacker: Neighbour,
    response: Response,
}

fn worst(view: &View<'_>, victim: &Victim, platform: PlatformId, placement: Placement) -> Option<Worst> {
    let attacks = neighbours(view).into_iter().flatten().filter_map(|a| find(view, &platform, placement, Some(a)));
    let answered = attacks.filter_map(|case| Some((case, *case.response(victim.metric)?)));
    let (case, response) = answered.max_by(|a, b| worse(&a.1).total_cmp(&worse(&b.1)))?;
    Some(Worst { attacker: case.case.attacker, response, platform })
}

fn alone(view: &View<'_>, victim: &Victim, placement: Placement, worst: &Worst) -> Finding {
    let placebo = find(view, &worst.platform, placement, None)
        .and_then(|c| c.response(victim.metric))
        .map_or_else(String::new, |r| format!("; placebo {}, {}", victim.short(r), victim.short_spread(r)));
    let text = format!(
        "The worst attack {}: {} {} on {} ({}{placebo}).",
        place(placement),
        neighbour_name(worst.attacker),
        victim.harm(&worst.response),
        worst.platform,
        victim.short_spread(&worst.response),
    );
    finding(view, text, view.simulated(&worst.platform))
}

fn extremes(view: &View<'_>, victim: &Victim, placement: Placement, mut worst: Vec<Worst>) -> Option<Finding> {
    worst.sort_by(|a, b| worse(&a.response).total_cmp(&worse(&b.response)));
    let [least, .., most] = worst.as_slice() else { return None };
    let words = |w: &Worst| {
        let (attacker, harm) = (neighbour_name(w.attacker), victim.harm(&w.response));
        format!("{}, where {attacker} {harm} ({})", w.platform, victim.short_spread(&w.response))
    };
    let text = format!(
        "The worst attack {}, of {} platforms: it harms least {}; most {}.",
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
fn slowdowns(view: &View<'_>, victim: &Victim, published: &Published) -> Table {
    let platforms = view.platforms();
    let theirs = published_platforms(view, published);
    let mut columns = vec!["attacker".to_owned(), "placement".into()];
    columns.extend(platforms.iter().map(|p| format!("#{}", view.name(p))));
    columns.extend(theirs.iter().map(|p| format!("#{p}, published")));
    columns.push("#trials".into());
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let title = format!("Slowdown of the {} victim", victim.name);
    let mut table = Table::new(view.id("slowdowns"), title, &columns).keys(2);
    for placement in placements(view) {
        for who in neighbours(view) {
            let cases: Vec<Option<&CaseResult>> = platforms.iter().map(|p| find(view, p, placement, who)).collect();
            if cases.iter().all(Option::is_none) {
                continue;
            }
            let mut row = vec![Cell::new(neighbour_name(who)), Cell::new(placement.name())];
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
    let brackets = match victim.direction {
        Direction::Higher => "In brackets: what is left of the throughput. ",
        _ => "",
    };
    let cited = match theirs {
        [] => String::new(),
        _ => format!(" Published: {}, table 5.1; mean ratio, no interval given.", published.source.cite()),
    };
    format!(
        "Ours: Hodges-Lehmann estimate of the ratio over blocks with its 95 % interval; six blocks are the fewest that \
         have one. {brackets}Trials: of all platforms in the row.{cited}"
    )
}

fn slowdown_cell(case: Option<&CaseResult>, victim: &Victim) -> Cell {
    let Some(response) = case.and_then(|c| c.response(victim.metric)) else { return Cell::missing() };
    let cell = ratio_cell(Some(response));
    match (response, victim.direction) {
        (Response::DidNotRespond { .. }, _) => cell,
        (_, Direction::Higher) => Cell { text: format!("{} ({})", cell.text, share(response)), ..cell },
        (Response::Slowdown(s), _) => Cell { text: format!("{} ({})", cell.text, percent(s.percent())), ..cell },
    }
}

/// The platforms of which a slowdown of this victim is published.
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
    who: Neighbour,
    place: Placement,
) -> Option<&'p PublishedSlowdown> {
    let same = |s: &&PublishedSlowdown| s.workload == view.workload && s.platform == platform;
    published.slowdowns.iter().filter(same).find(|s| Some(s.attacker) == who && s.placement == place)
}

fn published_cell(theirs: Option<&PublishedSlowdown>) -> Cell {
    let Some(s) = theirs else { return Cell::missing() };
    Cell::new(format!("{} ({})", times(1.0 + s.percent / 100.0), percent(s.percent))).tone(Tone::Published)
}

/// The headline itself with its details, and how much the attackers did.
fn numbers(view: &View<'_>, victim: &Victim) -> Table {
    let mut columns = vec!["platform".to_owned(), "placement".into(), "beside".into(), format!("#{}", victim.column)];
    columns.extend(victim.beside.iter().map(|d| format!("#{}", d.column)));
    columns.extend(["#attackers' operations", "#trials"].map(str::to_owned));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let title = format!("{}'s {}, and what the attackers did", victim.name, victim.column);
    let mut table = Table::new(view.id("times"), title, &columns).keys(3);
    let scale = scale(&view.cases, victim.metric, victim.unit);
    for platform in view.platforms() {
        let mut cases: Vec<&CaseResult> = view.cases.iter().filter(|c| c.case.platform == platform).collect();
        cases.sort_by_key(|c| (c.case.placement, c.case.attacker, c.role));
        for case in cases {
            let beside = match (case.role, case.case.attacker) {
                (Role::Reference, _) => "nobody".into(),
                (_, who) => neighbour_name(who),
            };
            let mut row = vec![Cell::new(view.name(&platform)), Cell::new(case.case.placement.name())];
            row.extend([Cell::new(beside), median_cell(case.summary(victim.metric), scale)]);
            row.extend(victim.beside.iter().map(|d| d.cell(case, &view.cases)));
            row.extend([operations(case), trials_cell([case])]);
            table.rows.push(row);
        }
    }
    table.note = numbers_note(view, victim);
    table.without_empty_columns()
}

fn numbers_note(view: &View<'_>, victim: &Victim) -> String {
    let rows = match victim.direction {
        Direction::Lower => format!("{} rows. ", thousands(view.run.file.configuration.rows().into())),
        _ => String::new(),
    };
    format!(
        "{rows}Medians with their 95 % interval (below six trials: the range). An attacker without operations did not \
         attack, and its trial is failed."
    )
}

/// How many operations the attackers did: the median, with its interval or range.
fn operations(case: &CaseResult) -> Cell {
    let Some(s) = &case.attack_ops else { return Cell::missing() };
    let scale = column_scale(Unit::PerSecond, std::iter::once(s));
    let cell = median_cell(Some(s), scale);
    // A count on the scale of rates: thousands and millions without the "per second".
    Cell {
        text: format!("{} {}", scale.number(s.median), scale.symbol.trim_end_matches("/s")).trim_end().into(),
        ..cell
    }
}
