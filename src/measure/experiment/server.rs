//! Servers as victims: each is driven from outside by a load generator on CPUs of its own, and ended afterwards.
//!
//! A server that never answers ends with its trial's deadline: its readiness and its load share one.

use std::thread;

use super::{Measured, victim};
use crate::measure::trial::Stage;
use crate::measure::trial::higher;
use crate::model::cpuset::CpuSet;
use crate::model::event::Event;
use crate::model::load::Load;
use crate::model::program::Program;
use crate::model::record::Metric;
use crate::model::units::{Nanos, Unit};
use crate::platform::load_generator::{Drive, Driven, LoadGenerator};
use crate::platform::{Endpoint, Error, Instance, LaunchSpec, Milestone};
use crate::stats;

/// The headline of every server.
const THROUGHPUT: &str = "throughput";

/// However many share a load, each has this much of it: every client a few rounds.
const LEAST_REQUESTS: u64 = 1_000;

/// One server, driven once it is ready and its placement read back.
pub(super) fn alone(
    stage: &Stage<'_>,
    spec: &LaunchSpec,
    client: &CpuSet,
    measured: &mut Measured,
) -> Result<(), Error> {
    let (_, (driven, answered)) = victim::live(stage, spec, &mut measured.events, |instance, deadline| {
        instance.wait_for(Milestone::Ready, deadline)?;
        victim::is_placed(stage, instance, spec)?;
        let asked = stage.configuration.load();
        let driven = load(stage, spec.image.program, &asked, client, deadline).drive(&endpoint(instance)?)?;
        Ok((driven, stage.clock().now()))
    })?;
    // What a server has for a result is the load generator's, and is there when that has ended.
    measured.events.insert(Event::Result, answered);
    measured.metrics = driven.metrics;
    measured.flags.extend(driven.flags);
    Ok(())
}

/// N servers at once, each with a load generator of its own; all begin to be driven when the last is ready. The requests
/// of a load that counts them are divided, or N of them would take N times as long.
pub(super) fn together(
    stage: &Stage<'_>,
    specs: &[LaunchSpec],
    client: &CpuSet,
    measured: &mut Measured,
) -> Result<(), Error> {
    let quiet = stage.quiet();
    let driven = stage.with_group(|crew| {
        let deadline = stage.deadline();
        let ready = crew.launch_and_wait(stage.platform, specs, Milestone::Ready, deadline);
        if let Some(first) = crew.members().first() {
            measured.events.clone_from(first.events());
        }
        ready?;
        for (member, spec) in crew.members().iter().zip(specs) {
            victim::is_placed(stage, member.as_ref(), spec)?;
        }
        let endpoints = crew.members().iter().map(|member| endpoint(member.as_ref())).collect::<Result<Vec<_>, _>>()?;
        let Some(first) = specs.first() else { return Ok(Vec::new()) };
        let asked = stage.configuration.load();
        let each = Load { requests: (asked.requests / specs.len() as u64).max(LEAST_REQUESTS), ..asked };
        let driven = all_at_once(load(stage, first.image.program, &each, client, deadline), &endpoints)?;
        measured.events.insert(Event::Result, stage.clock().now());
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
struct LoadOf<'a> {
    generator: &'a dyn LoadGenerator,
    /// Its endpoint is filled in for each server.
    program: Program,
    load: &'a Load,
    cpus: Option<&'a CpuSet>,
    left: Nanos,
}

fn load<'a>(stage: &Stage<'a>, program: Program, load: &'a Load, client: &'a CpuSet, deadline: Nanos) -> LoadOf<'a> {
    LoadOf {
        generator: stage.generator(),
        program,
        load,
        cpus: Some(client).filter(|set| !set.is_empty()),
        left: deadline.saturating_sub(stage.clock().now()),
    }
}

impl LoadOf<'_> {
    /// Drives the server there. A load generator that tells no positive throughput has measured nothing.
    fn drive(&self, endpoint: &Endpoint) -> Result<Driven, Error> {
        let &LoadOf { generator, program, load, cpus, left } = self;
        let driven = generator.drive(&Drive { program, endpoint, load, cpus, deadline: left.into() })?;
        match throughput(&driven) {
            Some(rate) if rate.is_finite() && rate > 0.0 => Ok(driven),
            other => Err(Error::failed(format!("drive {program}"), format!("no positive throughput: {other:?}"))),
        }
    }
}

fn all_at_once(load: LoadOf<'_>, endpoints: &[Endpoint]) -> Result<Vec<Driven>, Error> {
    let panicked = || Error::Fatal("a thread of the harness panicked in a load".to_owned());
    thread::scope(|scope| {
        let threads: Vec<_> = endpoints.iter().map(|endpoint| scope.spawn(move || load.drive(endpoint))).collect();
        let ended: Vec<_> = threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(panicked()))).collect();
        ended.into_iter().collect()
    })
}

fn endpoint(instance: &dyn Instance) -> Result<Endpoint, Error> {
    let no_address = || Error::failed(format!("reach {}", instance.name()), "its platform tells no address of it");
    instance.endpoint().ok_or_else(no_address)
}

fn throughput(driven: &Driven) -> Option<f64> {
    driven.metrics.iter().find(|metric| metric.name == THROUGHPUT).map(|metric| metric.value)
}

/// What N servers did: their throughput in all, the median server's, and how fairly; of every other metric the median.
/// Each server's own number is among the samples.
fn summary(driven: &[Driven]) -> Result<Vec<Metric>, Error> {
    let sample = |values| stats::Sample::new(values).map_err(|e| Error::failed("summarise the servers", e));
    let of = |name: &str| -> Vec<f64> {
        driven.iter().filter_map(|d| d.metrics.iter().find(|m| m.name == name)).map(|m| m.value).collect()
    };
    let mut metrics = Vec::new();
    for metric in driven.first().into_iter().flat_map(|first| &first.metrics) {
        let samples = of(&metric.name);
        let value = match metric.name.as_str() {
            THROUGHPUT => samples.iter().sum(),
            _ => stats::median(&sample(samples.clone())?),
        };
        metrics.push(Metric { value, samples, ..metric.clone() });
    }
    let shares = sample(of(THROUGHPUT))?;
    metrics.push(higher("throughput_per_victim", Unit::PerSecond, stats::median(&shares)));
    metrics.extend(stats::jain(&shares).map(|fairness| higher("fairness", Unit::Ratio, fairness)));
    Ok(metrics)
}
