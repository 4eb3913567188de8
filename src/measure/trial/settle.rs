//! Letting the host come to rest after its load changed, and what it has to offer then.

use std::path::Path;
use std::time::Duration;

use crate::host::clock::Clock;
use crate::host::sampler::HostReading;
use crate::model::record::Metric;
use crate::model::units::{Bytes, Direction, Nanos, Unit};

/// How often memory is looked at while settling, and over which the CPU's idle share is taken.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// At rest: two looks in a row that differ by no more than this. The kernel's per-CPU counters fold in batches, so
/// `MemAvailable` never stands still to the byte.
const STEADY: Bytes = Bytes(256 << 10);

/// A host that never rests is measured all the same after this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// The host at rest, with the background instances living and nothing measured.
#[derive(Debug, Clone, PartialEq)]
pub struct HostContext {
    /// The last reading.
    pub reading: HostReading,
    /// The idle share of all CPUs while settling, 0 to 1; `None` if no tick passed.
    pub cpu_available: Option<f64>,
}

/// Waits until the host is at rest and reads it. `/proc/stat` counts in ticks of 10 ms, so the CPU's share is taken over
/// the whole wait.
pub(in crate::measure) fn settle(clock: &dyn Clock, proc: &Path) -> HostContext {
    let first = HostReading::read(proc);
    let give_up = clock.now() + PATIENCE.into();
    let (mut before, mut quiet) = (first, 0);
    loop {
        clock.pause(LOOK_EVERY);
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
    /// The metrics that stand beside every result: what the host had left.
    pub fn metrics(&self) -> Vec<Metric> {
        let neutral = |name: &str, unit, value| Metric {
            name: name.to_owned(),
            unit,
            direction: Direction::Neutral,
            value,
            samples: Vec::new(),
        };
        let cpu = self.cpu_available.map(|share| neutral("host_cpu_available", Unit::Ratio, share));
        let bytes = |name, amount: Option<Bytes>| amount.map(|b| neutral(name, Unit::Bytes, b.0 as f64));
        let available = bytes("host_mem_available", self.reading.memory_available);
        let swapped = bytes("host_swap_used", self.reading.swap_used());
        [cpu, available, swapped].into_iter().flatten().collect()
    }
}
