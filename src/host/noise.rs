//! The noise guard: fixed work, timed again and again on one CPU, tells what else runs there.
//!
//! Fixed-work quanta (FWQ) as in the FTQ/FWQ benchmarks of the Sequoia suite: each quantum is the same arithmetic, so
//! whatever it takes longer than usual was taken by somebody else. Invariant: the work is calibrated once and kept with
//! the baseline; if it were calibrated anew, a slower processor would look the same.

mod history;
mod verdict;

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::Path;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::host::clock::{Clock, HostClock};
use crate::host::placement::pin_current_thread;
use crate::host::sampler::host::CpuTime;
use crate::host::tree;
use crate::model::cpuset::CpuSet;
use crate::model::units::Nanos;

pub use history::{append, load};
pub use verdict::{Baseline, Verdict, judge};

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FwqConfig {
    /// How many quanta.
    pub quanta: u32,
    /// The work of one, from [`calibrate`].
    pub iterations: u64,
}

/// What the quanta of one CPU took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoiseReading {
    /// The CPU.
    pub cpu: u32,
    /// How many quanta.
    pub quanta: u32,
    /// The work of each; only readings of the same work compare.
    pub iterations: u64,
    /// What half of the quanta stayed under: the processor's speed.
    pub median: Nanos,
    /// What all but one in a thousand stayed under: interruptions.
    pub p99_9: Nanos,
    /// The longest.
    pub max: Nanos,
    /// All of them together.
    pub total: Nanos,
    /// Time of the CPU that the hypervisor gave to others meanwhile.
    pub steal: Option<Nanos>,
    /// How often the thread gave the CPU up: once a wait, so hardly ever.
    pub voluntary_switches: Option<u64>,
    /// How often it was taken off the CPU.
    pub involuntary_switches: Option<u64>,
    /// The CPU's frequency at the end, where the host tells.
    pub frequency_khz: Option<u64>,
}

impl NoiseReading {
    /// The share of the CPU's time that others had, from 0 to 1: all beyond the median quantum.
    pub fn lost_share(&self) -> f64 {
        let undisturbed = self.median.0.saturating_mul(u64::from(self.quanta));
        self.total.0.saturating_sub(undisturbed) as f64 / self.total.0.max(1) as f64
    }
}

/// The time one quantum should take (about 100 us, as FWQ usually has it): above the clock's own cost by three orders of
/// magnitude, below a scheduler's time slice.
pub const QUANTUM: Nanos = Nanos(100_000);

/// The work that takes `cpu` about `quantum` when nobody disturbs it.
///
/// # Errors
/// When the CPU cannot be pinned to.
pub fn calibrate(cpu: u32, quantum: Nanos) -> io::Result<u64> {
    on_cpu(cpu, move || {
        // The first rounds also wake a sleeping processor up; the shortest of many is undisturbed.
        let trial = 10_000;
        let shortest = (0..500).map(|_| time(trial)).min().unwrap_or(quantum).0.max(1);
        Ok((trial * quantum.0 / shortest).max(1))
    })
}

/// Times the quanta on `cpu`, in a thread of their own that is pinned to it. Takes quanta x quantum.
///
/// # Errors
/// When the CPU cannot be pinned to.
pub fn measure(cpu: u32, config: &FwqConfig) -> io::Result<NoiseReading> {
    let config = *config;
    on_cpu(cpu, move || Ok(read(cpu, &config)))
}

fn read(cpu: u32, config: &FwqConfig) -> NoiseReading {
    let mut times = vec![Nanos(0); config.quanta as usize];
    let before = Counters::read(cpu);
    // One quantum to bring code and data near.
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

fn on_cpu<T: Send + 'static>(cpu: u32, work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let pinned = move || pin_current_thread(&CpuSet::one(cpu)).and_then(|()| work());
    let thread = thread::Builder::new().name("fw-noise".to_owned()).spawn(pinned)?;
    thread.join().unwrap_or_else(|_| Err(io::Error::other("the noise guard panicked")))
}

fn time(iterations: u64) -> Nanos {
    let start = HostClock.now();
    black_box(work(black_box(iterations)));
    HostClock.now().saturating_sub(start)
}

/// A chain of multiplications, each of which waits for the one before: bound by their latency, which no compiler
/// changes, and without memory, so that it tells of CPU time alone. The constants are Knuth's MMIX generator's.
fn work(iterations: u64) -> u64 {
    (0..iterations)
        .fold(1, |x: u64, _| black_box(x.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407)))
}

/// The value that `thousandths` of the sorted times do not exceed (nearest rank).
fn quantile(sorted: &[Nanos], thousandths: usize) -> Nanos {
    let rank = (sorted.len() * thousandths).div_ceil(1000).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// What the kernel counted so far.
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
    fn a_quantile_is_a_time_that_was_measured() {
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
    fn a_cpu_that_is_not_there_is_an_error() {
        assert!(measure(1023, &FwqConfig { quanta: 1, iterations: 1 }).is_err());
    }
}
