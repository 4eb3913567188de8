//! A virtual machine's memory by part, beside what its guest was given.

use super::super::text::{column_scale, count, median_cell, quantity, trials_cell};
use super::super::{Block, CaseResult, Cell, Table, View};
use super::most;
use crate::model::platform::PlatformId;
use crate::model::units::{Scale, Unit};
use crate::report::figures::{Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Start};

/// Metric and name of each part of the PSS of a monitor's process, from the bottom of a stack up.
const PARTS: [(&str, &str); 4] = [
    ("pss_monitor", "monitor's data"),
    ("pss_program", "program and libraries"),
    ("pss_translation", "translated code"),
    (GUEST, "guest, touched"),
];

const GUEST: &str = "pss_guest";

/// What the guest was given.
const GIVEN: &str = "guest_memory";

/// What lies above the parts in a stack.
const UNTOUCHED: &str = "guest, not touched";

/// The table and the figure; nothing where no guest has a memory of its own that is told apart.
pub(super) fn blocks(view: &View<'_>) -> Vec<Block> {
    let machines: Vec<(PlatformId, &CaseResult)> = view
        .platforms()
        .into_iter()
        .filter_map(|p| Some((p.clone(), most(view, &p)?)))
        .filter(|(_, case)| case.summary(GUEST).is_some())
        .collect();
    if machines.is_empty() {
        return Vec::new();
    }
    vec![Block::Table(table(view, &machines)), Block::Figure(figure(view, &machines))]
}

/// What a monitor takes beside its guest, as the end of a sentence.
pub(super) fn overhead(case: &CaseResult) -> Option<String> {
    let overhead = quantity(case.summary("pss_overhead")?, Unit::Bytes);
    let given = case.summary(GIVEN)?.median;
    let given = Scale::of(Unit::Bytes, given).text(given);
    Some(format!("; its monitor takes {overhead} of that, beside a guest that was given {given}"))
}

fn table(view: &View<'_>, machines: &[(PlatformId, &CaseResult)]) -> Table {
    let mut columns = vec!["platform".to_owned(), "#instances".into(), "#given to the guest".into()];
    columns.extend(PARTS.iter().map(|(_, name)| format!("#{name}")));
    columns.extend(["#all but the guest", "#PSS", "#trials"].map(str::to_owned));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let title = view.title("Memory of a virtual machine by part");
    let mut table = Table::new(view.id("machine-table"), title, &columns).keys(2);
    let metrics =
        || [GIVEN].into_iter().chain(PARTS.map(|(metric, _)| metric)).chain(["pss_overhead", "pss_per_instance"]);
    for (platform, case) in machines {
        let cell = |metric| {
            let column = machines.iter().filter_map(|(_, case)| case.summary(metric));
            median_cell(case.summary(metric), column_scale(Unit::Bytes, column))
        };
        let mut row = vec![Cell::new(view.name(platform)), Cell::new(case.case.background.to_string())];
        row.extend(metrics().map(cell));
        row.push(trials_cell([*case]));
        table.rows.push(row);
    }
    table.note =
        "PSS of the monitor's process, by what its mappings are for: medians with their 95 % interval (below six \
        trials: the range). Program and libraries are shared by all that run at once, so their part falls with more \
        instances."
            .into();
    table.without_empty_columns()
}

/// The parts upon each other, and above them what the guest was given and has not touched.
fn figure(view: &View<'_>, machines: &[(PlatformId, &CaseResult)]) -> Figure {
    let told = |metric: &str| machines.iter().any(|(_, case)| case.summary(metric).is_some());
    let parts = PARTS.iter().enumerate().filter(|(_, (metric, _))| told(metric));
    let of = |(slot, (metric, name)): (usize, &(&str, &str))| BarSeries {
        name: (*name).to_owned(),
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
            "Means of up to {} at the largest number of instances; the parts up to what the guest has touched add up to \
             the PSS of the monitor's process. What it has not touched, outlined, costs nothing.",
            count(most, "trial")
        ),
        alternative: format!("{title}. The same numbers are in the table above."),
        title,
        plot: Plot::Bars(BarChart {
            y: Axis {
                label: "for each instance".into(),
                unit: Unit::Bytes,
                scale: AxisScale::Linear,
                start: Start::Zero,
            },
            arrangement: Arrangement::Stacked,
            groups: machines.iter().map(|(platform, _)| view.name(platform)).collect(),
            series: parts.map(of).chain([untouched]).collect(),
            references: Vec::new(),
        }),
    }
}

fn bar(case: &CaseResult, metric: &str) -> Bar {
    let Some(s) = case.summary(metric) else { return Bar::Missing };
    let scale = Scale::of(Unit::Bytes, s.mean);
    let sd = s.sd.map_or_else(String::new, |sd| format!(" ± {}", scale.number(sd)));
    let hover = format!("{}, {}{sd} (mean of {})", case.case.platform, scale.text(s.mean), s.count);
    Bar::Value { value: s.mean, spread: None, hover }
}

fn unused(case: &CaseResult) -> Bar {
    let mean = |metric| case.summary(metric).map(|s| s.mean);
    match mean(GIVEN).zip(mean(GUEST)) {
        Some((given, touched)) if given > touched => {
            let text = |value: f64| Scale::of(Unit::Bytes, value).text(value);
            let hover = format!("{}, {} of {}", case.case.platform, text(given - touched), text(given));
            Bar::Value { value: given - touched, spread: None, hover }
        }
        _ => Bar::Missing,
    }
}
