//! The noise guard: times fixed work on one CPU again and again to detect what else runs there.
//!
//! It uses fixed work quanta (FWQ), as the FTQ/FWQ benchmarks of the Sequoia suite do. Every quantum does the same
//! arithmetic, so if one takes longer than usual, something else used the CPU. Invariant: the work is calibrated once and
//! stored with the readings. A new calibration would hide that the processor has become slower.

mod history;
mod verdict;

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::host::clock::{Clock, HostClock};
use crate::host::placement::{PinError, pin_current_thread};
use crate::host::sampler::host::CpuTime;
use crate::host::tree;
use crate::model::cpuset::CpuSet;
use crate::model::units::Nanos;

pub use history::{append, load};
pub use verdict::{Baseline, Verdict, judge};

/// The number and size of quanta to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FwqConfig {
    /// The number of quanta.
    pub quanta: u32,
    /// The work of one quantum, from [`calibrate`].
    pub iterations: u64,
}

/// Why a CPU's noise cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum NoiseError {
    /// The thread cannot be pinned to the CPU.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// The thread cannot be started.
    #[error("failed to start the thread of the noise guard: {0}")]
    Start(io::Error),
    /// The thread panicked.
    #[error("the thread of the noise guard panicked")]
    Panicked,
}

impl From<NoiseError> for io::Error {
    fn from(error: NoiseError) -> Self {
        io::Error::other(error)
    }
}

/// The times of the quanta on one CPU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoiseReading {
    /// The CPU.
    pub cpu: u32,
    /// The number of quanta.
    pub quanta: u32,
    /// The work of each quantum. Readings with different work cannot be compared.
    pub iterations: u64,
    /// The median quantum, which shows the processor's speed.
    pub median: Nanos,
    /// The 99.9th percentile, which shows interruptions.
    pub p99_9: Nanos,
    /// The longest quantum.
    pub max: Nanos,
    /// The sum of all quanta.
    pub total: Nanos,
    /// The CPU time that the hypervisor gave to other guests meanwhile.
    pub steal: Option<Nanos>,
    /// How often the thread yielded the CPU: hardly ever, since it does not wait.
    pub voluntary_switches: Option<u64>,
    /// How often the thread was preempted.
    pub involuntary_switches: Option<u64>,
    /// The CPU's frequency at the end; `None` if the host does not report it.
    pub frequency_khz: Option<u64>,
}

impl NoiseReading {
    /// The share of the CPU's time that other processes used, from 0 to 1: all time above the median quantum.
    pub fn lost_share(&self) -> f64 {
        let undisturbed = self.median.0.saturating_mul(u64::from(self.quanta));
        self.total.0.saturating_sub(undisturbed) as f64 / self.total.0.max(1) as f64
    }
}

/// The intended time of a quantum, about 100 µs as usual for FWQ: a thousand times the cost of reading the clock, and less
/// than a time slice of the scheduler.
pub const QUANTUM: Nanos = Nanos(100_000);

/// Returns the work that takes about `quantum` on an otherwise idle `cpu`.
///
/// # Errors
/// When the thread cannot be pinned to the CPU.
pub fn calibrate(cpu: u32, quantum: Nanos) -> Result<u64, NoiseError> {
    on_cpu(cpu, move || {
        // The first rounds also wake the processor from idle states. The shortest of all rounds is undisturbed.
        let trial = 10_000;
        let shortest = (0..500).map(|_| time(trial)).min().unwrap_or(quantum).0.max(1);
        (trial * quantum.0 / shortest).max(1)
    })
}

/// Times the quanta in a new thread that is pinned to `cpu`.
///
/// # Errors
/// When the thread cannot be pinned to the CPU.
pub fn measure(cpu: u32, config: &FwqConfig) -> Result<NoiseReading, NoiseError> {
    let config = *config;
    on_cpu(cpu, move || read(cpu, &config))
}

