//! Bar charts: side by side with error bars, or stacked.

use super::axis::Fitted;
use super::canvas::{Anchor, Canvas, short, text_width};
use super::frame::{self, Entry, PLOT};
use super::style::colours;
use super::{Arrangement, AxisScale, Bar, BarChart, Origin};

/// The height of the plotting area.
const HEIGHT: f64 = 260.0;
/// The widest bar that still looks like one.
const WIDEST: f64 = 64.0;

/// Draws the chart and returns the drawing's height.
pub(super) fn draw(canvas: &mut Canvas, chart: &BarChart) -> f64 {
    let colours = colours(chart.series.iter().map(|s| s.origin));
    let entries: Vec<Entry<'_>> = chart
        .series
        .iter()
        .zip(&colours)
        .map(|(s, &colour)| Entry { name: &s.name, colour, origin: s.origin })
        .collect();
    let after_legend = frame::legend(canvas, &entries, |canvas, _, entry, (x, y)| {
        canvas.rect(&format!("fw-f{}", entry.colour), x + 4.0, y - 6.0, (14.0, 12.0));
    });
    let top = after_legend + 26.0;
    let bottom = top + HEIGHT;
    let y = chart.y.fit(heights(chart).chain(chart.references.iter().map(|r| r.value)), (bottom, top), 5);
    frame::vertical(canvas, &chart.y, &y, top - 16.0);
    let slot = (PLOT.1 - PLOT.0) / chart.groups.len().max(1) as f64;
    let base = base(chart, &y);
    for group in 0..chart.groups.len() {
        let left = PLOT.0 + slot * group as f64;
        match chart.arrangement {
            Arrangement::Grouped => grouped(canvas, chart, group, (left, slot), (base, &y), &colours),
            Arrangement::Stacked => stacked(canvas, chart, group, (left, slot), &y, &colours),
        }
    }
    canvas.line("fw-axis", (PLOT.0, base), (PLOT.1, base));
    frame::references(canvas, &chart.references, &y);
    bottom + group_labels(canvas, chart, slot, bottom)
}

/// Where bars begin: at zero, or at one on a log axis, where as much worse and as much better are as long.
fn base(chart: &BarChart, y: &Fitted) -> f64 {
    match chart.y.scale {
        AxisScale::Linear => y.at(0.0),
        AxisScale::Log => y.at(1.0),
    }
}

fn heights(chart: &BarChart) -> Box<dyn Iterator<Item = f64> + '_> {
    let value = |bar: &Bar| match bar {
        Bar::Value { value, .. } => *value,
        _ => 0.0,
    };
    match chart.arrangement {
        Arrangement::Grouped => Box::new(chart.series.iter().flat_map(|s| &s.bars).flat_map(|bar| match bar {
            Bar::Value { value, spread, .. } => {
                vec![*value, spread.map_or(*value, |s| s.0), spread.map_or(*value, |s| s.1)]
            }
            _ => Vec::new(),
        })),
        Arrangement::Stacked => Box::new(
            (0..chart.groups.len())
                .map(move |g| chart.series.iter().filter_map(|s| s.bars.get(g)).map(value).sum::<f64>()),
        ),
    }
}

fn grouped(
    canvas: &mut Canvas,
    chart: &BarChart,
    group: usize,
    (left, slot): (f64, f64),
    (base, y): (f64, &Fitted),
    colours: &[usize],
) {
    let count = chart.series.len().max(1) as f64;
    let width = (slot * 0.8 / count).min(WIDEST);
    let first = left + (slot - width * count) / 2.0;
    for (index, series) in chart.series.iter().enumerate() {
        let x = first + width * index as f64;
        let middle = x + width / 2.0;
        match series.bars.get(group) {
            Some(Bar::Value { value, spread, hover }) => {
                canvas.titled(&format!("{}: {hover}", series.name), |canvas| {
                    let tip = y.at(*value);
                    let size = ((width - 2.0).max(1.0), (tip - base).abs());
                    canvas.rect(&format!("fw-f{}", colours[index]), x + 1.0, tip.min(base), size);
                    if let Some((low, high)) = spread {
                        whisker(canvas, middle, (y.at(*low), y.at(*high)), (width / 4.0).min(4.0));
                    }
                })
            }
            Some(Bar::Word(word, hover)) => canvas.titled(&format!("{}: {hover}", series.name), |canvas| {
                canvas.text("fw-w", (middle, base - 6.0), Anchor::Middle, word);
            }),
            // What others did not publish is not ours to mark as missing.
            _ if series.origin == Origin::Published => {}
            _ => canvas.text("fw-w", (middle, base - 6.0), Anchor::Middle, "—"),
        }
    }
}

fn stacked(
    canvas: &mut Canvas,
    chart: &BarChart,
    group: usize,
    (left, slot): (f64, f64),
    y: &Fitted,
    colours: &[usize],
) {
    let width = (slot * 0.6).min(WIDEST);
    let x = left + (slot - width) / 2.0;
    let mut below = 0.0;
    for (index, series) in chart.series.iter().enumerate() {
        let Some(Bar::Value { value, hover, .. }) = series.bars.get(group) else { continue };
        canvas.titled(&format!("{}: {hover}", series.name), |canvas| {
            let (tip, foot) = (y.at(below + value), y.at(below));
            canvas.rect(&format!("fw-f{}", colours[index]), x, tip, (width, foot - tip));
        });
        below += value;
    }
    if below == 0.0 {
        canvas.text("fw-w", (x + width / 2.0, y.at(0.0) - 6.0), Anchor::Middle, "—");
    }
}

fn whisker(canvas: &mut Canvas, x: f64, (low, high): (f64, f64), half: f64) {
    let (left, right, middle) = (short(x - half), short(x + half), short(x));
    let (low, high) = (short(low), short(high));
    canvas.path("fw-bar-e", &format!("M{left} {low}H{right}M{middle} {low}V{high}M{left} {high}H{right}"));
}

/// Draws the groups' names, slanted where they would run into each other; returns the room they take.
fn group_labels(canvas: &mut Canvas, chart: &BarChart, slot: f64, bottom: f64) -> f64 {
    let longest = chart.groups.iter().map(|g| text_width(g)).fold(0.0, f64::max);
    for (i, name) in chart.groups.iter().enumerate() {
        let middle = PLOT.0 + slot * (i as f64 + 0.5);
        if longest < slot {
            canvas.text("fw-t", (middle, bottom + 20.0), Anchor::Middle, name);
        } else {
            canvas.slanted("fw-t", (middle + 4.0, bottom + 16.0), name);
        }
    }
    if longest < slot { 32.0 } else { 28.0 + longest / 2.0 }
}
