//! Waits until the host has settled after the background changed, and reads its free resources.

use std::path::Path;
use std::time::Duration;

use crate::host::clock::Clock;
use crate::host::sampler::HostReading;
use crate::model::metric;
use crate::model::record::Metric;
use crate::model::units::{Bytes, Nanos};

/// The interval between two readings while the host settles.
const READ_EVERY: Duration = Duration::from_millis(100);

/// The host is at rest after two readings in a row that differ by at most this. The kernel folds its per-CPU counters
/// in batches, so `MemAvailable` is never constant to the byte.
const STEADY: Bytes = Bytes(256 << 10);

/// After this time, a host that does not come to rest is measured all the same.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The host at rest, with its background instances and before a measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct HostContext {
    /// The last reading.
    pub reading: HostReading,
    /// The idle share of all CPUs while settling, 0 to 1; `None` if no tick passed.
    pub cpu_available: Option<f64>,
}

/// Waits until the host is at rest and reads it. `/proc/stat` counts in ticks of 10 ms, so the CPU's idle share is that of
/// the whole wait.
pub(in crate::measure) fn settle(clock: &dyn Clock, proc: &Path) -> HostContext {
    let first = HostReading::read(proc);
    let give_up = clock.now() + TIMEOUT.into();
    let (mut before, mut quiet) = (first, 0);
    loop {
        clock.pause(READ_EVERY);
        let now = HostReading::read(proc);
        quiet = if is_steady(&before, &now) { quiet + 1 } else { 0 };
        if quiet >= 2 || clock.now() >= give_up {
            return HostContext { cpu_available: idle_share(&first, &now), reading: now };
        }
        before = now;
    }
}

fn is_steady(before: &HostReading, now: &HostReading) -> bool {
    let available = before.memory_available.zip(now.memory_available);
    available.is_none_or(|(before, now)| now.0.abs_diff(before.0) <= STEADY.0)
}

fn idle_share(from: &HostReading, to: &HostReading) -> Option<f64> {
    let passed = |from: Option<Nanos>, to: Option<Nanos>| Some(to?.saturating_sub(from?).0 as f64);
    let idle = passed(from.cpu_idle, to.cpu_idle)?;
    let busy = passed(from.cpu_busy, to.cpu_busy)?;
    (idle + busy > 0.0).then(|| idle / (idle + busy))
}

impl HostContext {
    /// The metrics of what the host had left, which accompany every result.
    pub fn metrics(&self) -> Vec<Metric> {
        let in_bytes = |bytes: Bytes| bytes.0 as f64;
        let cpu = self.cpu_available.map(|share| metric::HOST_CPU_AVAILABLE.of(share));
        let available = self.reading.memory_available.map(in_bytes).map(|b| metric::HOST_MEM_AVAILABLE.of(b));
        let swapped = self.reading.swap_used().map(in_bytes).map(|b| metric::HOST_SWAP_USED.of(b));
        [cpu, available, swapped].into_iter().flatten().collect()
    }
}
