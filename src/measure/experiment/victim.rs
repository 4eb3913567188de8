//! The life of a victim, and the checks that every kind of victim needs.

use crate::host::placement::{self, Mismatch};
use crate::measure::trial::TrialRig;
use crate::model::cpuset::CpuSet;
use crate::model::event::{Event, Events};
use crate::model::units::Nanos;
use crate::platform::{Error, Exit, Instance, LaunchSpec, Stopped};

/// Launches one victim, waits for it with `wait`, and removes it. `seen` gets its events even if it failed on the way.
///
/// Between the launch and the last event, the harness only waits; it verifies the placement while the guest is not timed.
pub(super) fn live<T>(
    rig: &TrialRig<'_>,
    spec: &LaunchSpec,
    seen: &mut Events,
    wait: impl FnOnce(&mut dyn Instance, Nanos) -> Result<T, Error>,
) -> Result<(Stopped, T), Error> {
    let quiet = rig.quiet();
    let mut instance = rig.platform.launch(spec)?;
    let waited = wait(instance.as_mut(), rig.deadline());
    if waited.is_err() {
        // Not in a good trial, whose removal is being timed.
        seen.clone_from(instance.events());
    }
    let stopped = instance.stop();
    drop(quiet);
    let value = waited?;
    let stopped = stopped?;
    seen.clone_from(&stopped.events);
    Ok((stopped, value))
}

/// Verifies that `instance` runs on the CPUs of `spec`; does nothing where it was not pinned.
pub(super) fn is_placed(rig: &TrialRig<'_>, instance: &dyn Instance, spec: &LaunchSpec) -> Result<(), Error> {
    spec.cpus.as_ref().map_or(Ok(()), |cpus| verify(rig, instance, cpus))
}

/// Verifies with the kernel that every thread of `instance` may run on `cpus` only. Threads that ended since they were
/// listed, such as the fork attacker's children, are skipped, but one must be left to prove the placement.
pub(super) fn verify(rig: &TrialRig<'_>, instance: &dyn Instance, cpus: &CpuSet) -> Result<(), Error> {
    let failed = |reason: String| Error::failed(format!("verify the placement of {}", instance.name()), reason);
    let threads = instance.threads();
    let mut verified = 0;
    for thread in &threads {
        match placement::verify(rig.proc, thread.tid as u32, cpus) {
            Ok(()) => verified += 1,
            Err(Mismatch::Unreadable { .. }) => {}
            Err(elsewhere) => return Err(failed(elsewhere.to_string())),
        }
    }
    match verified > 0 || rig.platform.capabilities().simulated {
        true => Ok(()),
        false => Err(failed(format!("all {} threads had ended", threads.len()))),
    }
}

/// The positive span between two events.
///
/// # Errors
/// A missing event, or a span that is not positive: a failed trial, never a number.
pub(super) fn span(name: &str, events: &Events, from: Event, to: Event) -> Result<Nanos, Error> {
    let instant = |event| events.get(&event).copied();
    let span = instant(from).zip(instant(to)).and_then(|(from, to)| to.since(from));
    span.ok_or_else(|| Error::failed(format!("time {name}"), format!("no positive span from {from} to {to}")))
}

/// Rejects a victim that did not exit with code 0: it has no result.
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
