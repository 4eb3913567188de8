//! Bar charts: stacked, or grouped with error bars, in several rows if the bars would become too thin.

use super::axis::Fitted;
use super::canvas::{Anchor, Canvas, short, text_width};
use super::frame::{self, Entry, PLOT};
use super::style::color;
use super::{Arrangement, AxisScale, Bar, BarChart, BarSeries, Origin};
use crate::model::units::Scale;

/// The height of a single plotting area, and of one of several.
const HEIGHT: (f64, f64) = (260.0, 190.0);
/// The widest bar.
const WIDEST: f64 = 64.0;
/// The thinnest bar that can be distinguished from the next one.
const THINNEST: f64 = 9.0;
/// The share of its slot that a group of bars fills, and that a stack fills.
const FILLED: (f64, f64) = (0.84, 0.6);

/// A part of the groups, drawn in one row.
struct Row<'a> {
    chart: &'a BarChart,
    /// The first group and the one after the last.
    groups: std::ops::Range<usize>,
    /// The series with bars in this row.
    series: Vec<&'a BarSeries>,
    /// The width of a group's slot.
    slot: f64,
}

/// Draws the chart and returns the height of the drawing.
pub(super) fn draw(canvas: &mut Canvas, chart: &BarChart) -> f64 {
    let entry = |s: &BarSeries| Entry { name: s.name.clone(), slot: s.slot, origin: s.origin };
    let entries: Vec<Entry> = chart.series.iter().map(entry).collect();
    let mut below = frame::legend(canvas, &entries, |canvas, entry, (x, y)| {
        canvas.rect(&fill(entry.slot, entry.origin), x + 4.0, y - 6.0, (14.0, 12.0));
    });
    let rows = rows(chart);
    let height = if rows.len() > 1 { HEIGHT.1 } else { HEIGHT.0 };
    for row in &rows {
        below = row.draw(canvas, below + 26.0, height);
    }
    below
}

/// The groups in as many equal rows as keep the bars wide enough.
fn rows(chart: &BarChart) -> Vec<Row<'_>> {
    let count = chart.groups.len().max(1);
    let most_bars = (PLOT.1 - PLOT.0) * FILLED.0 / THINNEST;
    let fit = match chart.arrangement {
        Arrangement::Stacked => count,
        Arrangement::Grouped => ((most_bars / chart.series.len().max(1) as f64) as usize).clamp(1, count),
    };
    let each = count.div_ceil(count.div_ceil(fit));
    let row = |first: usize| {
        let groups = first..(first + each).min(chart.groups.len());
        let series = chart.series.iter().filter(|s| is_shown(s, groups.clone())).collect();
        Row { chart, groups, series, slot: (PLOT.1 - PLOT.0) / each as f64 }
    };
    (0..count).step_by(each).map(row).collect()
}

/// Whether a series has bars in these groups. Missing measurements are marked, missing published numbers are not.
fn is_shown(series: &BarSeries, mut groups: std::ops::Range<usize>) -> bool {
    let has_bar = |g: usize| series.bars.get(g).is_some_and(|b| !matches!(b, Bar::Missing));
    series.origin == Origin::Measured || groups.any(has_bar)
}

