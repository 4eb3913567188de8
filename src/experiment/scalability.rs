//! Scalability: a SQLite victim beside N idle instances, and N victims at once.

use super::stage::{Stage, higher, lower};
use super::{Measured, victim};
use crate::engine::Background;
use crate::plan::PlannedTrial;
use crate::platform::{Error, Events, Milestone, Stopped};
use crate::stats;
use crate::store::{Cpus, Metric};
use crate::units::Unit;

pub(super) fn run(stage: &Stage<'_>, background: &mut Background, trial: &PlannedTrial) -> Result<Measured, Error> {
    background.ensure(stage, trial.background, None)?;
    let rows = stage.configuration.rows;
    let arguments = victim::sqlite_arguments(rows);
    let specs = (0..trial.victims)
        .map(|_| stage.spec(trial.workload, &arguments, None, None))
        .collect::<Result<Vec<_>, _>>()?;

    let quiet = stage.quiet();
    let stopped = stage.with_crew(|crew| {
        crew.launch(stage.platform, &specs)?;
        let deadline = stage.deadline();
        crew.wait_at_once(Milestone::Result, deadline)?;
        crew.wait(Milestone::Exit, deadline)?;
        crew.shrink(stage.platform, 0)
    });
    drop(quiet);
    let stopped = stopped?;

    let mut metrics = match stopped.as_slice() {
        [one] => victim::sqlite_metrics(&specs[0].name, rows, one)?,
        several => together(&specs[0].name, rows, several)?,
    };
    metrics.extend(background.contexts().map(|(_, now)| now.metrics()).unwrap_or_default());
    let events = stopped.into_iter().next().map_or_else(Events::new, |first| first.events);
    Ok(Measured { metrics, events, cpus: Cpus::default(), attack_ops: None })
}

/// N victims at once: the median of their times with each one's own, what they did together, and how fairly.
fn together(name: &str, rows: u32, stopped: &[Stopped]) -> Result<Vec<Metric>, Error> {
    let victims = stopped.iter().map(|s| victim::sqlite_metrics(name, rows, s)).collect::<Result<Vec<_>, _>>()?;
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
