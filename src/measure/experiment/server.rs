//! Servers as victims: a load generator on CPUs of its own drives each server, which is ended afterwards.
//!
//! Readiness and load share the trial's deadline, so a server that never answers ends with it.

use std::thread;

use super::{Measured, victim};
use crate::measure::trial::TrialRig;
use crate::model::cpuset::CpuSet;
use crate::model::event::Event;
use crate::model::load::Load;
use crate::model::metric;
use crate::model::program::Program;
use crate::model::record::Metric;
use crate::model::units::Nanos;
use crate::platform::load_generator::{Drive, Driven, LoadGenerator};
use crate::platform::{Endpoint, Error, Instance, LaunchSpec, Milestone};
use crate::stats;

/// The least requests that each of several servers gets: a few rounds for every client.
const LEAST_REQUESTS: u64 = 1_000;

/// One server, driven once it is ready and its placement is verified.
pub(super) fn alone(
    rig: &TrialRig<'_>,
    spec: &LaunchSpec,
    client: &CpuSet,
    measured: &mut Measured,
) -> Result<(), Error> {
    let (_, (driven, answered)) = victim::live(rig, spec, &mut measured.events, |instance, deadline| {
        instance.wait_for(Milestone::Ready, deadline)?;
        victim::is_placed(rig, instance, spec)?;
        let load = rig.configuration.load();
        let driven = drive_spec(rig, spec.image.program, &load, client, deadline).drive(&endpoint(instance)?)?;
        Ok((driven, rig.clock().now()))
    })?;
    // A server's result comes from the load generator, so it is complete when that has ended.
    measured.events.insert(Event::Result, answered);
    measured.metrics = driven.metrics;
    measured.flags.extend(driven.flags);
    Ok(())
}

/// N servers at once, each with a load generator of its own. The load begins when the last server is ready. A load of a
/// fixed number of requests is divided among the servers, or it would take N times as long.
pub(super) fn together(
    rig: &TrialRig<'_>,
    specs: &[LaunchSpec],
    client: &CpuSet,
    measured: &mut Measured,
) -> Result<(), Error> {
    let quiet = rig.quiet();
    let driven = rig.with_group(|group| {
        let deadline = rig.deadline();
        let ready = group.launch_and_wait(rig.platform, specs, Milestone::Ready, deadline);
        if let Some(first) = group.members().first() {
            measured.events.clone_from(first.events());
        }
        ready?;
        for (member, spec) in group.members().iter().zip(specs) {
            victim::is_placed(rig, member.as_ref(), spec)?;
        }
        let endpoints =
            group.members().iter().map(|member| endpoint(member.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = specs.first() else { return Ok(Vec::new()) };
        let whole = rig.configuration.load();
        let each = Load { requests: (whole.requests / specs.len() as u64).max(LEAST_REQUESTS), ..whole };
        let driven = all_at_once(drive_spec(rig, first.image.program, &each, client, deadline), &endpoints)?;
        measured.events.insert(Event::Result, rig.clock().now());
        Ok(driven)
    });
    drop(quiet);
    let driven = driven?;
    measured.metrics = summary(&driven)?;
    measured.flags.extend(driven.into_iter().flat_map(|one| one.flags));
    measured.flags.sort();
    measured.flags.dedup();
    Ok(())
}

/// How servers are driven in one trial.
#[derive(Debug, Clone, Copy)]
struct DriveSpec<'a> {
    generator: &'a dyn LoadGenerator,
    program: Program,
    load: &'a Load,
    cpus: Option<&'a CpuSet>,
    left: Nanos,
}

fn drive_spec<'a>(
    rig: &TrialRig<'a>,
    program: Program,
    load: &'a Load,
    client: &'a CpuSet,
    deadline: Nanos,
) -> DriveSpec<'a> {
    DriveSpec {
        generator: rig.generator(),
        program,
        load,
        cpus: Some(client).filter(|set| !set.is_empty()),
        left: deadline.saturating_sub(rig.clock().now()),
    }
}

impl DriveSpec<'_> {
    /// Drives the server at `endpoint`. A load generator that reports no positive throughput has measured nothing.
    fn drive(&self, endpoint: &Endpoint) -> Result<Driven, Error> {
        let &DriveSpec { generator, program, load, cpus, left } = self;
        let driven = generator.drive(&Drive { program, endpoint, load, cpus, deadline: left.into() })?;
        match throughput(&driven) {
            Some(rate) if rate.is_finite() && rate > 0.0 => Ok(driven),
            other => Err(Error::failed(format!("drive {program}"), format!("no positive throughput: {other:?}"))),
        }
    }
}

fn all_at_once(spec: DriveSpec<'_>, endpoints: &[Endpoint]) -> Result<Vec<Driven>, Error> {
    let panicked = || Error::Fatal("a thread of the harness panicked in a load".to_owned());
    thread::scope(|scope| {
        let threads: Vec<_> = endpoints.iter().map(|endpoint| scope.spawn(move || spec.drive(endpoint))).collect();
        let ended: Vec<_> = threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(panicked()))).collect();
        ended.into_iter().collect()
    })
}

fn endpoint(instance: &dyn Instance) -> Result<Endpoint, Error> {
    let no_address = || Error::failed(format!("reach {}", instance.name()), "its platform reports no address");
    instance.endpoint().ok_or_else(no_address)
}

fn throughput(driven: &Driven) -> Option<f64> {
    driven.metrics.iter().find(|metric| metric.name == metric::THROUGHPUT.name).map(|metric| metric.value)
}

/// The metrics of N servers: the total throughput, the median server's and the fairness, and the median of every other
/// metric. The samples are the servers' own values.
fn summary(driven: &[Driven]) -> Result<Vec<Metric>, Error> {
    let sample = |values| stats::Sample::new(values).map_err(|e| Error::failed("summarize the servers", e));
    let mut metrics = Vec::new();
    for metric in driven.first().into_iter().flat_map(|first| &first.metrics) {
        let samples = values(driven, &metric.name);
        let value = match metric.name == metric::THROUGHPUT.name {
            true => samples.iter().sum(),
            false => stats::median(&sample(samples.clone())?),
        };
        metrics.push(Metric { value, samples, ..metric.clone() });
    }
    let shares = sample(values(driven, metric::THROUGHPUT.name))?;
    metrics.push(metric::THROUGHPUT_PER_VICTIM.of(stats::median(&shares)));
    metrics.extend(stats::jain(&shares).map(|fairness| metric::FAIRNESS.of(fairness)));
    Ok(metrics)
}

fn values(driven: &[Driven], name: &str) -> Vec<f64> {
    driven.iter().filter_map(|d| d.metrics.iter().find(|m| m.name == name)).map(|m| m.value).collect()
}
