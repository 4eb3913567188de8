//! Line charts with error bars, or with bands for many points.

use std::fmt::Write;

use super::axis::Fitted;
use super::canvas::{Canvas, short};
use super::frame::{self, Entry, PLOT};
use super::style::color;
use super::{LineChart, Origin, Point, Series};

/// The height of the plotting area.
const HEIGHT: f64 = 270.0;
/// Up to this many points have their own error bars and full markers; more would overlap.
const FEW: usize = 24;

/// Draws the chart and returns the height of the drawing.
pub(super) fn draw(canvas: &mut Canvas, chart: &LineChart) -> f64 {
    let entry = |s: &Series| Entry { name: s.name.clone(), slot: s.slot, origin: s.origin };
    let entries: Vec<Entry> = chart.series.iter().map(entry).collect();
    let after_legend = frame::legend(canvas, &entries, |canvas, entry, (x, y)| {
        canvas.line(&line_class(entry.slot, entry.origin), (x, y), (x + 22.0, y));
        frame::marker(canvas, entry.slot, entry.origin, (x + 11.0, y), 3.6);
    });
    let top = after_legend + 26.0;
    let bottom = top + HEIGHT;
    let (x, y) = fit(chart, (top, bottom));
    frame::vertical(canvas, &chart.y, &y, top - 16.0);
    frame::horizontal(canvas, &chart.x, &x, bottom);
    frame::references(canvas, &chart.references, &y);
    for series in &chart.series {
        draw_series(canvas, series, &x, &y);
    }
    bottom + 56.0
}

fn fit(chart: &LineChart, (top, bottom): (f64, f64)) -> (Fitted, Fitted) {
    let points = || chart.series.iter().flat_map(|s| &s.points);
    let x = chart.x.fit(points().map(|p| p.x), PLOT, 8);
    let heights = points().flat_map(|p| [p.y, p.spread.map_or(p.y, |s| s.0), p.spread.map_or(p.y, |s| s.1)]);
    let y = chart.y.fit(heights.chain(chart.references.iter().map(|r| r.value)), (bottom, top), 5);
    (x, y)
}

fn draw_series(canvas: &mut Canvas, series: &Series, x: &Fitted, y: &Fitted) {
    let color = color(series.slot, series.origin);
    let many = series.points.len() > FEW;
    if many {
        band(canvas, series, color, x, y);
    }
    canvas
        .path(&line_class(series.slot, series.origin), &outline(series.points.iter().map(|p| (x.at(p.x), y.at(p.y)))));
    for point in &series.points {
        let at = (x.at(point.x), y.at(point.y));
        canvas.titled(&format!("{}: {}", series.name, point.hover), |canvas| {
            if !many {
                whisker(canvas, point, color, at.0, y);
            }
            frame::marker(canvas, series.slot, series.origin, at, if many { 1.6 } else { 3.6 });
        });
    }
}

fn whisker(canvas: &mut Canvas, point: &Point, color: usize, x: f64, y: &Fitted) {
    let Some((low, high)) = point.spread else { return };
    let (low, high) = (short(y.at(low)), short(y.at(high)));
    let (left, right, middle) = (short(x - 4.0), short(x + 4.0), short(x));
    canvas.path(
        &format!("fw-e fw-c{color}"),
        &format!("M{left} {low}H{right}M{middle} {low}V{high}M{left} {high}H{right}"),
    );
}

fn band(canvas: &mut Canvas, series: &Series, color: usize, x: &Fitted, y: &Fitted) {
    let spread: Vec<(f64, f64, f64)> =
        series.points.iter().filter_map(|p| p.spread.map(|(low, high)| (x.at(p.x), y.at(low), y.at(high)))).collect();
    if spread.len() > 1 {
        let upper = spread.iter().map(|&(x, _, high)| (x, high));
        let lower = spread.iter().rev().map(|&(x, low, _)| (x, low));
        canvas.path(&format!("fw-band fw-f{color}"), &(outline(upper.chain(lower)) + "z"));
    }
}

fn outline(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut data = String::new();
    for (i, (x, y)) in points.enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(data, "{}{} {}", if i == 0 { 'M' } else { 'L' }, short(x), short(y));
    }
    data
}

fn line_class(slot: usize, origin: Origin) -> String {
    let color = color(slot, origin);
    match origin {
        Origin::Measured => format!("fw-l fw-c{color}"),
        Origin::Published | Origin::Unused => format!("fw-l fw-pub fw-c{color}"),
    }
}
