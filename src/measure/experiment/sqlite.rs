//! The SQLite victim: it works by itself, and its lines tell how long.

use super::{Measured, victim};
use crate::guest::GuestLine;
use crate::measure::trial::Stage;
use crate::measure::trial::{higher, lower, time};
use crate::model::event::{Event, Events};
use crate::model::record::Metric;
use crate::model::units::{Nanos, Unit};
use crate::platform::{Error, LaunchSpec, Milestone, Stopped};
use crate::stats;

/// How far the guest's own measure may be from the harness's, as a share of it, before the trial is flagged: the harness
/// was kept from reading the guest's lines then.
const DISAGREEMENT: f64 = 0.05;

/// The arguments of the guest.
pub(super) fn arguments(rows: u32) -> Vec<String> {
    vec![format!("rows={rows}")]
}

/// One victim. Its placement is read back while it sets up.
pub(super) fn alone(stage: &Stage<'_>, spec: &LaunchSpec, measured: &mut Measured) -> Result<(), Error> {
    let (stopped, _) = victim::live(stage, spec, &mut measured.events, |instance, deadline| {
        victim::is_placed(stage, instance, spec)?;
        instance.wait_for(Milestone::Result, deadline)?;
        instance.wait_for(Milestone::Exit, deadline)
    })?;
    measured.metrics = metrics(&spec.name, stage.configuration.rows(), &stopped)?;
    measured.flags.extend(disagreement(&measured.metrics));
    Ok(())
}

/// N victims at once: the median of their times with each one's own, what they did together, and how fairly.
pub(super) fn together(stage: &Stage<'_>, specs: &[LaunchSpec], measured: &mut Measured) -> Result<(), Error> {
    let stopped = live_together(stage, specs, &mut measured.events)?;
    let rows = stage.configuration.rows();
    let each = |(spec, stopped): (&LaunchSpec, &Stopped)| metrics(&spec.name, rows, stopped);
    let victims = specs.iter().zip(&stopped).map(each).collect::<Result<Vec<_>, _>>()?;
    let apart: Vec<String> = victims.iter().filter_map(|metrics| disagreement(metrics)).collect();
    if let Some(first) = apart.first() {
        measured.flags.push(format!("{} of {} victims, such as one where {first}", apart.len(), victims.len()));
    }
    let times: Vec<f64> = victims.iter().flatten().filter(|m| m.name == "insert_time").map(|m| m.value).collect();
    let sample = stats::Sample::new(times.clone()).map_err(|e| Error::failed("summarise the victims", e))?;
    let rates: Vec<f64> = times.iter().map(|ns| f64::from(rows) * 1e9 / ns).collect();
    let total = rates.iter().sum();
    let shares = stats::Sample::new(rates).map_err(|e| Error::failed("summarise the victims", e))?;
    measured.metrics = vec![
        Metric { samples: times, ..lower("insert_time", Unit::Nanos, stats::median(&sample)) },
        higher("throughput", Unit::PerSecond, total),
    ];
    measured.metrics.extend(stats::jain(&shares).map(|fairness| higher("fairness", Unit::Ratio, fairness)));
    Ok(())
}

/// The lives of several victims at once; the first one's events are in `seen` even if another failed.
fn live_together(stage: &Stage<'_>, specs: &[LaunchSpec], seen: &mut Events) -> Result<Vec<Stopped>, Error> {
    let quiet = stage.quiet();
    let stopped = stage.with_group(|crew| {
        let deadline = stage.deadline();
        let waited = crew
            .launch_and_wait(stage.platform, specs, Milestone::Result, deadline)
            .and_then(|()| crew.wait(Milestone::Exit, deadline));
        if let Some(first) = crew.members().first() {
            seen.clone_from(first.events());
        }
        waited?;
        crew.shrink(stage.platform, 0)
    });
    drop(quiet);
    stopped
}

/// How the two measures of one time contradict each other, if they do.
fn disagreement(metrics: &[Metric]) -> Option<String> {
    let value = |name: &str| metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value);
    let (harness, guest) = (value("insert_time")?, value("insert_time_guest")?);
    let share = (harness - guest) / harness;
    let word = if share > 0.0 { "less" } else { "more" };
    (share.abs() > DISAGREEMENT)
        .then(|| format!("the guest's own clock tells {:.0} % {word} than insert_time", share.abs() * 100.0))
}

/// The numbers of a victim that ended: `insert_time` on the host's clock, from `FW ready` to `FW result`, and
/// `insert_time_guest`, the guest's own measure, as a cross-check.
fn metrics(name: &str, rows: u32, stopped: &Stopped) -> Result<Vec<Metric>, Error> {
    victim::ended_well(name, stopped.exit)?;
    let result = stopped.lines.iter().find_map(|stamped| match &stamped.line {
        GuestLine::Result(result) => Some(result),
        _ => None,
    });
    let number = |key: &str| result.and_then(|r| r.get(key)).and_then(serde_json::Value::as_u64);
    if number("rows") != Some(u64::from(rows)) {
        return Err(Error::failed(
            format!("read the result of {name}"),
            format!("it does not tell {rows} rows: {result:?}"),
        ));
    }
    let mut metrics = vec![time("insert_time", victim::span(name, &stopped.events, Event::Ready, Event::Result)?)];
    metrics.extend(number("insert_ns").map(|ns| time("insert_time_guest", Nanos(ns))));
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::alike(100, Some(96), None)]
    #[case::read_late(100, Some(80), Some("the guest's own clock tells 20 % less than insert_time"))]
    #[case::guest_ahead(100, Some(107), Some("the guest's own clock tells 7 % more than insert_time"))]
    #[case::not_told(100, None, None)]
    fn two_measures_that_disagree_are_told(
        #[case] harness: u64,
        #[case] guest: Option<u64>,
        #[case] told: Option<&str>,
    ) {
        let mut metrics = vec![time("insert_time", Nanos(harness))];
        metrics.extend(guest.map(|ns| time("insert_time_guest", Nanos(ns))));
        assert_eq!(disagreement(&metrics).as_deref(), told);
    }
}
