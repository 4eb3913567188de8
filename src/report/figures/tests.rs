//! Drawings as readers and programs see them.

use super::*;
use crate::model::units::Unit;

fn axis(label: &str, unit: Unit) -> Axis {
    Axis { label: label.into(), unit, scale: AxisScale::Linear, start: Start::Zero }
}

fn ladder(points: u32) -> Figure {
    let point = |x: u32| Point {
        x: f64::from(x),
        y: 7e6 + f64::from(x) * 1e3,
        spread: Some((6.5e6, 8e6)),
        hover: format!("{x} < y & \"z\""),
    };
    let series = Series {
        name: "youki <b>".into(),
        origin: Origin::Measured,
        slot: 0,
        points: (0..points).map(point).collect(),
    };
    let plot = Plot::Lines(LineChart {
        x: axis("background instances", Unit::Count),
        y: axis("boot time", Unit::Nanos),
        series: vec![series],
        references: vec![Reference { value: 7e6, label: "alone".into() }],
    });
    Figure { id: "f".into(), title: "Boot".into(), caption: "c".into(), alternative: "a & b".into(), plot }
}

fn bars(bars: Vec<Bar>, arrangement: Arrangement) -> Figure {
    let series = vec![BarSeries { name: "native".into(), origin: Origin::Measured, slot: 0, bars: bars.clone() }];
    let groups = (0..bars.len()).map(|i| format!("group {i}")).collect();
    let plot =
        Plot::Bars(BarChart { y: axis("slowdown", Unit::Ratio), arrangement, groups, series, references: Vec::new() });
    Figure { id: "b".into(), title: "Bars".into(), caption: "c".into(), alternative: "a".into(), plot }
}

#[test]
fn a_drawing_is_self_contained_and_escapes_its_texts() {
    insta::assert_snapshot!(svg(&ladder(3), StyleSheet::Own));
}

#[test]
fn inside_a_page_a_drawing_has_no_style_sheet() {
    assert!(!svg(&ladder(3), StyleSheet::Page).contains("<style>"));
}

#[test]
fn many_levels_become_a_band_instead_of_error_bars() {
    let drawing = svg(&ladder(1000), StyleSheet::Page);
    assert_eq!(drawing.matches("fw-band").count(), 1);
    assert_eq!(drawing.matches("fw-e ").count(), 0);
    assert_eq!(drawing.matches("<g><title>").count(), 1000);
}

#[test]
fn the_last_label_of_an_axis_is_not_cut_off() {
    let mut figure = ladder(2);
    if let Plot::Lines(chart) = &mut figure.plot {
        chart.series[0].points[1].x = 1e6;
    }
    let drawing = svg(&figure, StyleSheet::Page);
    let label = drawing.split("<text").find(|text| text.contains(">1,000,000<")).unwrap();
    let middle: f64 = label.split("x=\"").nth(1).and_then(|x| x.split('"').next()?.parse().ok()).unwrap();
    assert!(middle + canvas::text_width("1,000,000") / 2.0 < canvas::WIDTH, "{middle}");
}

#[test]
fn a_missing_bar_is_a_dash_and_a_victim_that_did_not_respond_has_a_label() {
    let value = Bar::Value { value: 1.9, spread: Some((1.8, 2.0)), hover: "1.9".into() };
    let drawing = svg(
        &bars(vec![value, Bar::Missing, Bar::Label("DNR".into(), "did not respond".into())], Arrangement::Grouped),
        StyleSheet::Page,
    );
    assert!(drawing.contains(">—<") && drawing.contains(">DNR<"));
    assert_eq!(drawing.matches("class=\"fw-f0\"").count(), 2, "one bar and its legend");
}

