//! One placement's slowdowns: a group of bars per attacker, a bar per platform.

use super::{Neighbor, find, lookup, neighbor_name, neighbors, place, published_platforms};
use crate::model::metric::MetricInfo;
use crate::model::placement::Placement;
use crate::model::platform::PlatformId;
use crate::model::units::Unit;
use crate::report::figures::{
    Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, Origin, Plot, Reference, Start,
};
use crate::report::model::text::{ratio, ratio_spread, times};
use crate::report::model::victim::{Victim, victim};
use crate::report::model::{CaseResult, View};
use crate::report::published::{Published, PublishedSlowdown};
use crate::stats::Response;

/// The largest slowdown on a linear axis. A larger one would flatten all others.
const LINEAR_RANGE: f64 = 5.0;

/// The figure of a placement; `None` without a measurement.
pub(super) fn figure(view: &View<'_>, placement: Placement, published: &Published) -> Option<Figure> {
    let victim = victim(&view.workload);
    let who = neighbors(view);
    let series = series(view, placement, published, &who)?;
    let is_long =
        series.iter().flat_map(|s| &s.bars).any(|b| matches!(b, Bar::Value { value, .. } if *value > LINEAR_RANGE));
    let (scale, start) = if is_long { (AxisScale::Log, Start::Fit) } else { (AxisScale::Linear, Start::Zero) };
    let title = format!("{}: attackers {}", victim.name, place(placement));
    Some(Figure {
        id: view.id(placement.name()),
        caption: caption(victim),
        alternative: alternative(&title, &who, &series),
        title,
        plot: Plot::Bars(BarChart {
            y: Axis { label: "slowdown, 1 = alone".into(), unit: Unit::Ratio, scale, start },
            arrangement: Arrangement::Grouped,
            groups: who.iter().map(|w| neighbor_name(*w)).collect(),
            series,
            references: vec![Reference { value: 1.0, label: String::new() }],
        }),
    })
}

fn series(view: &View<'_>, placement: Placement, published: &Published, who: &[Neighbor]) -> Option<Vec<BarSeries>> {
    let metric = victim(&view.workload).metric;
    let ours = |platform: &PlatformId| BarSeries {
        name: view.name(platform),
        origin: Origin::Measured,
        slot: view.slot(platform),
        bars: who.iter().map(|w| bar(find(view, platform, placement, *w), metric)).collect(),
    };
    let theirs = |(slot, platform): (usize, &String)| BarSeries {
        name: format!("{platform}, published"),
        origin: Origin::Published,
        slot,
        bars: who.iter().map(|w| published_bar(lookup(view, published, platform, *w, placement))).collect(),
    };
    let has_values = |s: &BarSeries| s.bars.iter().any(|b| !matches!(b, Bar::Missing));
    let mut series: Vec<BarSeries> = view.platforms().iter().map(ours).filter(has_values).collect();
    if series.is_empty() {
        return None;
    }
    series.extend(published_platforms(view, published).iter().enumerate().map(theirs).filter(has_values));
    Some(series)
}

fn caption(victim: &Victim) -> String {
    let theirs = match victim.has_throughput() {
        true => {
            " The published figure shows the throughput that is left, which is 1 divided by the slowdown: 2 × here is \
             0.5 there."
        }
        false => "",
    };
    format!(
        "Slowdown of the {} victim compared with the same victim alone, paired by round; error bars: 95 % interval. At 1 \
         nothing changed; the placebo is an idle neighbor.{theirs}",
        victim.name
    )
}

fn bar(case: Option<&CaseResult>, metric: &MetricInfo) -> Bar {
    match case.and_then(|c| c.response(metric)) {
        None => Bar::Missing,
        Some(r @ Response::DidNotRespond { .. }) => Bar::Label("DNR".into(), ratio_spread(r)),
        Some(r @ Response::Slowdown(s)) => Bar::Value {
            value: s.ratio,
            spread: s.interval.map(|i| (i.low, i.high)),
            hover: format!("{} ({})", ratio(r), ratio_spread(r)),
        },
    }
}

fn published_bar(theirs: Option<&PublishedSlowdown>) -> Bar {
    let Some(s) = theirs else { return Bar::Missing };
    let value = 1.0 + s.percent / 100.0;
    Bar::Value { value, spread: None, hover: format!("{} (published, no interval)", times(value)) }
}

fn alternative(title: &str, who: &[Neighbor], series: &[BarSeries]) -> String {
    let word = |(w, bar): (&Neighbor, &Bar)| match bar {
        Bar::Value { value, .. } => Some(format!("{} {}", neighbor_name(*w), times(*value))),
        Bar::Label(word, _) => Some(format!("{} {word}", neighbor_name(*w))),
        Bar::Missing => None,
    };
    let sentence = |s: &BarSeries| {
        let words: Vec<String> = who.iter().zip(&s.bars).filter_map(word).collect();
        format!(" {}: {}.", s.name, words.join(", "))
    };
    format!("{title}.{}", series.iter().map(sentence).collect::<String>())
}