impl Row<'_> {
    /// Draws the row from `top` and returns its bottom.
    fn draw(&self, canvas: &mut Canvas, top: f64, height: f64) -> f64 {
        let chart = self.chart;
        let bottom = top + height;
        let y = chart.y.fit(heights(chart).chain(chart.references.iter().map(|r| r.value)), (bottom, top), 5);
        frame::vertical(canvas, &chart.y, &y, top - 16.0);
        let base = base(chart, &y);
        for (place, group) in self.groups.clone().enumerate() {
            let left = PLOT.0 + self.slot * place as f64;
            match chart.arrangement {
                Arrangement::Grouped => self.grouped(canvas, group, left, (base, &y)),
                Arrangement::Stacked => self.stacked(canvas, group, left, &y),
            }
        }
        canvas.line("fw-axis", (PLOT.0, base), (PLOT.1, base));
        frame::references(canvas, &chart.references, &y);
        bottom + self.labels(canvas, bottom)
    }

    fn grouped(&self, canvas: &mut Canvas, group: usize, left: f64, (base, y): (f64, &Fitted)) {
        let count = self.series.len().max(1) as f64;
        let width = (self.slot * FILLED.0 / count).min(WIDEST);
        let first = left + (self.slot - width * count) / 2.0;
        for (index, series) in self.series.iter().enumerate() {
            let x = first + width * index as f64;
            bar(canvas, series, group, (x, width), (base, y));
        }
    }

    fn stacked(&self, canvas: &mut Canvas, group: usize, left: f64, y: &Fitted) {
        let width = (self.slot * FILLED.1).min(WIDEST);
        let x = left + (self.slot - width) / 2.0;
        let (mut below, mut unused) = (0.0, 0.0);
        for series in &self.series {
            let Some(Bar::Value { value, hover, .. }) = series.bars.get(group) else { continue };
            canvas.titled(&format!("{}: {hover}", series.name), |canvas| {
                let (tip, foot) = (y.at(below + value), y.at(below));
                canvas.rect(&fill(series.slot, series.origin), x, tip, (width, foot - tip));
            });
            below += value;
            unused += if series.origin == Origin::Unused { *value } else { 0.0 };
        }
        // Next to much higher stacks, a stack is a line at the bottom: print its height, too.
        let text = |height: f64| Scale::of(self.chart.y.unit, height).text(height);
        let height = match (below, unused) {
            (0.0, _) => "—".into(),
            (_, 0.0) => text(below),
            _ => format!("{} + {}", text(below - unused), text(unused)),
        };
        if below.is_finite() {
            canvas.text("fw-w", (x + width / 2.0, y.at(below) - 6.0), Anchor::Middle, &height);
        }
    }

    /// Draws the groups' names, slanted if they would overlap; returns their height.
    fn labels(&self, canvas: &mut Canvas, bottom: f64) -> f64 {
        let names = self.chart.groups.get(self.groups.clone()).unwrap_or_default();
        let longest = names.iter().map(|g| text_width(g)).fold(0.0, f64::max);
        // Steeper if the first name would leave the drawing.
        let turn: f64 = if longest * 0.87 < PLOT.0 + self.slot / 2.0 { 30.0 } else { 60.0 };
        for (i, name) in names.iter().enumerate() {
            let middle = PLOT.0 + self.slot * (i as f64 + 0.5);
            if longest < self.slot {
                canvas.text("fw-t", (middle, bottom + 20.0), Anchor::Middle, name);
            } else {
                canvas.slanted("fw-t", (middle + 4.0, bottom + 16.0), name, turn);
            }
        }
        if longest < self.slot { 32.0 } else { 28.0 + longest * turn.to_radians().sin() }
    }
}

/// The class of a bar. Published and unused bars are outlines, so that no gray is mistaken for a color.
fn fill(slot: usize, origin: Origin) -> String {
    let color = color(slot, origin);
    match origin {
        Origin::Measured => format!("fw-f{color}"),
        Origin::Published | Origin::Unused => format!("fw-hollow fw-out fw-c{color}"),
    }
}

/// Where bars start: at zero, or at one on a log axis, so that a ratio and its inverse have the same length.
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

fn bar(canvas: &mut Canvas, series: &BarSeries, group: usize, (x, width): (f64, f64), (base, y): (f64, &Fitted)) {
    let middle = x + width / 2.0;
    match series.bars.get(group) {
        Some(Bar::Value { value, spread, hover }) => canvas.titled(&format!("{}: {hover}", series.name), |canvas| {
            let tip = y.at(*value);
            let size = ((width - 1.5).max(1.0), (tip - base).abs());
            canvas.rect(&fill(series.slot, series.origin), x + 0.75, tip.min(base), size);
            if let Some((low, high)) = spread {
                whisker(canvas, middle, (y.at(*low), y.at(*high)), (width / 4.0).min(4.0));
            }
        }),
        Some(Bar::Label(label, hover)) => canvas.titled(&format!("{}: {hover}", series.name), |canvas| {
            label_at(canvas, label, (middle, base), width);
        }),
        // Missing published numbers are not marked.
        _ if series.origin == Origin::Published => {}
        _ => label_at(canvas, "—", (middle, base), width),
    }
}

/// A text in a bar's place, upright if the bar is too narrow for it.
fn label_at(canvas: &mut Canvas, label: &str, (middle, base): (f64, f64), width: f64) {
    if text_width(label) <= width + 2.0 {
        canvas.text("fw-w", (middle, base - 6.0), Anchor::Middle, label);
    } else {
        canvas.upright("fw-w", (middle + 4.0, base - 6.0), label);
    }
}

fn whisker(canvas: &mut Canvas, x: f64, (low, high): (f64, f64), half: f64) {
    let (left, right, middle) = (short(x - half), short(x + half), short(x));
    let (low, high) = (short(low), short(high));
    canvas.path("fw-bar-e", &format!("M{left} {low}H{right}M{middle} {low}V{high}M{left} {high}H{right}"));
}
