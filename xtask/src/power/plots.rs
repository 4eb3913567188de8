//! The figures of `docs/regressions.md` and `docs/regressions-tables.md`.

use crate::power::proof::{Contender, Roc};
use featherweight::model::units::Unit;
use featherweight::report::figures::{
    Arrangement, Axis, AxisScale, Bar, BarChart, BarSeries, Figure, LineChart, Origin, Plot, Point, Reference, Series,
    Start,
};
use featherweight::stats::{Sample, median};

use super::lab::Lab;
use super::replay::Tapes;

/// The slowdowns along the axis of the power curves, in per cent.
const SWEEP: [f64; 8] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0];
/// The shares of false alarms at which a ROC is drawn, in per cent.
const ALARMS: [f64; 14] = [0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0];
/// Trials of one point of the recordings' figure.
const TOGETHER: usize = 40;

/// All figures.
pub(super) fn figures(lab: Lab, tapes: &Tapes, curves: &[(String, Vec<(Contender, Roc)>)]) -> Vec<Figure> {
    let mut figures = vec![recordings(tapes), alarms(lab, tapes), power(lab, tapes)];
    figures.extend(pick(curves, "+2 % synthetic").map(|(name, rules)| roc("roc-synthetic", name, rules)));
    figures.extend(pick(curves, ", injected").map(|(name, rules)| roc("roc-injected", name, rules)));
    figures
}

/// The curve in which the rules differ most: the one with the smallest area of all.
fn pick<'c>(curves: &'c [(String, Vec<(Contender, Roc)>)], ending: &str) -> Option<(&'c str, &'c [(Contender, Roc)])> {
    let least = |rules: &[(Contender, Roc)]| {
        rules.iter().filter(|(rule, _)| *rule == Contender::OneStage).map(|(_, roc)| roc.area).fold(1.0, f64::min)
    };
    let named = curves.iter().filter(|(name, _)| name.ends_with(ending));
    let hardest = named.min_by(|a, b| least(&a.1).total_cmp(&least(&b.1)));
    hardest.map(|(name, rules)| (name.as_str(), rules.as_slice()))
}

fn axis(label: &str, start: Start) -> Axis {
    Axis { label: label.to_owned(), unit: Unit::Ratio, scale: AxisScale::Linear, start }
}

fn line(name: &str, slot: usize, points: impl Iterator<Item = (f64, f64, String)>) -> Series {
    let point = |(x, y, hover)| Point { x, y, spread: None, hover };
    Series { name: name.to_owned(), origin: Origin::Measured, slot, points: points.map(point).collect() }
}

/// The drift of the recordings: medians of consecutive trials compared with the median of the whole recording.
fn recordings(tapes: &Tapes) -> Figure {
    let middle = |values: &[f64]| Sample::new(values.to_vec()).map_or(f64::NAN, |s| median(&s));
    let series = tapes.same.iter().enumerate().map(|(slot, tape)| {
        let all = middle(&tape.a);
        let point = |(i, part): (usize, &[f64])| {
            let (x, y) = (((i + 1) * TOGETHER) as f64, 100.0 * (middle(part) / all - 1.0));
            (x, y, format!("{y:+.1} % up to trial {x:.0}"))
        };
        line(&tape.name, slot, tape.a.chunks_exact(TOGETHER).enumerate().map(point))
    });
    Figure {
        id: "recordings".to_owned(),
        title: "Drift of the recordings".to_owned(),
        caption: format!(
            "Medians of {TOGETHER} consecutive trials compared with the median of the whole recording. Nothing was changed."
        ),
        alternative: "Lines that wander around zero by some per cent while the same case is measured again and again."
            .to_owned(),
        plot: Plot::Lines(LineChart {
            x: axis("trial", Start::Zero),
            y: axis("per cent from the median of all", Start::Fit),
            series: series.collect(),
            references: vec![Reference { value: 0.0, label: String::new() }],
        }),
    }
}

