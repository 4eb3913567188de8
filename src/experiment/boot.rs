//! Boot time: from asking for an instance to its program's first line, its end and its removal, beside a background of
//! sleepers.

use super::stage::{Stage, time};
use super::{Measured, victim};
use crate::engine::Background;
use crate::plan::PlannedTrial;
use crate::platform::{Error, Event, Events, Milestone};
use crate::store::Metric;

pub(super) fn run(
    stage: &Stage<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(stage, trial.background, None)?;
    let spec = stage.spec(trial.workload, &[], None, None)?;
    let stopped = victim::live(stage, &spec, Milestone::Main, &mut measured.events)?;
    victim::ended_well(&spec.name, stopped.exit)?;
    measured.metrics = spans(&spec.name, &stopped.events)?;
    Ok(())
}

/// `boot` from spawn to main, the headline; `boot_whole` from spawn to exit, the main source's span; `removal` from exit to
/// gone.
fn spans(name: &str, events: &Events) -> Result<Vec<Metric>, Error> {
    Ok(vec![
        time("boot", victim::span(name, events, Event::Spawn, Event::Main)?),
        time("boot_whole", victim::span(name, events, Event::Spawn, Event::Exit)?),
        time("removal", victim::span(name, events, Event::Exit, Event::Gone)?),
    ])
}
