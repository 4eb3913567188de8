//! Boot time: from asking for an instance to its program's first line, its end and its removal, beside a background. A
//! server is awaited until it serves, and then ended.

use super::stage::{Stage, time};
use super::{Measured, victim};
use crate::engine::Background;
use crate::plan::PlannedTrial;
use crate::platform::{Error, Event, Events, Instance, Milestone, Purpose};
use crate::store::Metric;
use crate::units::Nanos;

pub(super) fn run(
    stage: &Stage<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(stage, trial, None)?;
    let spec = stage.spec(trial, trial.workload, Purpose::Measured)?;
    let serves = trial.workload.is_server();
    let wait = |instance: &mut dyn Instance, deadline: Nanos| {
        instance.wait_for(Milestone::Main, deadline)?;
        instance.wait_for(if serves { Milestone::Ready } else { Milestone::Exit }, deadline)
    };
    let (stopped, _) = victim::live(stage, &spec, &mut measured.events, wait)?;
    if !serves {
        victim::ended_well(&spec.name, stopped.exit)?;
    }
    measured.metrics = spans(&spec.name, &stopped.events, if serves { SERVER } else { PROGRAM })?;
    if stopped.events.contains_key(&Event::Created) {
        measured.metrics.extend(spans(&spec.name, &stopped.events, &PARTS[..if serves { 2 } else { 3 }])?);
    }
    Ok(())
}

type Span = (&'static str, Event, Event);

/// `boot` is the headline; `boot_whole` is the main source's span.
const PROGRAM: &[Span] = &[
    ("boot", Event::Spawn, Event::Main),
    ("boot_whole", Event::Spawn, Event::Exit),
    ("removal", Event::Exit, Event::Gone),
];

/// A server's end is the harness's doing.
const SERVER: &[Span] = &[
    ("boot", Event::Spawn, Event::Main),
    ("ready", Event::Spawn, Event::Ready),
    ("removal", Event::Exit, Event::Gone),
];

/// Where a platform creates and starts in two steps: the first two add up to `boot`, all three to `boot_whole`.
const PARTS: &[Span] = &[
    ("create", Event::Spawn, Event::Created),
    ("start", Event::Created, Event::Main),
    ("run", Event::Main, Event::Exit),
];

fn spans(name: &str, events: &Events, spans: &[Span]) -> Result<Vec<Metric>, Error> {
    spans.iter().map(|&(metric, from, to)| Ok(time(metric, victim::span(name, events, from, to)?))).collect()
}
