//! A virtual machine's memory by part, next to the memory that its guest was given.

use super::super::text::{column_scale, count, median_cell, quantity, trials_cell};
use super::super::{Block, CaseResult, Cell, Column, Table, View};
use super::most;
use crate::model::metric::{
    GUEST_MEMORY, MetricInfo, PSS_GUEST, PSS_MONITOR, PSS_OVERHEAD, PSS_PER_INSTANCE, PSS_PROGRAM, PSS_TRANSLATION,
};
use crate::model::platform::PlatformId;
use crate::model::units::{Scale, Unit};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};

/// The parts of the PSS of a monitor's process, from the bottom of a stack up.
const PARTS: [&MetricInfo; 4] = [&PSS_MONITOR, &PSS_PROGRAM, &PSS_TRANSLATION, &PSS_GUEST];

/// The series on top of the parts: the difference between two metrics.
const UNTOUCHED: &str = "guest memory, untouched";

/// The table and the figure; nothing if no platform reports its guest's memory separately.
pub(super) fn blocks(view: &View<'_>) -> Vec<Block> {
    let machines: Vec<(PlatformId, &CaseResult)> = view
        .platforms()
        .into_iter()
        .filter_map(|p| Some((p.clone(), most(view, &p)?)))
        .filter(|(_, case)| case.summary(&PSS_GUEST).is_some())
        .collect();
    if machines.is_empty() {
        return Vec::new();
    }
    vec![Block::Table(table(view, &machines)), Block::Figure(figure(view, &machines))]
}

/// The monitor's own memory, as the end of a sentence.
pub(super) fn overhead(case: &CaseResult) -> Option<String> {
    let overhead = quantity(case.summary(&PSS_OVERHEAD)?, PSS_OVERHEAD.unit);
    let given = case.summary(&GUEST_MEMORY)?.median;
    let given = Scale::of(GUEST_MEMORY.unit, given).text(given);
    Some(format!("; the monitor takes {overhead} of that, for a guest with {given} of memory"))
}

fn table(view: &View<'_>, machines: &[(PlatformId, &CaseResult)]) -> Table {
    let metrics = || [&GUEST_MEMORY].into_iter().chain(PARTS).chain([&PSS_OVERHEAD, &PSS_PER_INSTANCE]);
    let mut columns = vec![Column::text("platform"), Column::number("instances")];
    columns.extend(metrics().map(Column::metric));
    columns.push(Column::number("trials"));
    let title = view.title("Memory of a virtual machine by part");
    let mut table = Table::new(view.id("machine-table"), title, columns).keys(2);
    for (platform, case) in machines {
        let cell = |metric: &MetricInfo| {
            let column = machines.iter().filter_map(|(_, case)| case.summary(metric));
            median_cell(case.summary(metric), column_scale(metric.unit, column))
        };
        let mut row = vec![Cell::new(view.name(platform)), Cell::new(case.case.background.to_string())];
        row.extend(metrics().map(cell));
        row.push(trials_cell([*case]));
        table.rows.push(row);
    }
    table.note =
        "PSS of the monitor's process by the purpose of its mappings: medians with their 95 % interval (below six \
        trials: the range). Guest memory: what the guest was given. Monitor overhead: PSS without guest memory. All \
        instances share program and libraries, so this part falls with more instances."
            .into();
    table.without_empty_columns()
}

/// The parts as a stack, and on top the memory that the guest was given and has not touched.
fn figure(view: &View<'_>, machines: &[(PlatformId, &CaseResult)]) -> Figure {
    let is_measured = |metric: &MetricInfo| machines.iter().any(|(_, case)| case.summary(metric).is_some());
    let parts = PARTS.into_iter().enumerate().filter(|(_, metric)| is_measured(metric));
    let series = |(slot, metric): (usize, &MetricInfo)| BarSeries {
        name: metric.label.to_owned(),
        origin: Origin::Measured,
        slot,
        bars: machines.iter().map(|(_, case)| bar(case, metric)).collect(),
    };
    let untouched = BarSeries {
        name: UNTOUCHED.into(),
        origin: Origin::Unused,
        slot: 0,
        bars: machines.iter().map(|(_, case)| unused(case)).collect(),
    };
    let title = view.title("Memory of a virtual machine by part");
    let most = machines.iter().map(|(_, case)| case.counts.ok).max().unwrap_or(0);
    Figure {
        id: view.id("machine"),
        caption: format!(
            "Means of up to {} at the largest number of instances. The filled parts add up to the PSS of the monitor's \
             process. Untouched guest memory (outlined) uses no host memory.",
            count(most, "trial")
        ),
        alternative: format!("{title}. The same numbers are in the table above."),
        title,
        plot: Plot::Bars(BarChart {
            y: Axis { label: "per instance".into(), unit: Unit::Bytes, scale: AxisScale::Linear, start: Start::Zero },
            arrangement: Arrangement::Stacked,
            groups: machines.iter().map(|(platform, _)| view.name(platform)).collect(),
            series: parts.map(series).chain([untouched]).collect(),
            references: Vec::new(),
        }),
    }
}

fn bar(case: &CaseResult, metric: &MetricInfo) -> Bar {
    let Some(s) = case.summary(metric) else { return Bar::Missing };
    let scale = Scale::of(Unit::Bytes, s.mean);
    let sd = s.sd.map_or_else(String::new, |sd| format!(" ± {}", scale.number(sd)));
    let hover = format!("{}, {}{sd} (mean of {})", case.case.platform, scale.text(s.mean), s.count);
    Bar::Value { value: s.mean, spread: None, hover }
}

fn unused(case: &CaseResult) -> Bar {
    let mean = |metric: &MetricInfo| case.summary(metric).map(|s| s.mean);
    match mean(&GUEST_MEMORY).zip(mean(&PSS_GUEST)) {
        Some((given, touched)) if given > touched => {
            let text = |value: f64| Scale::of(Unit::Bytes, value).text(value);
            let hover = format!("{}, {} of {}", case.case.platform, text(given - touched), text(given));
            Bar::Value { value: given - touched, spread: None, hover }
        }
        _ => Bar::Missing,
    }
}
