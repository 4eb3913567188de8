//! The smallest memory with which a guest still boots.

use super::super::text::{column_scale, median_cell, quantity, trials_cell};
use super::super::victim::{is_server, name};
use super::super::{Block, CaseResult, Cell, Finding, Section, Table, View};
use crate::model::platform::PlatformId;
use crate::model::units::{Scale, Unit};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};

/// Metric and heading of what a search tells.
const SIZES: [(&str, &str); 3] = [
    ("guest_memory", "the image's own"),
    ("minimum_memory", "smallest that boots"),
    ("insufficient_memory", "largest that does not"),
];

/// The section of a run that looked for it.
pub(super) fn section(view: &View<'_>) -> (Section, Vec<Finding>) {
    let until = if is_server(&view.workload) { "until it serves" } else { "to its program's first line" };
    let intro = format!(
        "A guest with {} is booted {until} with less and less memory of its own, halving the range to steps of 1 MiB. What \
         was found has booted three times more in a row; with a step less it failed three times, or took \
         more than five times as long as usual.",
        name(&view.workload)
    );
    let mut blocks = vec![Block::Table(table(view))];
    blocks.extend(figure(view).map(Block::Figure));
    let section = Section { id: view.id("minimum"), title: view.title("Smallest memory"), intro, blocks };
    (section, view.platforms().iter().filter_map(|platform| finding(view, platform)).collect())
}

fn cases<'v>(view: &'v View<'_>) -> Vec<(PlatformId, &'v CaseResult)> {
    view.platforms().into_iter().filter_map(|p| Some((p.clone(), view.first(&p)?))).collect()
}

fn finding(view: &View<'_>, platform: &PlatformId) -> Option<Finding> {
    let case = view.first(platform)?;
    let least = quantity(case.summary("minimum_memory")?, Unit::Bytes);
    let own = case.summary("guest_memory").map_or_else(String::new, |s| {
        format!("; its image asks for {}", Scale::of(Unit::Bytes, s.median).text(s.median))
    });
    Some(Finding {
        section: view.id("minimum"),
        topic: view.title("smallest memory"),
        text: format!("{platform} boots {} with {least}{own}.", name(&view.workload)),
        simulated: view.simulated(platform),
    })
}

fn table(view: &View<'_>) -> Table {
    let mut columns = vec!["platform".to_owned()];
    columns.extend(SIZES.iter().map(|(_, name)| format!("#{name}")));
    columns.push("#trials".into());
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let mut table = Table::new(view.id("minimum-table"), view.title("Smallest memory"), &columns);
    let cases = cases(view);
    for (platform, case) in &cases {
        let cell = |(metric, _): &(&str, &str)| {
            let column = cases.iter().filter_map(|(_, case)| case.summary(metric));
            median_cell(case.summary(metric), column_scale(Unit::Bytes, column))
        };
        let mut row = vec![Cell::new(view.name(platform))];
        row.extend(SIZES.iter().map(cell));
        row.push(trials_cell([*case]));
        table.rows.push(row);
    }
    table.note =
        "Memory given to the guest: medians over searches with their 95 % interval (below six: the range).".into();
    table.without_empty_columns()
}

fn figure(view: &View<'_>) -> Option<Figure> {
    let cases: Vec<_> = cases(view).into_iter().filter(|(_, case)| case.summary("minimum_memory").is_some()).collect();
    if cases.is_empty() {
        return None;
    }
    let series = |(slot, (metric, name)): (usize, &(&str, &str))| BarSeries {
        name: (*name).to_owned(),
        origin: Origin::Measured,
        slot,
        bars: cases.iter().map(|(_, case)| super::bar(case, metric)).collect::<Vec<Bar>>(),
    };
    let title = view.title("Smallest memory that boots");
    Some(Figure {
        id: view.id("minimum-sizes"),
        caption: "Medians over searches; error bars: 95 % interval, or the range below six.".into(),
        alternative: format!("{title}. The same numbers are in the table above."),
        title,
        plot: Plot::Bars(BarChart {
            y: Axis {
                label: "memory of the guest".into(),
                unit: Unit::Bytes,
                scale: AxisScale::Linear,
                start: Start::Zero,
            },
            arrangement: Arrangement::Grouped,
            groups: cases.iter().map(|(platform, _)| view.name(platform)).collect(),
            series: SIZES[..2].iter().enumerate().map(series).collect(),
            references: Vec::new(),
        }),
    })
}
