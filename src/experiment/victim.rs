//! The victims: how each is launched and what its lines mean.

use super::stage::{Stage, time};
use crate::cpuset::CpuSet;
use crate::guest::GuestLine;
use crate::placement::{self, Mismatch};
use crate::platform::{Error, Event, Events, Exit, Instance, LaunchSpec, Milestone, Stopped};
use crate::store::Metric;
use crate::units::Nanos;

/// The whole life of one victim: launched, read back on its CPUs, awaited at `milestone` and at its end, removed. Its
/// events are in `seen` even if it failed on the way.
///
/// Nothing but waiting happens between the launch and the last event, but that the placement is read back while the guest
/// still sets up.
pub(super) fn live(
    stage: &Stage<'_>,
    spec: &LaunchSpec,
    milestone: Milestone,
    seen: &mut Events,
) -> Result<Stopped, Error> {
    let quiet = stage.quiet();
    let mut instance = stage.platform.launch(spec)?;
    let placed = spec.cpus.as_ref().map_or(Ok(()), |cpus| verify(stage, instance.as_ref(), cpus));
    let deadline = stage.deadline();
    let waited = placed
        .and_then(|()| instance.wait_for(milestone, deadline))
        .and_then(|_| instance.wait_for(Milestone::Exit, deadline));
    if waited.is_err() {
        // Not of a good trial: its removal is being timed.
        seen.clone_from(instance.events());
    }
    let stopped = instance.stop();
    drop(quiet);
    waited?;
    let stopped = stopped?;
    seen.clone_from(&stopped.events);
    Ok(stopped)
}

/// The arguments of the SQLite victim.
pub(super) fn sqlite_arguments(rows: u32) -> Vec<String> {
    vec![format!("rows={rows}")]
}

/// The numbers of a SQLite victim that ended: `insert_time` on the host's clock, from `FW ready` to `FW result`, and
/// `insert_time_guest`, the guest's own measure, as a cross-check.
pub(super) fn sqlite_metrics(name: &str, rows: u32, stopped: &Stopped) -> Result<Vec<Metric>, Error> {
    ended_well(name, stopped.exit)?;
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
    let mut metrics = vec![time("insert_time", span(name, &stopped.events, Event::Ready, Event::Result)?)];
    metrics.extend(number("insert_ns").map(|ns| time("insert_time_guest", Nanos(ns))));
    Ok(metrics)
}

/// Reads back from the kernel that every thread of `instance` may run on `cpus` only. Threads that ended since they were
/// listed, such as the fork attacker's children, are passed over, but one must be left to vouch for the placement.
pub(super) fn verify(stage: &Stage<'_>, instance: &dyn Instance, cpus: &CpuSet) -> Result<(), Error> {
    let failed = |reason: String| Error::failed(format!("read back the placement of {}", instance.name()), reason);
    let threads = instance.threads();
    let mut vouching = 0;
    for thread in &threads {
        match placement::verify(stage.proc, thread.tid as u32, cpus) {
            Ok(()) => vouching += 1,
            Err(Mismatch::Unreadable { .. }) => {}
            Err(elsewhere) => return Err(failed(elsewhere.to_string())),
        }
    }
    match vouching > 0 || stage.platform.capabilities().simulated {
        true => Ok(()),
        false => Err(failed(format!("none of {} threads was left to ask", threads.len()))),
    }
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

/// A victim that ends otherwise than by returning 0 has no result.
pub(super) fn ended_well(name: &str, exit: Exit) -> Result<(), Error> {
    match exit {
        Exit::Code(0) => Ok(()),
        Exit::Code(code) => Err(Error::failed(format!("run {name}"), format!("the guest ended with code {code}"))),
        Exit::Signal(signal) => Err(Error::failed(format!("run {name}"), format!("signal {signal} ended the guest"))),
    }
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
