//! Scalability: a SQLite victim beside N idle instances, and N victims at once.

use super::stage::{Stage, higher, lower};
use super::{Measured, victim};
use crate::engine::Background;
use crate::plan::PlannedTrial;
use crate::platform::{Error, Events, LaunchSpec, Milestone, Stopped};
use crate::stats;
use crate::store::Metric;
use crate::units::Unit;

pub(super) fn run(
    stage: &Stage<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(stage, trial.background, None)?;
    let rows = stage.configuration.rows;
    let arguments = victim::sqlite_arguments(rows);
    let specs = (0..trial.victims)
        .map(|_| stage.spec(trial.workload, &arguments, None, None))
        .collect::<Result<Vec<_>, _>>()?;
    if let [alone] = specs.as_slice() {
        let stopped = victim::live(stage, alone, Milestone::Result, &mut measured.events)?;
        measured.metrics = victim::sqlite_metrics(&alone.name, rows, &stopped)?;
    } else {
        let stopped = live_together(stage, &specs, &mut measured.events)?;
        measured.metrics = together(&specs, rows, &stopped)?;
    }
    Ok(())
}

/// The lives of several victims at once; the first one's events are in `seen` even if another failed.
fn live_together(stage: &Stage<'_>, specs: &[LaunchSpec], seen: &mut Events) -> Result<Vec<Stopped>, Error> {
    let quiet = stage.quiet();
    let stopped = stage.with_crew(|crew| {
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

/// N victims at once: the median of their times with each one's own, what they did together, and how fairly.
fn together(specs: &[LaunchSpec], rows: u32, stopped: &[Stopped]) -> Result<Vec<Metric>, Error> {
    let metrics = |(spec, stopped): (&LaunchSpec, &Stopped)| victim::sqlite_metrics(&spec.name, rows, stopped);
    let victims = specs.iter().zip(stopped).map(metrics).collect::<Result<Vec<_>, _>>()?;
    let times: Vec<f64> = victims.iter().flatten().filter(|m| m.name == "insert_time").map(|m| m.value).collect();
    let sample = stats::Sample::new(times.clone()).map_err(|e| Error::failed("summarise the victims", e))?;
    let rates: Vec<f64> = times.iter().map(|ns| f64::from(rows) * 1e9 / ns).collect();
    let total = rates.iter().sum();
    let shares = stats::Sample::new(rates).map_err(|e| Error::failed("summarise the victims", e))?;
    let mut metrics = vec![
        Metric { samples: times, ..lower("insert_time", Unit::Nanos, stats::median(&sample)) },
        higher("throughput", Unit::PerSecond, total),
    ];
    metrics.extend(stats::jain(&shares).map(|fairness| higher("fairness", Unit::Ratio, fairness)));
    Ok(metrics)
}
