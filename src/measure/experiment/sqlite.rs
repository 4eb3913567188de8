//! The SQLite victim: it works by itself and reports how long that took.

use super::{Measured, victim};
use crate::guest::GuestLine;
use crate::measure::trial::TrialRig;
use crate::model::event::{Event, Events};
use crate::model::metric;
use crate::model::record::Metric;
use crate::platform::{Error, LaunchSpec, Milestone, Stopped};
use crate::stats;

/// How far the guest's own time may be from the harness's, as a share of it, before the trial is flagged: then the harness
/// was kept from reading the guest's lines.
const DISAGREEMENT: f64 = 0.05;

/// The arguments of the guest.
pub(super) fn arguments(rows: u32) -> Vec<String> {
    vec![format!("rows={rows}")]
}

/// One victim. Its placement is verified while it sets up.
pub(super) fn alone(rig: &TrialRig<'_>, spec: &LaunchSpec, measured: &mut Measured) -> Result<(), Error> {
    let (stopped, _) = victim::live(rig, spec, &mut measured.events, |instance, deadline| {
        victim::is_placed(rig, instance, spec)?;
        instance.wait_for(Milestone::Result, deadline)?;
        instance.wait_for(Milestone::Exit, deadline)
    })?;
    measured.metrics = metrics(&spec.name, rig.configuration.rows(), &stopped)?;
    measured.flags.extend(disagreement(&measured.metrics));
    Ok(())
}

/// N victims at once: the median of their times, their total throughput and their fairness.
pub(super) fn together(rig: &TrialRig<'_>, specs: &[LaunchSpec], measured: &mut Measured) -> Result<(), Error> {
    let stopped = live_together(rig, specs, &mut measured.events)?;
    let rows = rig.configuration.rows();
    let each = |(spec, stopped): (&LaunchSpec, &Stopped)| metrics(&spec.name, rows, stopped);
    let victims = specs.iter().zip(&stopped).map(each).collect::<Result<Vec<_>, _>>()?;
    let apart: Vec<String> = victims.iter().filter_map(|metrics| disagreement(metrics)).collect();
    if let Some(first) = apart.first() {
        measured.flags.push(format!("{} of {} victims, such as one where {first}", apart.len(), victims.len()));
    }
    let times: Vec<f64> =
        victims.iter().flatten().filter(|m| m.name == metric::INSERT_TIME.name).map(|m| m.value).collect();
    let sample = stats::Sample::new(times.clone()).map_err(|e| Error::failed("summarize the victims", e))?;
    let rates: Vec<f64> = times.iter().map(|ns| f64::from(rows) * 1e9 / ns).collect();
    let total = rates.iter().sum();
    let shares = stats::Sample::new(rates).map_err(|e| Error::failed("summarize the victims", e))?;
    measured.metrics =
        vec![Metric { samples: times, ..metric::INSERT_TIME.of(stats::median(&sample)) }, metric::THROUGHPUT.of(total)];
    measured.metrics.extend(stats::jain(&shares).map(|fairness| metric::FAIRNESS.of(fairness)));
    Ok(())
}

/// Runs several victims at once; `seen` gets the first one's events even if another failed.
fn live_together(rig: &TrialRig<'_>, specs: &[LaunchSpec], seen: &mut Events) -> Result<Vec<Stopped>, Error> {
    let quiet = rig.quiet();
    let stopped = rig.with_group(|group| {
        let deadline = rig.deadline();
        let waited = group
            .launch_and_wait(rig.platform, specs, Milestone::Result, deadline)
            .and_then(|()| group.wait(Milestone::Exit, deadline));
        if let Some(first) = group.members().first() {
            seen.clone_from(first.events());
        }
        waited?;
        group.shrink(rig.platform, 0)
    });
    drop(quiet);
    stopped
}

/// The contradiction between the host's and the guest's time, if there is one.
fn disagreement(metrics: &[Metric]) -> Option<String> {
    let value = |name: &str| metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value);
    let (harness, guest) = (value(metric::INSERT_TIME.name)?, value(metric::INSERT_TIME_GUEST.name)?);
    let share = (harness - guest) / harness;
    let word = if share > 0.0 { "less" } else { "more" };
    let percent = share.abs() * 100.0;
    (share.abs() > DISAGREEMENT)
        .then(|| format!("the guest's own clock measured {percent:.0} % {word} than {}", metric::INSERT_TIME.name))
}

/// The metrics of a victim that ended: its time on the host's clock, from `FW ready` to `FW result`, and the guest's own
/// time as a cross-check.
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
            format!("it does not report {rows} rows: {result:?}"),
        ));
    }
    let span = victim::span(name, &stopped.events, Event::Ready, Event::Result)?;
    let mut metrics = vec![metric::INSERT_TIME.of(span.0 as f64)];
    metrics.extend(number("insert_ns").map(|ns| metric::INSERT_TIME_GUEST.of(ns as f64)));
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::alike(100, Some(96), None)]
    #[case::read_late(100, Some(80), Some("the guest's own clock measured 20 % less than insert_time"))]
    #[case::guest_ahead(100, Some(107), Some("the guest's own clock measured 7 % more than insert_time"))]
    #[case::not_reported(100, None, None)]
    fn two_times_that_disagree_are_flagged(
        #[case] harness: u64,
        #[case] guest: Option<u64>,
        #[case] expected: Option<&str>,
    ) {
        let mut metrics = vec![metric::INSERT_TIME.of(harness as f64)];
        metrics.extend(guest.map(|ns| metric::INSERT_TIME_GUEST.of(ns as f64)));
        assert_eq!(disagreement(&metrics).as_deref(), expected);
    }
}
