//! A small chart of a ratio over sessions, with the changes of its level.

use super::axis::Fitted;
use super::canvas::{Anchor, Canvas};
use super::frame::{self, PLOT};
use super::{Origin, Step, TrackChart, TrackPoint};

/// The height of the plotting area.
const HEIGHT: f64 = 110.0;
/// Its top: below the axis's label and the labels of the changes.
const TOP: f64 = 40.0;
/// The height below the plotting area, for the days.
const FOOT: f64 = 30.0;
/// How far the pointer may be from a change.
const REACH: f64 = 5.0;
/// The width of a point's pointer target.
const HIT: f64 = 7.0;

/// Draws the chart and returns the height of the drawing.
pub(super) fn draw(canvas: &mut Canvas, track: &TrackChart) -> f64 {
    let bottom = TOP + HEIGHT;
    let spread = |p: &TrackPoint| [p.y, p.spread.map_or(p.y, |s| s.0), p.spread.map_or(p.y, |s| s.1)];
    let y = track.y.fit(track.points.iter().flat_map(spread).chain([1.0]), (bottom, TOP), 3);
    frame::vertical(canvas, &track.y, &y, TOP - 24.0);
    canvas.line("fw-axis", (PLOT.0, bottom), (PLOT.1, bottom));
    // The anchor of every ratio.
    canvas.line("fw-ref", (PLOT.0, y.at(1.0)), (PLOT.1, y.at(1.0)));
    days(canvas, track, bottom + 20.0);
    levels(canvas, track, &y);
    for (i, point) in track.points.iter().enumerate() {
        draw_point(canvas, point, place(track, i), &y);
    }
    for step in &track.steps {
        draw_step(canvas, step, between(track, step.at), (TOP, bottom));
    }
    bottom + FOOT
}

/// The position of the session with that index. Sessions are evenly spaced, whatever the time between them.
fn place(track: &TrackChart, index: usize) -> f64 {
    let last = track.points.len().saturating_sub(1).max(1);
    PLOT.0 + HIT + (PLOT.1 - PLOT.0 - 2.0 * HIT) * index as f64 / last as f64
}

/// The position of a change before the session with that index.
fn between(track: &TrackChart, index: usize) -> f64 {
    (place(track, index.saturating_sub(1)) + place(track, index)) / 2.0
}

fn days(canvas: &mut Canvas, track: &TrackChart, y: f64) {
    if let Some((first, last)) = &track.days {
        canvas.text("fw-m", (PLOT.0, y), Anchor::Start, first);
        canvas.text("fw-m", (PLOT.1, y), Anchor::End, last);
    }
}

/// Draws the levels between the changes.
fn levels(canvas: &mut Canvas, track: &TrackChart, y: &Fitted) {
    let ends = track.steps.iter().map(|step| step.at).chain([track.points.len()]);
    let mut start = 0;
    for (i, end) in ends.enumerate() {
        let level = match i {
            0 => track.steps.first().map(|step| step.before),
            i => Some(track.steps[i - 1].after),
        };
        if let Some(level) = level {
            let left = if start == 0 { PLOT.0 } else { between(track, start) };
            let right = if end == track.points.len() { PLOT.1 } else { between(track, end) };
            canvas.line("fw-l fw-c1", (left, y.at(level)), (right, y.at(level)));
        }
        start = end;
    }
}

fn draw_point(canvas: &mut Canvas, point: &TrackPoint, x: f64, y: &Fitted) {
    canvas.titled(&point.hover, |canvas| {
        if let Some((low, high)) = point.spread {
            let (low, high) = (y.at(low), y.at(high));
            canvas.rect("fw-band fw-f0", x - 2.0, high, (4.0, low - high));
        }
        frame::marker(canvas, 0, Origin::Measured, (x, y.at(point.y)), 2.4);
        canvas.rect("fw-hit", x - HIT / 2.0, y.at(point.y) - HIT, (HIT, 2.0 * HIT));
    });
}

fn draw_step(canvas: &mut Canvas, step: &Step, x: f64, (top, bottom): (f64, f64)) {
    canvas.titled(&step.hover, |canvas| {
        canvas.line("fw-out fw-c1", (x, top - 6.0), (x, bottom));
        canvas.rect("fw-hit", x - REACH, top - 18.0, (2.0 * REACH, bottom - top + 18.0));
        let anchor = if x > (PLOT.0 + PLOT.1) / 2.0 { Anchor::End } else { Anchor::Start };
        canvas.text("fw-halo", (x, top - 11.0), anchor, &step.label);
    });
}