fn read(cpu: u32, config: &FwqConfig) -> NoiseReading {
    let mut times = vec![Nanos(0); config.quanta as usize];
    let before = Counters::read(cpu);
    // The first quantum warms the caches and is not recorded.
    time(config.iterations);
    times.iter_mut().for_each(|t| *t = time(config.iterations));
    let after = Counters::read(cpu);
    let grown = |a: Option<u64>, b: Option<u64>| b?.checked_sub(a?);
    times.sort_unstable();
    NoiseReading {
        cpu,
        quanta: config.quanta,
        iterations: config.iterations,
        median: quantile(&times, 500),
        p99_9: quantile(&times, 999),
        max: quantile(&times, 1000),
        total: Nanos(times.iter().map(|t| t.0).sum()),
        steal: grown(before.steal, after.steal).map(Nanos),
        voluntary_switches: grown(before.voluntary, after.voluntary),
        involuntary_switches: grown(before.involuntary, after.involuntary),
        frequency_khz: tree::known(Path::new(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"))),
    }
}

/// Executes `work` in a new thread that is pinned to `cpu`.
fn on_cpu<T: Send + 'static>(cpu: u32, work: impl FnOnce() -> T + Send + 'static) -> Result<T, NoiseError> {
    let pinned = move || -> Result<T, PinError> {
        pin_current_thread(&CpuSet::one(cpu))?;
        Ok(work())
    };
    let thread = thread::Builder::new().name("fw-noise".to_owned()).spawn(pinned).map_err(NoiseError::Start)?;
    Ok(thread.join().map_err(|_| NoiseError::Panicked)??)
}

fn time(iterations: u64) -> Nanos {
    let start = HostClock.now();
    black_box(work(black_box(iterations)));
    HostClock.now().saturating_sub(start)
}

/// A chain of multiplications in which each depends on the one before. Its time depends on their latency, which no compiler
/// changes. It accesses no memory, so it measures CPU time alone. The constants are those of Knuth's MMIX generator.
fn work(iterations: u64) -> u64 {
    (0..iterations)
        .fold(1, |x: u64, _| black_box(x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407)))
}

/// The quantile of the sorted times at `thousandths`, by nearest rank.
fn quantile(sorted: &[Nanos], thousandths: usize) -> Nanos {
    let rank = (sorted.len() * thousandths).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Counters of the kernel.
struct Counters {
    steal: Option<u64>,
    voluntary: Option<u64>,
    involuntary: Option<u64>,
}

impl Counters {
    fn read(cpu: u32) -> Self {
        let stat = tree::line(Path::new("/proc/stat")).unwrap_or_default();
        let status = fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let switches = |kind: &str| tree::field(&status, &format!("{kind}_ctxt_switches"), ':')?.parse().ok();
        Self {
            steal: CpuTime::parse(&stat, &format!("cpu{cpu}")).map(|c| c.steal.0),
            voluntary: switches("voluntary"),
            involuntary: switches("nonvoluntary"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_measured_times() {
        let times: Vec<Nanos> = (1..=2000).map(Nanos).collect();
        assert_eq!([500, 999, 1000].map(|q| quantile(&times, q).0), [1000, 1998, 2000]);
        assert_eq!(quantile(&[Nanos(7)], 999), Nanos(7));
    }

    #[test]
    fn a_reading_of_this_host_is_consistent() {
        let cpu = crate::host::placement::usable_cpus().unwrap().first().unwrap();
        let iterations = calibrate(cpu, Nanos(10_000)).unwrap();
        let reading = measure(cpu, &FwqConfig { quanta: 200, iterations }).unwrap();
        assert_eq!((reading.cpu, reading.quanta, reading.iterations), (cpu, 200, iterations));
        assert!(Nanos(0) < reading.median && reading.median <= reading.p99_9 && reading.p99_9 <= reading.max);
        assert!(reading.total.0 >= 100 * reading.median.0);
        assert!(reading.involuntary_switches.is_some());
    }

    #[test]
    fn the_work_depends_on_every_iteration() {
        let values: std::collections::BTreeSet<u64> = (0..1000).map(work).collect();
        assert_eq!(values.len(), 1000);
    }

    #[test]
    fn a_missing_cpu_is_an_error() {
        assert!(measure(1023, &FwqConfig { quanta: 1, iterations: 1 }).is_err());
    }
}
