//! Figures over a ladder: a metric against the number of background instances or of victims.

use super::text::{column_scale, times};
use super::{CaseResult, View};
use crate::model::configuration::LadderOrder;
use crate::model::metric::{MetricInfo, THROUGHPUT_PER_VICTIM};
use crate::model::platform::PlatformId;
use crate::model::record::Case;
use crate::model::units::{Scale, Unit};
use crate::report::figures::{Axis, AxisScale, Figure, LineChart, Origin, Plot, Point, Reference, Series, Start};
use crate::stats::{Level, Summary, theil_sen};

/// What the horizontal axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Along {
    /// Idle instances next to the measured one.
    Background,
    /// Idle instances that are measured together.
    Instances,
    /// Victims that run at once.
    Victims,
}

/// Whose value of a metric is shown if several victims share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// The value of all victims together.
    All,
    /// The value of one victim.
    PerVictim,
}

/// The largest ratio of means on a linear axis. Beyond it, a linear axis would flatten the small ones.
const LINEAR_RANGE: f64 = 25.0;

/// A metric over a ladder, to be drawn.
#[derive(Debug, Clone)]
pub(super) struct Drawing<'a> {
    /// The figure's part of its name in links and files.
    pub(super) part: &'a str,
    /// The figure's title.
    pub(super) title: &'a str,
    /// The metric.
    pub(super) metric: &'static MetricInfo,
    /// The vertical axis's label.
    pub(super) label: &'a str,
    /// What the horizontal axis counts.
    pub(super) along: Along,
    /// Whose values are shown.
    pub(super) share: Share,
    /// Where the vertical axis starts.
    pub(super) start: Start,
}

impl Along {
    /// A case's position on the axis.
    fn position(self, case: &Case) -> u32 {
        match self {
            Along::Background | Along::Instances => case.background,
            Along::Victims => case.victims,
        }
    }

    fn axis(self) -> Axis {
        let start = match self {
            Along::Background | Along::Instances => Start::Zero,
            Along::Victims => Start::Fit,
        };
        Axis { label: self.label().into(), unit: Unit::Count, scale: AxisScale::Linear, start }
    }

    fn label(self) -> &'static str {
        match self {
            Along::Background => "background instances",
            Along::Instances => "idle instances",
            Along::Victims => "victims",
        }
    }
}

/// A victim's value of a metric: the median over the victims if several share the metric.
pub(super) fn per_victim<'v>(case: &'v CaseResult, metric: &MetricInfo) -> Option<&'v Summary> {
    case.summary(&THROUGHPUT_PER_VICTIM).or_else(|| case.summary(metric))
}

/// Whether the means are so far apart that only a log axis shows them all. Only for times and rates: the host's state
/// is shown from zero.
fn needs_log_axis(series: &[Series], unit: Unit) -> bool {
    let means = series.iter().flat_map(|s| &s.points).map(|p| p.y);
    let (least, most) = means.fold((f64::INFINITY, 0.0), |(lo, hi): (f64, f64), y| (lo.min(y), hi.max(y)));
    matches!(unit, Unit::Nanos | Unit::PerSecond) && least > 0.0 && most > least * LINEAR_RANGE
}

/// One platform's cases, ordered by their position on the axis.
pub(super) fn rungs<'v>(view: &'v View<'_>, platform: &'v PlatformId, along: Along) -> Vec<&'v CaseResult> {
    let is_on_axis = move |case: &Case| match along {
        Along::Background | Along::Instances => case.victims <= 1,
        Along::Victims => case.background == 0,
    };
    let mut rungs: Vec<&CaseResult> = view.measured(platform, is_on_axis).collect();
    rungs.sort_by_key(|c| along.position(&c.case));
    rungs
}

impl<'a> Drawing<'a> {
    /// The metric of all victims over a ladder, from zero, labeled as in the catalogue.
    pub(super) fn new(part: &'a str, title: &'a str, metric: &'static MetricInfo, along: Along) -> Self {
        Drawing { part, title, metric, label: metric.label, along, share: Share::All, start: Start::Zero }
    }

    /// The metric's means with their standard deviations; `None` if no trial has the metric.
    pub(super) fn absolute(&self, view: &View<'_>) -> Option<Figure> {
        let unit = self.unit(view)?;
        let scale = column_scale(unit, view.cases.iter().filter_map(|c| self.summary(c)));
        let series = self.series(view, |s, _| Some(point(s, 1.0, |v| scale.text(v))));
        self.figure(view, series, unit, self.part, self.title, Vec::new())
    }

    /// The means divided by each platform's first one, together with the series of `others`.
    pub(super) fn relative(&self, view: &View<'_>, others: Vec<Series>) -> Option<Figure> {
        self.unit(view)?;
        let mut series = self.series(view, |s, first| (first.mean != 0.0).then(|| point(s, first.mean, times)));
        if series.iter().all(|s| s.points.len() < 2) {
            return None;
        }
        series.extend(others);
        let part = format!("{}-relative", self.part);
        let title = format!("{}, relative to 0 background instances", self.title);
        let references = vec![Reference { value: 1.0, label: "unchanged".into() }];
        let drawing = Drawing { start: Start::Fit, ..self.clone() };
        drawing.figure(view, series, Unit::Ratio, &part, &title, references)
    }

