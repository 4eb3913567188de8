//! The frame of every chart: legend, axes, grid, reference lines.

use super::axis::Fitted;
use super::canvas::{Anchor, Canvas, WIDTH, text_width};
use super::style::color;
use super::{Axis, AxisScale, Origin, Reference};

/// The left and right ends of the plotting area.
pub(super) const PLOT: (f64, f64) = (64.0, WIDTH - 18.0);

const MARGIN: f64 = 12.0;
const LINE: f64 = 20.0;

/// One entry of a legend.
#[derive(Debug)]
pub(super) struct Entry {
    /// The series' name.
    pub(super) name: String,
    /// Its index among the series of its origin.
    pub(super) slot: usize,
    /// Where its numbers come from.
    pub(super) origin: Origin,
}

/// Draws a series' marker. The shapes differ, so that color is not needed to distinguish series.
pub(super) fn marker(canvas: &mut Canvas, slot: usize, origin: Origin, at: (f64, f64), size: f64) {
    let (x, y) = at;
    let color = color(slot, origin);
    let class = match origin {
        Origin::Measured => format!("fw-f{color} fw-c{color}"),
        Origin::Published | Origin::Unused => format!("fw-hollow fw-c{color}"),
    };
    let s = size;
    let data = match slot % 5 {
        0 => format!("M{:.1} {y:.1}a{s} {s} 0 1 0 {} 0a{s} {s} 0 1 0 {} 0z", x - s, 2.0 * s, -2.0 * s),
        1 => format!("M{:.1} {:.1}h{}v{}h{}z", x - s * 0.9, y - s * 0.9, s * 1.8, s * 1.8, -s * 1.8),
        2 => format!("M{x:.1} {:.1}L{:.1} {:.1}H{:.1}z", y - s * 1.2, x + s * 1.15, y + s * 0.9, x - s * 1.15),
        3 => format!("M{x:.1} {:.1}L{:.1} {:.1}H{:.1}z", y + s * 1.2, x + s * 1.15, y - s * 0.9, x - s * 1.15),
        _ => format!(
            "M{x:.1} {:.1}l{} {}l{} {}l{} {}z",
            y - s * 1.25,
            s * 1.25,
            s * 1.25,
            -s * 1.25,
            s * 1.25,
            -s * 1.25,
            -s * 1.25
        ),
    };
    canvas.path(&class, &data);
}

/// Draws the legend in as many lines as it needs, and returns the position of the next line. `sample` draws each
/// entry's mark.
pub(super) fn legend(canvas: &mut Canvas, entries: &[Entry], sample: impl Fn(&mut Canvas, &Entry, (f64, f64))) -> f64 {
    let (mut x, mut y) = (MARGIN, MARGIN + 8.0);
    for entry in entries {
        let width = 34.0 + text_width(&entry.name);
        if x > MARGIN && x + width > WIDTH - MARGIN {
            (x, y) = (MARGIN, y + LINE);
        }
        sample(canvas, entry, (x, y));
        canvas.text("fw-t", (x + 28.0, y + 4.5), Anchor::Start, &entry.name);
        x += width + 18.0;
    }
    if entries.is_empty() { MARGIN } else { y + LINE }
}

/// Draws the vertical axis with its label above it, and the grid.
pub(super) fn vertical(canvas: &mut Canvas, axis: &Axis, fitted: &Fitted, label_y: f64) {
    canvas.text("fw-m", (MARGIN, label_y), Anchor::Start, &title(axis, fitted));
    for (value, label) in &fitted.ticks {
        let y = fitted.at(*value);
        canvas.line("fw-grid", (PLOT.0, y), (PLOT.1, y));
        canvas.text("fw-m", (PLOT.0 - 8.0, y + 4.5), Anchor::End, label);
    }
}

/// Draws the horizontal axis at `bottom` with its label below it.
pub(super) fn horizontal(canvas: &mut Canvas, axis: &Axis, fitted: &Fitted, bottom: f64) {
    canvas.line("fw-axis", (PLOT.0, bottom), (PLOT.1, bottom));
    for (value, label) in &fitted.ticks {
        let x = fitted.at(*value);
        canvas.line("fw-axis", (x, bottom), (x, bottom + 5.0));
        // The last label may be the widest one; keep it inside the drawing.
        let middle = x.min(WIDTH - 2.0 - text_width(label) / 2.0);
        canvas.text("fw-m", (middle, bottom + 20.0), Anchor::Middle, label);
    }
    canvas.text("fw-m", ((PLOT.0 + PLOT.1) / 2.0, bottom + 42.0), Anchor::Middle, &title(axis, fitted));
}

/// Draws the reference lines.
pub(super) fn references(canvas: &mut Canvas, references: &[Reference], fitted: &Fitted) {
    for reference in references {
        let y = fitted.at(reference.value);
        canvas.line("fw-ref", (PLOT.0, y), (PLOT.1, y));
        if !reference.label.is_empty() {
            canvas.text("fw-halo", (PLOT.1, y - 4.0), Anchor::End, &reference.label);
        }
    }
}

fn title(axis: &Axis, fitted: &Fitted) -> String {
    let scale = match axis.scale {
        AxisScale::Linear => "",
        AxisScale::Log => ", log scale",
    };
    match fitted.symbol() {
        "" => format!("{}{scale}", axis.label),
        symbol => format!("{} ({symbol}){scale}", axis.label),
    }
}
