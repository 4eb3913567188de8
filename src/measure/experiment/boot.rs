//! Boot time: from asking for an instance to its program's first line, its end and its removal, beside a background. A
//! server is awaited until it serves, and then ended.

use super::{Measured, victim};
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::Background;
use crate::measure::trial::Stage;
use crate::measure::trial::time;
use crate::model::event::{Event, Events};
use crate::model::platform::Accelerator;
use crate::model::record::Metric;
use crate::model::units::Nanos;
use crate::platform::{Error, Instance, Milestone, Purpose};

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
    let is_machine = stage.platform.capabilities().accelerator != Accelerator::None;
    measured.metrics.extend(spans(&spec.name, &stopped.events, &parts(&stopped.events, is_machine, serves))?);
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

/// What a platform may tell before the first line, in order, each the end of a part: it creates before it starts; a
/// virtual machine's monitor is up, where that says so; its guest's kernel is.
const CUTS: [(&str, Event); 3] = [("create", Event::Created), ("monitor", Event::Vmm), ("kernel", Event::Guest)];

/// The parts of a boot as far as the platform tells them apart. Those up to the first line add up to `boot`; with `run`,
/// which a server does not have, all add up to `boot_whole`.
fn parts(events: &Events, is_machine: bool, serves: bool) -> Vec<Span> {
    let mut from = Event::Spawn;
    let mut parts = Vec::new();
    for (name, event) in CUTS {
        // A container's begins with its runtime's work.
        if (event != Event::Guest || is_machine) && lies_between(events, from, event) {
            let name = if event == Event::Guest && from != Event::Vmm { "monitor_kernel" } else { name };
            parts.push((name, std::mem::replace(&mut from, event), event));
        }
    }
    if parts.is_empty() {
        return parts;
    }
    parts.push((if from == Event::Guest { "program" } else { "start" }, from, Event::Main));
    parts.extend((!serves).then_some(("run", Event::Main, Event::Exit)));
    parts
}

/// Whether `event` parts what lies between `from` and the first line: a guest without a kernel of its own begins with its
/// program's first line, and one that is quick may have begun before its monitor answers.
fn lies_between(events: &Events, from: Event, event: Event) -> bool {
    let lies_between = |at| events.get(&from) < Some(at) && Some(at) < events.get(&Event::Main);
    events.get(&event).is_some_and(lies_between)
}

fn spans(name: &str, events: &Events, spans: &[Span]) -> Result<Vec<Metric>, Error> {
    spans.iter().map(|&(metric, from, to)| Ok(time(metric, victim::span(name, events, from, to)?))).collect()
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
        #[case] told: &[(Event, u64)],
        #[case] expected: &[(&str, u64)],
    ) {
        let mut events = Events::from([(Event::Spawn, Nanos(0)), (Event::Main, Nanos(10)), (Event::Exit, Nanos(12))]);
        events.extend(told.iter().map(|&(event, at)| (event, Nanos(at))));
        let of = |serves| spans("i", &events, &parts(&events, is_machine, serves)).unwrap();
        let metrics = of(false);
        let told: Vec<_> = metrics.iter().map(|m| (m.name.as_str(), m.value as u64)).collect();
        assert_eq!(told, expected);
        if !expected.is_empty() {
            assert_eq!(metrics.iter().map(|m| m.value).sum::<f64>(), 12.0);
            assert_eq!(of(true).iter().map(|m| m.value).sum::<f64>(), 10.0, "a server's end is ours");
        }
    }
}