    fn summary<'v>(&self, case: &'v CaseResult) -> Option<&'v Summary> {
        match self.share {
            Share::All => case.summary(self.metric),
            Share::PerVictim => per_victim(case, self.metric),
        }
    }

    fn unit(&self, view: &View<'_>) -> Option<Unit> {
        view.cases.iter().find_map(|c| c.metric(self.metric)).map(|m| m.unit)
    }

    fn series(&self, view: &View<'_>, point: impl Fn(&Summary, &Summary) -> Option<Point>) -> Vec<Series> {
        let platform_series = |platform: &PlatformId| {
            let rungs = rungs(view, platform, self.along);
            let first = self.summary(rungs.first()?)?;
            let place = |c: &&CaseResult| {
                let x = f64::from(self.along.position(&c.case));
                let point = point(self.summary(c)?, first)?;
                Some(Point { x, hover: format!("at {x}: {}", point.hover), ..point })
            };
            let points: Vec<Point> = rungs.iter().filter_map(place).collect();
            Some(Series { name: view.name(platform), origin: Origin::Measured, slot: view.slot(platform), points })
        };
        view.platforms().iter().filter_map(platform_series).collect()
    }

    fn figure(
        &self,
        view: &View<'_>,
        series: Vec<Series>,
        unit: Unit,
        part: &str,
        title: &str,
        references: Vec<Reference>,
    ) -> Option<Figure> {
        if series.iter().all(|s| s.points.is_empty()) {
            return None;
        }
        let relative = unit == Unit::Ratio && !references.is_empty();
        let (scale, start) =
            if needs_log_axis(&series, unit) { (AxisScale::Log, Start::Fit) } else { (AxisScale::Linear, self.start) };
        let label = if relative { format!("{} (ratio to 0 background)", self.label) } else { self.label.to_owned() };
        Some(Figure {
            id: view.id(part),
            title: title.to_owned(),
            caption: caption(view, &series),
            alternative: alternative(title, &series, self.along, unit, relative),
            plot: Plot::Lines(LineChart {
                x: self.along.axis(),
                y: Axis { label, unit, scale, start },
                series,
                references,
            }),
        })
    }
}

fn point(summary: &Summary, unit: f64, text: impl Fn(f64) -> String) -> Point {
    let mean = summary.mean / unit;
    let sd = summary.sd.map(|sd| sd / unit);
    // No time or size is below zero, so a bar ends there.
    let floor = if mean >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let spread = sd.map(|sd| ((mean - sd).max(floor), mean + sd));
    let plus_minus = sd.map_or_else(String::new, |sd| format!(" ± {}", text(sd)));
    let hover = format!("{}{plus_minus} (mean of {})", text(mean), summary.count);
    Point { x: 0.0, y: mean, spread, hover }
}

fn caption(view: &View<'_>, series: &[Series]) -> String {
    let published = match series.iter().any(|s| s.origin == Origin::Published) {
        true => " Dashed: published means from another machine, cited below.",
        false => "",
    };
    format!("{}. Error bars or band: one standard deviation in each direction.{published}", trials(view, series))
}

/// `Mean of 5 trials at each point`, or `Mean of 3 to 5 trials at each point`.
fn trials(view: &View<'_>, series: &[Series]) -> String {
    let names: Vec<&str> = series.iter().map(|s| s.name.as_str()).collect();
    let counts =
        view.cases.iter().filter(|c| names.contains(&view.name(&c.case.platform).as_str())).map(|c| c.counts.ok);
    let (least, most) = counts.filter(|&n| n > 0).fold((usize::MAX, 0), |(lo, hi), n| (lo.min(n), hi.max(n)));
    match (least, most) {
        (_, 0) => "Nothing measured".into(),
        (a, b) if a == b => format!("Mean of {} at each point", super::text::count(a, "trial")),
        (a, b) => format!("Mean of {a} to {b} trials at each point"),
    }
}

fn alternative(title: &str, series: &[Series], along: Along, unit: Unit, relative: bool) -> String {
    let text = |v: f64| if relative { times(v) } else { Scale::of(unit, v).text(v) };
    let words = |s: &Series| match (s.points.first(), s.points.last()) {
        (Some(a), Some(b)) if a.x < b.x => {
            format!(" {}: {} at {} {what}, {} at {}.", s.name, text(a.y), a.x, text(b.y), b.x, what = along.label())
        }
        (Some(a), _) => format!(" {}: {} at {} {}.", s.name, text(a.y), a.x, along.label()),
        _ => format!(" {}: nothing measured.", s.name),
    };
    format!("{title}.{}", series.iter().map(words).collect::<String>())
}

/// `; each background instance adds 3.4 µs (Theil-Sen over 5 levels, 95 % 3.1 to 3.9 µs)`: only if the levels were
/// visited in shuffled order, since on a rising ladder drift looks like a trend, and are enough for an interval.
pub(super) fn trend(view: &View<'_>, rungs: &[&CaseResult], metric: &MetricInfo) -> Option<String> {
    if view.run.file.configuration.ladder_order() != LadderOrder::Shuffled {
        return None;
    }
    let point = |c: &&CaseResult| Some((f64::from(c.case.background), c.summary(metric)?.median));
    let points: Vec<(f64, f64)> = rungs.iter().filter_map(point).collect();
    let unit = rungs.iter().find_map(|c| c.metric(metric))?.unit;
    let fit = theil_sen(&points, Level::P95).ok()?;
    let interval = fit.interval?;
    if interval.contains(0.0) {
        return Some(format!("; no trend detected over {} levels", points.len()));
    }
    let scale = Scale::of(unit, interval.low.abs().max(interval.high.abs()));
    let (verb, low, high) = match fit.slope < 0.0 {
        true => ("subtracts", -interval.high, -interval.low),
        false => ("adds", interval.low, interval.high),
    };
    Some(format!(
        "; each background instance {verb} {} (Theil-Sen over {} levels, 95 % {} to {})",
        scale.text(fit.slope.abs()),
        points.len(),
        scale.number(low),
        scale.text(high),
    ))
}
