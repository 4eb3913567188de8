//! Figures as data, and their drawing as SVG.
//!
//! This writer follows the reader's light or dark theme by CSS, gives every point a hover title, and needs no font,
//! script or network. Invariant: a drawing depends only on the figure's data, so the same data give the same bytes.

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
    /// Its heading, in a line.
    pub title: String,
    /// How to read it: the meaning of bars and bands, the number of trials.
    pub caption: String,
    /// Its content in words, for readers who cannot see it.
    pub alternative: String,
    /// The data.
    pub plot: Plot,
}

/// The kind of a figure, with its data.
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

/// A ratio over sessions with the changes of its level. Small, since a page has many of them.
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
    /// Its interval.
    pub spread: Option<(f64, f64)>,
    /// The hover title.
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
    /// Its label.
    pub label: String,
    /// The hover title.
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

/// Where a series' numbers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Measured by this project.
    Measured,
    /// Taken from a publication: drawn dashed or hatched.
    Published,
    /// Given but not used: drawn as an outline.
    Unused,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Where its numbers come from.
    pub origin: Origin,
    /// Its index among the series of its origin. It decides color and marker, which are the same in every figure.
    pub slot: usize,
    /// Its points, ordered by `x`.
    pub points: Vec<Point>,
}

/// One point of a line, in base units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Point {
    /// Its position on the horizontal axis.
    pub x: f64,
    /// Its position on the vertical axis.
    pub y: f64,
    /// The ends of its error bar.
    pub spread: Option<(f64, f64)>,
    /// The hover title: value, unit, count, spread.
    pub hover: String,
}

/// A line to compare with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reference {
    /// Its value in the vertical axis's base unit.
    pub value: f64,
    /// Its meaning; empty if the axis's label has it.
    pub label: String,
}

/// Bars over named groups.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BarChart {
    /// The vertical axis.
    pub y: Axis,
    /// How the bars of one group are arranged.
    pub arrangement: Arrangement,
    /// The groups along the horizontal axis.
    pub groups: Vec<String>,
    /// The series: one bar in every group each.
    pub series: Vec<BarSeries>,
    /// Horizontal lines to compare with.
    pub references: Vec<Reference>,
}

/// How the bars of one group are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrangement {
    /// Next to each other.
    Grouped,
    /// On top of each other, as parts of a whole.
    Stacked,
}

/// One bar in every group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BarSeries {
    /// Its name in the legend.
    pub name: String,
    /// Where its numbers come from.
    pub origin: Origin,
    /// Its index among the series of its origin. It decides the color, which is the same in every figure.
    pub slot: usize,
    /// One entry per group.
    pub bars: Vec<Bar>,
}

/// An entry of a bar chart.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Bar {
    /// A value in the base unit.
    Value {
        /// Its height.
        value: f64,
        /// The ends of its error bar.
        spread: Option<(f64, f64)>,
        /// The hover title.
        hover: String,
    },
    /// A text instead of a number, such as `DNR`, and its hover title.
    Label(String, String),
    /// No measurement.
    Missing,
}

/// Where a drawing's style sheet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StyleSheet {
    /// Inside the drawing, which is self-contained.
    Own,
    /// In the page around the drawing, which includes [`STYLE`].
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
