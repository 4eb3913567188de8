//! Boot time: from the launch of an instance to its program's first line, its end and its removal, with a background.
//! A server is ended once it serves.

use super::{Measured, victim};
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::{Background, TrialRig};
use crate::model::event::{Event, Events};
use crate::model::metric::{self, MetricInfo};
use crate::model::platform::Accelerator;
use crate::model::record::Metric;
use crate::model::units::Nanos;
use crate::platform::{Error, Instance, Milestone, Purpose};

pub(super) fn run(
    rig: &TrialRig<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    background.ensure(rig, trial, None)?;
    let spec = rig.spec(trial, trial.workload, Purpose::Measured)?;
    let serves = trial.workload.is_server();
    let wait = |instance: &mut dyn Instance, deadline: Nanos| {
        instance.wait_for(Milestone::Main, deadline)?;
        instance.wait_for(if serves { Milestone::Ready } else { Milestone::Exit }, deadline)
    };
    let (stopped, _) = victim::live(rig, &spec, &mut measured.events, wait)?;
    if !serves {
        victim::ended_well(&spec.name, stopped.exit)?;
    }
    measured.metrics = spans(&spec.name, &stopped.events, if serves { SERVER } else { PROGRAM })?;
    let is_machine = rig.platform.capabilities().accelerator != Accelerator::None;
    measured.metrics.extend(spans(&spec.name, &stopped.events, &parts(&stopped.events, is_machine, serves))?);
    Ok(())
}

/// A metric with the events that begin and end it.
type Span = (&'static MetricInfo, Event, Event);

const PROGRAM: &[Span] = &[
    (&metric::BOOT, Event::Spawn, Event::Main),
    (&metric::BOOT_WHOLE, Event::Spawn, Event::Exit),
    (&metric::REMOVAL, Event::Exit, Event::Gone),
];

/// Without the whole life, since the harness ends a server.
const SERVER: &[Span] = &[
    (&metric::BOOT, Event::Spawn, Event::Main),
    (&metric::READY, Event::Spawn, Event::Ready),
    (&metric::REMOVAL, Event::Exit, Event::Gone),
];

/// The events that a platform may report before the first line, in order. Each ends a part: the instance is created, the
/// virtual machine monitor is up, the guest's kernel is up.
const CUTS: [(&MetricInfo, Event); 3] =
    [(&metric::CREATE, Event::Created), (&metric::MONITOR, Event::Vmm), (&metric::KERNEL, Event::Guest)];

/// The parts of a boot, as far as the platform reports them. The parts up to the first line add up to the boot time. With
/// the run, which a server does not have, all parts add up to the whole life.
fn parts(events: &Events, is_machine: bool, serves: bool) -> Vec<Span> {
    let mut from = Event::Spawn;
    let mut parts = Vec::new();
    for (metric, event) in CUTS {
        // In a container, the guest event precedes the runtime's work.
        if (event != Event::Guest || is_machine) && lies_between(events, from, event) {
            let is_joint = event == Event::Guest && from != Event::Vmm;
            let metric = if is_joint { &metric::MONITOR_KERNEL } else { metric };
            parts.push((metric, std::mem::replace(&mut from, event), event));
        }
    }
    if parts.is_empty() {
        return parts;
    }
    parts.push((if from == Event::Guest { &metric::PROGRAM } else { &metric::START }, from, Event::Main));
    parts.extend((!serves).then_some((&metric::RUN, Event::Main, Event::Exit)));
    parts
}

/// Whether `event` lies strictly between `from` and the first line. A guest without a kernel begins with its program's
/// first line, and a quick guest may begin before its monitor answers.
fn lies_between(events: &Events, from: Event, event: Event) -> bool {
    let between = |at| events.get(&from) < Some(at) && Some(at) < events.get(&Event::Main);
    events.get(&event).is_some_and(between)
}

fn spans(name: &str, events: &Events, spans: &[Span]) -> Result<Vec<Metric>, Error> {
    let measure = |&(metric, from, to): &Span| Ok(metric.of(victim::span(name, events, from, to)?.0 as f64));
    spans.iter().map(measure).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::a_process(false, &[], &[])]
    #[case::a_container(false, &[(Event::Created, 4), (Event::Guest, 5)], &[("create", 4), ("start", 6), ("run", 2)])]
    #[case::a_virtual_machine(
        true,
        &[(Event::Vmm, 3), (Event::Guest, 9)],
        &[("monitor", 3), ("kernel", 6), ("program", 1), ("run", 2)]
    )]
    #[case::a_silent_monitor(true, &[(Event::Guest, 9)], &[("monitor_kernel", 9), ("program", 1), ("run", 2)])]
    #[case::a_silent_machine(true, &[], &[])]
    #[case::no_kernel(true, &[(Event::Vmm, 3), (Event::Guest, 10)], &[("monitor", 3), ("start", 7), ("run", 2)])]
    #[case::guest_first(true, &[(Event::Vmm, 9), (Event::Guest, 3)], &[("monitor", 9), ("start", 1), ("run", 2)])]
    #[case::main_before_the_monitor(
        true,
        &[(Event::Vmm, 11), (Event::Guest, 3)],
        &[("monitor_kernel", 3), ("program", 7), ("run", 2)]
    )]
    #[case::a_silent_kernel(true, &[(Event::Vmm, 3)], &[("monitor", 3), ("start", 7), ("run", 2)])]
    #[case::a_container_in_one(
        true,
        &[(Event::Created, 1), (Event::Vmm, 3), (Event::Guest, 9)],
        &[("create", 1), ("monitor", 2), ("kernel", 6), ("program", 1), ("run", 2)]
    )]
    fn the_parts_add_up_to_the_whole(
        #[case] is_machine: bool,
        #[case] reported: &[(Event, u64)],
        #[case] expected: &[(&str, u64)],
    ) {
        let mut events = Events::from([(Event::Spawn, Nanos(0)), (Event::Main, Nanos(10)), (Event::Exit, Nanos(12))]);
        events.extend(reported.iter().map(|&(event, at)| (event, Nanos(at))));
        let measured = |serves| spans("i", &events, &parts(&events, is_machine, serves)).unwrap();
        let metrics = measured(false);
        let values: Vec<_> = metrics.iter().map(|m| (m.name.as_str(), m.value as u64)).collect();
        assert_eq!(values, expected);
        if !expected.is_empty() {
            assert_eq!(metrics.iter().map(|m| m.value).sum::<f64>(), 12.0);
            assert_eq!(measured(true).iter().map(|m| m.value).sum::<f64>(), 10.0, "the harness ends a server");
        }
    }
}
