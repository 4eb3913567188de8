//! Footprint: what an image takes on disk and an idle instance in memory, honest about sharing.
//!
//! PSS and USS are the processes' own, the cgroup's charge what the kernel books on them, and the host's MemAvailable what
//! was really lost, slab and page tables included. All are per instance, over the ladder.

use super::Measured;
use super::stage::{ROOMY, Stage, lower, time};
use crate::engine::Background;
use crate::plan::PlannedTrial;
use crate::platform::{Error, Instance};
use crate::sampler::{ProcessMemory, process};
use crate::store::Metric;
use crate::units::{Bytes, Unit};

pub(super) fn run(
    stage: &Stage<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    let level = background.members().len();
    background.ensure(stage, trial, Some(ROOMY))?;
    if level == background.members().len() {
        background.look_again(stage);
    }
    let image = stage.image(trial.workload)?;
    measured.metrics.push(bytes("image_size", image.size.0 as f64));
    measured.metrics.extend(background.start_each().map(|each| time("start_per_instance", each)));
    measured.metrics.extend(host_metrics(background, trial.background));
    measured.metrics.extend(instance_metrics(stage, background.members())?);
    Ok(())
}

/// What the host lost since it was empty, in all and per instance. At level 0 only the whole has a meaning.
fn host_metrics(background: &Background, level: u32) -> Vec<Metric> {
    let Some((empty, now)) = background.contexts() else { return Vec::new() };
    let (empty, now) = (&empty.reading, &now.reading);
    let grown = |from: Option<Bytes>, to: Option<Bytes>| Some(to?.0 as f64 - from?.0 as f64);
    let mem_used = grown(now.memory_available, empty.memory_available);
    let each = |name, total: Option<f64>| (level > 0).then(|| Some(bytes(name, total? / f64::from(level)))).flatten();
    let metrics = [
        mem_used.map(|used| bytes("mem_used", used)),
        each("mem_available_per_instance", mem_used),
        each("slab_per_instance", grown(empty.slab, now.slab)),
        each("swap_per_instance", grown(empty.swap_used(), now.swap_used())),
    ];
    metrics.into_iter().flatten().collect()
}

/// Of so many instances, spread evenly over their order of starting, each one's own memory is read. They are alike, and
/// the kernel takes 60 us to add up one's mappings: reading all of a thousand was a tenth of a run.
const READ_AT_MOST: usize = 100;

/// What the instances' processes and cgroups tell, as means over the instances. A platform that has neither leaves them
/// out.
fn instance_metrics(stage: &Stage<'_>, members: &[Box<dyn Instance>]) -> Result<Vec<Metric>, Error> {
    let mut metrics = Vec::new();
    let members: Vec<_> = members.iter().step_by(members.len().div_ceil(READ_AT_MOST).max(1)).collect();
    let memories = members.iter().map(|member| memory(stage, member.as_ref())).collect::<Result<Vec<_>, _>>()?;
    if let Some(memories) = memories.into_iter().collect::<Option<Vec<_>>>().filter(|m| !m.is_empty()) {
        metrics.push(mean("pss_per_instance", memories.iter().map(|m| m.pss)));
        metrics.push(mean("uss_per_instance", memories.iter().map(|m| m.uss)));
    }
    let charges: Option<Vec<Bytes>> = members.iter().map(|member| member.cgroup()?.charge()).collect();
    if let Some(charges) = charges.filter(|c| !c.is_empty()) {
        metrics.push(mean("charge_per_instance", charges.into_iter()));
    }
    Ok(metrics)
}

/// The memory of an instance's processes; `None` where the platform shows none.
fn memory(stage: &Stage<'_>, member: &dyn Instance) -> Result<Option<ProcessMemory>, Error> {
    let mut pids: Vec<i32> = member.threads().iter().map(|thread| thread.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    let read = |pid: i32| {
        process::memory(stage.proc, pid as u32)
            .map_err(|e| Error::failed(format!("read the memory of {}", member.name()), e))
    };
    let parts = pids.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(parts.into_iter().reduce(|a, b| ProcessMemory { pss: a.pss + b.pss, uss: a.uss + b.uss, rss: a.rss + b.rss }))
}

fn mean(name: &str, amounts: impl ExactSizeIterator<Item = Bytes>) -> Metric {
    let count = amounts.len() as f64;
    bytes(name, amounts.map(|b| b.0 as f64).sum::<f64>() / count)
}

fn bytes(name: &str, value: f64) -> Metric {
    lower(name, Unit::Bytes, value)
}
