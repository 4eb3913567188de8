//! Footprint: what an image takes on disk and an idle instance in memory, honest about sharing.
//!
//! PSS and USS are the processes' own, the cgroup's charge what the kernel books on them, and the host's MemAvailable what
//! was really lost, slab and page tables included. All are per instance, over the ladder. A virtual machine's PSS is also
//! told by its parts, beside the memory that its guest was given.

use super::Measured;
use crate::host::sampler::{MonitorMemory, ProcessMemory, process, smaps};
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::Background;
use crate::measure::trial::Stage;
use crate::measure::trial::{ROOMY, lower, time};
use crate::model::record::Metric;
use crate::model::units::{Bytes, Direction, Unit};
use crate::platform::{Error, Instance};

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
    measured.metrics.push(bytes("image_size", stage.platform.boot_artifact(image).size.0 as f64));
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
    if let Some(memories) = all(&memories, |memory| *memory) {
        metrics.push(mean("pss_per_instance", memories.iter().map(|m| m.whole.pss)));
        metrics.push(mean("uss_per_instance", memories.iter().map(|m| m.whole.uss)));
        metrics.extend(all(&memories, |m| m.parts).map(|parts| part_metrics(&parts)).unwrap_or_default());
    }
    if let Some(given) = all(&members, |member| member.guest_memory()) {
        metrics.push(Metric { direction: Direction::Neutral, ..mean("guest_memory", given.into_iter()) });
    }
    if let Some(charges) = all(&members, |member| member.cgroup()?.charge()) {
        metrics.push(mean("charge_per_instance", charges.into_iter()));
    }
    Ok(metrics)
}

/// What `part` tells of every one of `items`; `None` where it does not of one of them, or where there are none.
fn all<T, P>(items: &[T], part: impl Fn(&T) -> Option<P>) -> Option<Vec<P>> {
    items.iter().map(part).collect::<Option<Vec<P>>>().filter(|parts| !parts.is_empty())
}

/// What virtual machine monitors take, by what for: the parts add up to `pss_per_instance`, and all but the guest's own
/// are the overhead.
fn part_metrics(parts: &[MonitorMemory]) -> Vec<Metric> {
    let overhead = |part: &MonitorMemory| part.translation.unwrap_or_default() + part.program + part.rest;
    let mut metrics = vec![
        mean("pss_overhead", parts.iter().map(overhead)),
        mean("pss_guest", parts.iter().map(|part| part.guest)),
        mean("pss_program", parts.iter().map(|part| part.program)),
        mean("pss_monitor", parts.iter().map(|part| part.rest)),
    ];
    if parts.iter().any(|part| part.translation.is_some()) {
        metrics.push(mean("pss_translation", parts.iter().map(|part| part.translation.unwrap_or_default())));
    }
    metrics
}

/// An instance's memory, and its parts where a monitor and its guest share one process.
#[derive(Debug, Clone, Copy)]
struct Memory {
    whole: ProcessMemory,
    parts: Option<MonitorMemory>,
}

/// The memory of an instance's processes; `None` where the platform shows none.
fn memory(stage: &Stage<'_>, member: &dyn Instance) -> Result<Option<Memory>, Error> {
    let mut pids: Vec<u32> = member.threads().iter().map(|thread| thread.pid as u32).collect();
    pids.sort_unstable();
    pids.dedup();
    let failed = |e| Error::failed(format!("read the memory of {}", member.name()), e);
    if let ([pid], Some(given)) = (pids.as_slice(), member.guest_memory()) {
        let (whole, parts) = smaps::monitor_memory(stage.proc, *pid, given).map_err(failed)?;
        return Ok(Some(Memory { whole, parts }));
    }
    let each = pids.into_iter().map(|pid| process::memory(stage.proc, pid)).collect::<Result<Vec<_>, _>>();
    let whole = each.map_err(failed)?.into_iter().reduce(|a, b| a + b);
    Ok(whole.map(|whole| Memory { whole, parts: None }))
}

fn mean(name: &str, amounts: impl ExactSizeIterator<Item = Bytes>) -> Metric {
    let count = amounts.len() as f64;
    bytes(name, amounts.map(|b| b.0 as f64).sum::<f64>() / count)
}

fn bytes(name: &str, value: f64) -> Metric {
    lower(name, Unit::Bytes, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory(translation: Option<Bytes>) -> MonitorMemory {
        MonitorMemory { guest: Bytes(40), translation, program: Bytes(7), rest: Bytes(13) }
    }

    #[test]
    fn the_parts_of_a_monitors_memory_are_means_that_add_up() {
        let metrics = part_metrics(&[memory(Some(Bytes(30))), memory(None)]);
        let told: Vec<_> = metrics.iter().map(|m| (m.name.as_str(), m.value)).collect();
        let expected = [
            ("pss_overhead", 35.0),
            ("pss_guest", 40.0),
            ("pss_program", 7.0),
            ("pss_monitor", 13.0),
            ("pss_translation", 15.0),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn what_translates_nothing_has_no_such_part() {
        assert!(part_metrics(&[memory(None)]).iter().all(|m| m.name != "pss_translation"));
    }

    #[test]
    fn one_instance_without_a_number_leaves_the_mean_out() {
        assert_eq!(all(&[Some(1), None], |n| *n), None);
        assert_eq!(all(&[Some(1), Some(2)], |n| *n), Some(vec![1, 2]));
        assert_eq!(all::<Option<u8>, _>(&[], |n| *n), None);
    }
}
