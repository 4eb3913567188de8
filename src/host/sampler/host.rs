//! One reading of the whole host: memory, swapping and CPU time since boot.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::host::tree;
use crate::model::units::{Bytes, Nanos};

/// A reading of the host. Values that the kernel does not report are `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostReading {
    /// Total memory.
    pub memory_total: Option<Bytes>,
    /// Memory that new processes can use without swapping, by the kernel's estimate.
    pub memory_available: Option<Bytes>,
    /// Unused memory.
    pub memory_free: Option<Bytes>,
    /// The kernel's object caches.
    pub slab: Option<Bytes>,
    /// The part of the object caches that cannot be reclaimed.
    pub slab_unreclaimable: Option<Bytes>,
    /// Kernel stacks: 16 KiB per thread on x86-64.
    pub kernel_stack: Option<Bytes>,
    /// Page tables.
    pub page_tables: Option<Bytes>,
    /// Total swap space.
    pub swap_total: Option<Bytes>,
    /// Unused swap space.
    pub swap_free: Option<Bytes>,
    /// Pages read from swap since boot.
    pub pages_swapped_in: Option<u64>,
    /// Pages written to swap since boot.
    pub pages_swapped_out: Option<u64>,
    /// Busy time of all CPUs since boot, including guests.
    pub cpu_busy: Option<Nanos>,
    /// Idle time of all CPUs since boot, including waits for disks.
    pub cpu_idle: Option<Nanos>,
    /// CPU time that the hypervisor gave to other guests.
    pub cpu_steal: Option<Nanos>,
}

impl HostReading {
    /// The swap in use.
    pub fn swap_used(&self) -> Option<Bytes> {
        Some(self.swap_total? - self.swap_free?)
    }

    /// Reads `meminfo`, `vmstat` and `stat` under `proc` (`/proc` in production).
    pub fn read(proc: &Path) -> Self {
        let text = |name: &str| tree::line(&proc.join(name)).unwrap_or_default();
        let (meminfo, vmstat, stat) = (text("meminfo"), text("vmstat"), text("stat"));
        let memory = |key| tree::kib_field(&meminfo, key);
        let count = |key| tree::field(&vmstat, key, ' ')?.parse().ok();
        let cpu = CpuTime::parse(&stat, "cpu");
        Self {
            memory_total: memory("MemTotal"),
            memory_available: memory("MemAvailable"),
            memory_free: memory("MemFree"),
            slab: memory("Slab"),
            slab_unreclaimable: memory("SUnreclaim"),
            kernel_stack: memory("KernelStack"),
            page_tables: memory("PageTables"),
            swap_total: memory("SwapTotal"),
            swap_free: memory("SwapFree"),
            pages_swapped_in: count("pswpin"),
            pages_swapped_out: count("pswpout"),
            cpu_busy: cpu.map(|c| c.busy),
            cpu_idle: cpu.map(|c| c.idle),
            cpu_steal: cpu.map(|c| c.steal),
        }
    }
}

/// The CPU time of the host or of one CPU since boot, from `/proc/stat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTime {
    pub(crate) busy: Nanos,
    pub(crate) idle: Nanos,
    pub(crate) steal: Nanos,
}

impl CpuTime {
    /// Parses the line called `name`: `cpu` for the host, or `cpu7`. Its columns are user, nice, system, idle, iowait, irq,
    /// softirq and steal, in clock ticks (`proc_stat(5)`). User and nice already contain the guest columns that follow.
    pub(crate) fn parse(stat: &str, name: &str) -> Option<Self> {
        let line = stat.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(' '))?;
        let ticks: Vec<u64> = line.split_whitespace().map_while(|t| t.parse().ok()).collect();
        let &[user, nice, system, idle, iowait, irq, softirq, steal, ..] = ticks.as_slice() else { return None };
        Some(Self {
            busy: ticks_to_nanos(user + nice + system + irq + softirq),
            idle: ticks_to_nanos(idle + iowait),
            steal: ticks_to_nanos(steal),
        })
    }
}

/// Converts clock ticks to time. A second has `sysconf(_SC_CLK_TCK)` ticks, usually 100.
pub(crate) fn ticks_to_nanos(ticks: u64) -> Nanos {
    Nanos(ticks.saturating_mul(Nanos::SECOND.0 / procfs::ticks_per_second().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fixture::Host;

    #[test]
    fn a_host_reads_in_bytes_and_nanoseconds() {
        let host = Host::materialize("vm-2x1");
        let reading = HostReading::read(&host.root().join("proc"));
        assert_eq!(reading.memory_available, Some(Bytes(24185944 << 10)));
        assert_eq!(reading.slab_unreclaimable, Some(Bytes(49448 << 10)));
        assert_eq!((reading.pages_swapped_in, reading.pages_swapped_out), (Some(3), Some(7)));
        assert_eq!(reading.swap_total, Some(Bytes(0)));
        assert_eq!(reading.cpu_busy, Some(ticks_to_nanos(34036 + 10 + 8726 + 20 + 51)));
        assert_eq!(reading.cpu_idle, Some(ticks_to_nanos(210781 + 510)));
        assert_eq!(reading.cpu_steal, Some(ticks_to_nanos(7)));
    }

    #[test]
    fn one_cpu_is_distinguished_from_the_host_and_from_the_tenth_cpu() {
        let stat = "cpu  1 0 0 9 0 0 0 0 0 0\ncpu1 2 0 0 0 0 0 0 0\ncpu10 3 0 0 0 0 0 0 0\n";
        let busy = |name| CpuTime::parse(stat, name).map(|c| c.busy);
        assert_eq!(busy("cpu1"), Some(ticks_to_nanos(2)));
        assert_eq!(busy("cpu10"), Some(ticks_to_nanos(3)));
        assert_eq!(busy("cpu"), Some(ticks_to_nanos(1)));
        assert_eq!(busy("cpu2"), None);
    }

    #[test]
    fn values_that_the_kernel_does_not_report_are_missing() {
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(HostReading::read(empty.path()), HostReading::default());
    }
}