/// False alarms by rule and recording.
fn alarms(lab: Lab, tapes: &Tapes) -> Figure {
    let series = tapes.same.iter().enumerate().map(|(slot, tape)| {
        let bar = |rule: Contender| {
            let tally = lab.tally(&format!("aa {}", tape.name), (rule, lab.sessions), tape.same(0.0));
            match tally.sessions {
                0 => Bar::Missing,
                n => {
                    let value = 100.0 * tally.either();
                    Bar::Value { value, spread: None, hover: format!("{value:.2} % of {n} sessions, {}", rule.name()) }
                }
            }
        };
        let bars = Contender::ALL.into_iter().map(bar).collect();
        BarSeries { name: tape.name.clone(), origin: Origin::Measured, slot, bars }
    });
    Figure {
        id: "false-alarms".to_owned(),
        title: "False alarms".to_owned(),
        caption: "The share of sessions with a reported difference on recordings compared with themselves.".to_owned(),
        alternative: "Bars by rule: high if A is measured before B, none for interleaved blocks with a confirmation."
            .to_owned(),
        plot: Plot::Bars(BarChart {
            y: axis("per cent of sessions", Start::Zero),
            arrangement: Arrangement::Grouped,
            groups: Contender::ALL.map(|rule| rule.short().to_owned()).to_vec(),
            series: series.collect(),
            references: Vec::new(),
        }),
    }
}

/// Detection by the size of the slowdown, over all recordings.
fn power(lab: Lab, tapes: &Tapes) -> Figure {
    let few = Lab { sessions: (lab.sessions / 8).max(1), ..lab };
    let found = |rule: Contender, effect: f64| {
        let tallies: Vec<f64> =
            tapes.same.iter().map(|t| tapes.shifted(few, t, rule, effect / 100.0).alarms()).collect();
        100.0 * tallies.iter().sum::<f64>() / tallies.len() as f64
    };
    let series = Contender::ALL.into_iter().enumerate().map(|(slot, rule)| {
        eprintln!("power curve: {}", rule.name());
        let point = |effect| {
            let y = found(rule, effect);
            (effect, y, format!("{y:.1} % at +{effect} %"))
        };
        line(rule.short(), slot, SWEEP.into_iter().map(point))
    });
    Figure {
        id: "power".to_owned(),
        title: "Detection by the size of the slowdown".to_owned(),
        caption: "The share of sessions that reported B as slower, over all recordings with B's values multiplied."
            .to_owned(),
        alternative: "Curves from no slowdown to 10 %: ours stays at zero up to 1 % and is near 100 % from 5 %."
            .to_owned(),
        plot: Plot::Lines(LineChart {
            x: axis("slowdown, per cent", Start::Zero),
            y: axis("found, per cent of sessions", Start::Zero),
            series: series.collect(),
            references: vec![Reference { value: 95.0, label: "95 %".to_owned() }],
        }),
    }
}

/// The curves of one slowdown.
fn roc(id: &str, name: &str, rules: &[(Contender, Roc)]) -> Figure {
    let series = rules.iter().map(|(rule, roc)| {
        let slot = Contender::ALL.iter().position(|of| of == rule).unwrap_or(0);
        let points = roc.thinned(&ALARMS.map(|x| x / 100.0)).into_iter().map(|(x, y)| {
            (100.0 * x, 100.0 * y, format!("{:.1} % found for {:.1} % false alarms", 100.0 * y, 100.0 * x))
        });
        line(rule.short(), slot, points)
    });
    Figure {
        id: id.to_owned(),
        title: format!("ROC curves: {name}"),
        caption: "Every rule with all values of its own threshold, at equal cost.".to_owned(),
        alternative: "Curves from no session to every session flagged: the further up and to the left, the better."
            .to_owned(),
        plot: Plot::Lines(LineChart {
            x: axis("false alarms, per cent of sessions", Start::Zero),
            y: axis("found, per cent of sessions", Start::Zero),
            series: series.collect(),
            references: Vec::new(),
        }),
    }
}
