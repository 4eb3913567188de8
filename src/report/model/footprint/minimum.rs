//! The smallest memory with which a guest boots.

use super::super::text::{column_scale, median_cell, quantity, trials_cell};
use super::super::victim::{is_server, name};
use super::super::{Block, CaseResult, Cell, Column, Finding, Section, Table, View};
use crate::model::metric::{GUEST_MEMORY, INSUFFICIENT_MEMORY, MINIMUM_MEMORY, MetricInfo};
use crate::model::platform::PlatformId;
use crate::model::units::{Scale, Unit};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};

/// The results of a search.
const SIZES: [&MetricInfo; 3] = [&GUEST_MEMORY, &MINIMUM_MEMORY, &INSUFFICIENT_MEMORY];

/// The section of a run with `--minimum`.
pub(super) fn section(view: &View<'_>) -> (Section, Vec<Finding>) {
    let until = if is_server(&view.workload) { "until it serves" } else { "to its program's first line" };
    let intro = format!(
        "A binary search finds the smallest memory with which a guest with {} boots {until}, in steps of 1 MiB. The \
         minimum booted three more times in a row. With one step less, the boot failed three times or took more than \
         five times as long as usual. Guest memory is what the image requests.",
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
    let least = quantity(case.summary(&MINIMUM_MEMORY)?, MINIMUM_MEMORY.unit);
    let own = case.summary(&GUEST_MEMORY).map_or_else(String::new, |s| {
        format!("; its image requests {}", Scale::of(GUEST_MEMORY.unit, s.median).text(s.median))
    });
    Some(Finding {
        section: view.id("minimum"),
        topic: view.title("smallest memory"),
        text: format!("{platform} boots {} with {least}{own}.", name(&view.workload)),
        simulated: view.simulated(platform),
    })
}

fn table(view: &View<'_>) -> Table {
    let mut columns = vec![Column::text("platform")];
    columns.extend(SIZES.map(Column::metric));
    columns.push(Column::number("trials"));
    let mut table = Table::new(view.id("minimum-table"), view.title("Smallest memory"), columns);
    let cases = cases(view);
    for (platform, case) in &cases {
        let cell = |metric: &MetricInfo| {
            let column = cases.iter().filter_map(|(_, case)| case.summary(metric));
            median_cell(case.summary(metric), column_scale(metric.unit, column))
        };
        let mut row = vec![Cell::new(view.name(platform))];
        row.extend(SIZES.map(cell));
        row.push(trials_cell([*case]));
        table.rows.push(row);
    }
    table.note =
        "Medians over searches with their 95 % interval (below six searches: the range). Insufficient memory: the largest \
         with which the guest does not boot.".into();
    table.without_empty_columns()
}

fn figure(view: &View<'_>) -> Option<Figure> {
    let cases: Vec<_> = cases(view).into_iter().filter(|(_, case)| case.summary(&MINIMUM_MEMORY).is_some()).collect();
    if cases.is_empty() {
        return None;
    }
    let series = |(slot, metric): (usize, &&MetricInfo)| BarSeries {
        name: metric.label.to_owned(),
        origin: Origin::Measured,
        slot,
        bars: cases.iter().map(|(_, case)| super::bar(case, metric)).collect::<Vec<Bar>>(),
    };
    let title = view.title("Smallest memory that boots");
    Some(Figure {
        id: view.id("minimum-sizes"),
        caption: "Medians over searches; error bars: 95 % interval, or the range below six searches.".into(),
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
