//! Footprint: the size of an image on disk and of an idle instance in memory.
//!
//! PSS and USS count the instances' processes, and the cgroup's charge is what the kernel accounts to them. The fall of
//! the host's MemAvailable includes slab and page tables. All are per instance, over the ladder. A virtual machine's PSS
//! is also split into parts, next to the memory that its guest was given.

use super::Measured;
use crate::host::sampler::{MonitorMemory, ProcessMemory, process, smaps};
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::{Background, ROOMY, TrialRig};
use crate::model::metric::{self, MetricInfo};
use crate::model::record::Metric;
use crate::model::units::Bytes;
use crate::platform::{Error, Instance};

pub(super) fn run(
    rig: &TrialRig<'_>,
    background: &mut Background,
    trial: &PlannedTrial,
    measured: &mut Measured,
) -> Result<(), Error> {
    let level = background.members().len();
    background.ensure(rig, trial, Some(ROOMY))?;
    if level == background.members().len() {
        background.read_again(rig);
    }
    let image = rig.image(trial.workload)?;
    measured.metrics.push(metric::IMAGE_SIZE.of(rig.platform.boot_artifact(image).size.0 as f64));
    measured.metrics.extend(background.start_each().map(|each| metric::START_PER_INSTANCE.of(each.0 as f64)));
    measured.metrics.extend(host_metrics(background, trial.background));
    measured.metrics.extend(instance_metrics(rig, background.members())?);
    Ok(())
}

/// The memory that the host lost since it was empty, in total and per instance. At level 0 only the total has a meaning.
fn host_metrics(background: &Background, level: u32) -> Vec<Metric> {
    let Some((empty, now)) = background.contexts() else { return Vec::new() };
    let (empty, now) = (&empty.reading, &now.reading);
    let grown = |from: Option<Bytes>, to: Option<Bytes>| Some(to?.0 as f64 - from?.0 as f64);
    let mem_used = grown(now.memory_available, empty.memory_available);
    let each = |metric: &MetricInfo, total: Option<f64>| {
        let total = total.filter(|_| level > 0)?;
        Some(metric.of(total / f64::from(level)))
    };
    let metrics = [
        mem_used.map(|used| metric::MEM_USED.of(used)),
        each(&metric::MEM_AVAILABLE_PER_INSTANCE, mem_used),
        each(&metric::SLAB_PER_INSTANCE, grown(empty.slab, now.slab)),
        each(&metric::SWAP_PER_INSTANCE, grown(empty.swap_used(), now.swap_used())),
    ];
    metrics.into_iter().flatten().collect()
}

/// The most instances whose own memory is read, spread evenly over their order of starting. They are alike, and the
/// kernel takes 60 us to add up the mappings of one: reading all of a thousand took a tenth of a run.
const READ_AT_MOST: usize = 100;

/// The means over the instances of what their processes and cgroups use. A platform without either leaves them out.
fn instance_metrics(rig: &TrialRig<'_>, members: &[Box<dyn Instance>]) -> Result<Vec<Metric>, Error> {
    let mut metrics = Vec::new();
    let members: Vec<_> = members.iter().step_by(members.len().div_ceil(READ_AT_MOST).max(1)).collect();
    let memories = members.iter().map(|member| memory(rig, member.as_ref())).collect::<Result<Vec<_>, _>>()?;
    if let Some(memories) = all(&memories, |memory| *memory) {
        metrics.push(mean(&metric::PSS_PER_INSTANCE, memories.iter().map(|m| m.whole.pss)));
        metrics.push(mean(&metric::USS_PER_INSTANCE, memories.iter().map(|m| m.whole.uss)));
        metrics.extend(all(&memories, |m| m.parts).map(|parts| part_metrics(&parts)).unwrap_or_default());
    }
    if let Some(given) = all(&members, |member| member.guest_memory()) {
        metrics.push(mean(&metric::GUEST_MEMORY, given.into_iter()));
    }
    if let Some(charges) = all(&members, |member| member.cgroup()?.charge()) {
        metrics.push(mean(&metric::CHARGE_PER_INSTANCE, charges.into_iter()));
    }
    Ok(metrics)
}

/// `part` of every one of `items`; `None` where one of them has none, or where there are no items.
fn all<T, P>(items: &[T], part: impl Fn(&T) -> Option<P>) -> Option<Vec<P>> {
    items.iter().map(part).collect::<Option<Vec<P>>>().filter(|parts| !parts.is_empty())
}

/// The parts of a virtual machine monitor's memory. They add up to its PSS, and all but the guest's part are overhead.
fn part_metrics(parts: &[MonitorMemory]) -> Vec<Metric> {
    let overhead = |part: &MonitorMemory| part.translation.unwrap_or_default() + part.program + part.rest;
    let mut metrics = vec![
        mean(&metric::PSS_OVERHEAD, parts.iter().map(overhead)),
        mean(&metric::PSS_GUEST, parts.iter().map(|part| part.guest)),
        mean(&metric::PSS_PROGRAM, parts.iter().map(|part| part.program)),
        mean(&metric::PSS_MONITOR, parts.iter().map(|part| part.rest)),
    ];
    if parts.iter().any(|part| part.translation.is_some()) {
        let translation = parts.iter().map(|part| part.translation.unwrap_or_default());
        metrics.push(mean(&metric::PSS_TRANSLATION, translation));
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
fn memory(rig: &TrialRig<'_>, member: &dyn Instance) -> Result<Option<Memory>, Error> {
    let mut pids: Vec<u32> = member.threads().iter().map(|thread| thread.pid as u32).collect();
    pids.sort_unstable();
    pids.dedup();
    let failed = |e| Error::failed(format!("read the memory of {}", member.name()), e);
    if let ([pid], Some(given)) = (pids.as_slice(), member.guest_memory()) {
        let (whole, parts) = smaps::monitor_memory(rig.proc, *pid, given).map_err(failed)?;
        return Ok(Some(Memory { whole, parts }));
    }
    let each = pids.into_iter().map(|pid| process::memory(rig.proc, pid)).collect::<Result<Vec<_>, _>>();
    let whole = each.map_err(failed)?.into_iter().reduce(|a, b| a + b);
    Ok(whole.map(|whole| Memory { whole, parts: None }))
}

fn mean(metric: &MetricInfo, amounts: impl ExactSizeIterator<Item = Bytes>) -> Metric {
    let count = amounts.len() as f64;
    metric.of(amounts.map(|b| b.0 as f64).sum::<f64>() / count)
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
        let values: Vec<_> = metrics.iter().map(|m| (m.name.as_str(), m.value)).collect();
        let expected = [
            ("pss_overhead", 35.0),
            ("pss_guest", 40.0),
            ("pss_program", 7.0),
            ("pss_monitor", 13.0),
            ("pss_translation", 15.0),
        ];
        assert_eq!(values, expected);
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
