//! Figures as data, and their drawing as SVG.
//!
//! The writer is our own: it follows the reader's light or dark theme by CSS, gives every point a hover title, and
//! needs no font, script or network. Invariant: a figure is drawn from its data alone, so the same data give the same
//! bytes.

mod axis;
mod bars;
mod canvas;
mod frame;
mod lines;
mod style;
mod track;

use serde::Serialize;

pub use axis::{Axis, AxisScale, Start};
pub use canvas::escape;
pub use style::STYLE;

use canvas::Canvas;

/// One figure with everything that a reader without the picture needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    /// Its name in links and files: `boot-ladder`.
    pub id: String,
    /// What it shows, in a line.
    pub title: String,
    /// How to read it: what the bars and bands are, how many trials.
    pub caption: String,
    /// The same in words, for readers who cannot see it.
    pub alternative: String,
    /// What is drawn.
    pub plot: Plot,
}

/// What a figure draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Plot {
    /// Lines over a numeric axis.
    Lines(LineChart),
    /// Bars over named groups.
    Bars(BarChart),
    /// A ratio over sessions.
    Track(TrackChart),
}

/// A ratio over sessions, and where its level changes. Small: a page holds many of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackChart {
    /// The vertical axis.
    pub y: Axis,
    /// The sessions, oldest first.
    pub points: Vec<TrackPoint>,
    /// The changes, oldest first.
    pub steps: Vec<Step>,
    /// The first and the last session's day.
    pub days: Option<(String, String)>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrackPoint {
    /// Its ratio.
    pub y: f64,
    /// From where to where it may lie.
    pub spread: Option<(f64, f64)>,
    /// What the pointer shows.
    pub hover: String,
}

/// A change of level.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The index of the first session of the new level.
    pub at: usize,
    /// The level before.
    pub before: f64,
    /// The level after.
    pub after: f64,
    /// What stands at it.
    pub label: String,
    /// What the pointer shows.
    pub hover: String,
}

/// Lines with their spread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LineChart {
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The lines.
    pub series: Vec<Series>,
    /// Horizontal lines to compare with.
    pub references: Vec<Reference>,
}

/// Whose numbers a series holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Measured by this project.
    Measured,
    /// Taken from a publication: drawn dashed or hatched.
    Published,
    /// Given to somebody who did not use it: drawn as an outline.
    Unused,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Whose numbers they are.
    pub origin: Origin,
    /// Its place among the series of its origin: it decides colour and marker, the same ones in every figure.
    pub slot: usize,
    /// Its points by rising `x`.
    pub points: Vec<Point>,
}

/// One point of a line, in base units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Where.
    pub x: f64,
    /// How much.
    pub y: f64,
    /// From where to where it spreads.
    pub spread: Option<(f64, f64)>,
    /// What the pointer shows: value, unit, count, spread.
    pub hover: String,
}

/// A line to compare with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reference {
    /// Where it lies, in the vertical axis's base unit.
    pub value: f64,
    /// What it means; empty where the axis says it.
    pub label: String,
}

/// Bars over named groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BarChart {
    /// The vertical axis.
    pub y: Axis,
    /// How bars of one group stand.
    pub arrangement: Arrangement,
    /// The groups along the horizontal axis.
    pub groups: Vec<String>,
    /// What is shown in every group.
    pub series: Vec<BarSeries>,
    /// Horizontal lines to compare with.
    pub references: Vec<Reference>,
}

/// How the bars of one group stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrangement {
    /// Side by side.
    Grouped,
    /// One upon the other: parts of a whole.
    Stacked,
}

/// One bar in every group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BarSeries {
    /// Its name in the legend.
    pub name: String,
    /// Whose numbers they are.
    pub origin: Origin,
    /// Its place among the series of its origin: it decides the colour, the same one in every figure.
    pub slot: usize,
    /// One entry a group.
    pub bars: Vec<Bar>,
}

/// What stands in a bar's place.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bar {
    /// A value in the base unit.
    Value {
        /// How much.
        value: f64,
        /// From where to where it spreads.
        spread: Option<(f64, f64)>,
        /// What the pointer shows.
        hover: String,
    },
    /// A word instead of a number, such as `DNR`, and what the pointer shows.
    Word(String, String),
    /// Nothing was measured.
    Missing,
}

/// Where a drawing's style sheet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StyleSheet {
    /// Inside the drawing, which stands alone.
    Own,
    /// In the page around it, which has [`STYLE`] once.
    Page,
}

/// Draws `figure`.
pub fn svg(figure: &Figure, sheet: StyleSheet) -> String {
    let mut canvas = Canvas::default();
    let height = match &figure.plot {
        Plot::Lines(chart) => lines::draw(&mut canvas, chart),
        Plot::Bars(chart) => bars::draw(&mut canvas, chart),
        Plot::Track(track) => track::draw(&mut canvas, track),
    };
    canvas.document(figure, height, sheet)
}

#[cfg(test)]
mod tests;
