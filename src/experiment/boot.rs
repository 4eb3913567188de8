//! Boot time: from asking for an instance to its program's first line, its end and its removal, beside a background of
//! sleepers.

use super::stage::{Stage, time};
use super::{Measured, victim};
use crate::engine::Background;
use crate::plan::PlannedTrial;
use crate::platform::{Error, Event, Events, Milestone};
use crate::store::{Cpus, Metric};
use crate::units::Nanos;

pub(super) fn run(stage: &Stage<'_>, background: &mut Background, trial: &PlannedTrial) -> Result<Measured, Error> {
    background.ensure(stage, trial.background, None)?;
    let spec = stage.spec(trial.workload, &[], None, None)?;
    let name = spec.name.clone();
    let deadline = stage.deadline();

    let quiet = stage.quiet();
    let mut instance = stage.platform.launch(&spec)?;
    let waited =
        instance.wait_for(Milestone::Main, deadline).and_then(|_| instance.wait_for(Milestone::Exit, deadline));
    let stopped = instance.stop();
    drop(quiet);
    waited?;
    let stopped = stopped?;

    victim::ended_well(&name, stopped.exit)?;
    let mut metrics = spans(&name, &stopped.events)?;
    metrics.extend(background.contexts().map(|(_, now)| now.metrics()).unwrap_or_default());
    Ok(Measured { metrics, events: stopped.events, cpus: Cpus::default(), attack_ops: None })
}

/// `boot` from spawn to main, the headline; `boot_whole` from spawn to exit, the main source's span; `removal` from exit to
/// gone.
fn spans(name: &str, events: &Events) -> Result<Vec<Metric>, Error> {
    Ok(vec![
        time("boot", span(name, events, Event::Spawn, Event::Main)?),
        time("boot_whole", span(name, events, Event::Spawn, Event::Exit)?),
        time("removal", span(name, events, Event::Exit, Event::Gone)?),
    ])
}

/// The positive span between two events.
///
/// # Errors
/// A missing event, or a span that is not positive, is a failed trial, never a number.
pub(super) fn span(name: &str, events: &Events, from: Event, to: Event) -> Result<Nanos, Error> {
    let instant = |event| events.get(&event).copied();
    let span = instant(from).zip(instant(to)).and_then(|(from, to)| to.since(from));
    span.ok_or_else(|| Error::failed(format!("time {name}"), format!("no positive span from {from} to {to}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_that_is_missing_or_not_positive_is_a_failure() {
        let events = Events::from([(Event::Spawn, Nanos(5)), (Event::Main, Nanos(9)), (Event::Exit, Nanos(5))]);
        assert_eq!(span("i", &events, Event::Spawn, Event::Main).unwrap(), Nanos(4));
        assert!(span("i", &events, Event::Spawn, Event::Exit).is_err());
        assert!(span("i", &events, Event::Spawn, Event::Gone).is_err());
    }
}