/// A chart of `series` platforms over `groups` attackers, with the drawn bars' widths.
fn crowded(series: usize, groups: usize) -> (String, Vec<f64>) {
    let bar = Bar::Value { value: 1.5, spread: None, hover: String::new() };
    let series_of =
        |slot| BarSeries { name: format!("p{slot}"), origin: Origin::Measured, slot, bars: vec![bar.clone(); groups] };
    let mut figure = bars(vec![bar.clone(); groups], Arrangement::Grouped);
    if let Plot::Bars(chart) = &mut figure.plot {
        chart.series = (0..series).map(series_of).collect();
    }
    let drawing = svg(&figure, StyleSheet::Page);
    let bars = drawing.split("<g><title>").skip(1);
    let width = |g: &str| g.split("width=\"").nth(1)?.split('"').next()?.parse().ok();
    let widths = bars.filter_map(width).collect();
    (drawing, widths)
}

#[test]
fn groups_are_drawn_in_rows_if_bars_would_become_too_thin() {
    let (few, _) = crowded(2, 8);
    let (many, widths) = crowded(9, 8);
    assert_eq!((few.matches(">slowdown<").count(), many.matches(">slowdown<").count()), (1, 2));
    assert_eq!(widths.len(), 72, "every bar is there");
    assert!(widths.iter().all(|w| *w >= 7.0), "{widths:?}");
}

#[test]
fn nine_series_have_nine_colors() {
    let (drawing, _) = crowded(9, 1);
    assert!((0..9).all(|c| drawing.contains(&format!("class=\"fw-f{c}\""))));
    assert!((0..9).all(|c| STYLE.matches(&format!(".fw-f{c}{{")).count() == 2), "light and dark");
}

#[test]
fn charts_without_data_are_still_drawings() {
    let mut empty = ladder(0);
    assert!(svg(&empty, StyleSheet::Own).ends_with("</svg>\n"));
    empty = bars(Vec::new(), Arrangement::Stacked);
    assert!(svg(&empty, StyleSheet::Own).ends_with("</svg>\n"));
}

fn track(values: &[f64], steps: Vec<Step>) -> Figure {
    let point = |y: &f64| TrackPoint { y: *y, spread: Some((y - 0.01, y + 0.01)), hover: "commit <a>".into() };
    let y = Axis { start: Start::Fit, ..axis("ratio", Unit::Ratio) };
    let plot = Plot::Track(TrackChart { y, points: values.iter().map(point).collect(), steps, days: None });
    Figure { plot, ..ladder(0) }
}

fn step(at: usize) -> Step {
    Step { at, before: 1.0, after: 1.05, label: "+5.0 %".into(), hover: "between a & b".into() }
}

#[test]
fn a_track_has_titled_points_and_steps_with_a_level_on_each_side() {
    let drawing = svg(&track(&[1.0, 1.0, 1.05, 1.05], vec![step(2)]), StyleSheet::Page);
    assert_eq!(drawing.matches("<title>commit &lt;a&gt;</title>").count(), 4);
    assert_eq!(drawing.matches("<title>between a &amp; b</title>").count(), 1);
    assert_eq!(drawing.matches("fw-l fw-c1").count(), 2);
    assert!(drawing.contains(">+5.0 %<"));
}

#[test]
fn a_track_of_one_session_or_none_is_still_a_drawing() {
    for values in [&[][..], &[1.0]] {
        let drawing = svg(&track(values, Vec::new()), StyleSheet::Own);
        assert!(drawing.ends_with("</svg>\n") && !drawing.contains("NaN"));
    }
}

proptest::proptest! {
    #[test]
    fn no_value_breaks_a_drawing(value in proptest::num::f64::ANY, low in proptest::num::f64::ANY) {
        for arrangement in [Arrangement::Grouped, Arrangement::Stacked] {
            let bar = Bar::Value { value, spread: Some((low, value)), hover: String::new() };
            let drawing = svg(&bars(vec![bar], arrangement), StyleSheet::Page);
            proptest::prop_assert!(!drawing.contains("NaN") && !drawing.contains("inf"));
        }
        let drawing = svg(&track(&[value, low, value], vec![step(1), step(9)]), StyleSheet::Page);
        proptest::prop_assert!(!drawing.contains("NaN") && !drawing.contains("inf"));
    }
}
