//! Judges whether the host was quiet during a run, by its own past readings.
//!
//! Two values are robust even on a noisy virtual machine and are judged. The median shows the processor's speed and hardly
//! changes. The p99.9 shows how often the CPU is taken away; over two seconds, a single burst of a few hundred milliseconds
//! does not raise it.
//!
//! A third rule does not depend on past readings, so that it also detects a host that was always busy: other processes must
//! not use a tenth of the CPU's time. On a virtual machine with two CPUs, others used 0 to 2 % of a quiet CPU (p99.9 150 to
//! 380 µs). While a compiler ran, they used 8 to 78 % (p99.9 4 to 30 ms, with the same median).
//!
//! The rest is recorded but not judged. A single long quantum is normal: an interrupt, or a migration of the virtual
//! machine. The cost of steal and context switches is already in the quanta.

use serde::{Deserialize, Serialize};

use super::NoiseReading;
use crate::model::units::Nanos;

/// The usual values of a CPU on the quiet host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The CPU.
    pub cpu: u32,
    /// The work of a quantum, which the run repeats.
    pub iterations: u64,
    /// The usual median.
    pub median: Nanos,
    /// The usual p99.9; `None` if no reading was long enough.
    pub p99_9: Option<Nanos>,
    /// The number of readings that it is computed from.
    pub readings: usize,
}

/// Whether a run's measurements count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// The host was as quiet as it usually is.
    Valid,
    /// It was not; the run is INVALID.
    Invalid {
        /// The values that were too high, one sentence each.
        reasons: Vec<String>,
    },
    /// There are no readings to compare with.
    Unjudged {
        /// Why.
        reason: String,
    },
}

/// A run with a value above this many times the baseline is invalid.
const FACTOR: u64 = 3;
/// With fewer quanta, fewer than ten are above the p99.9, so it is not judged.
const QUANTA_FOR_P99_9: u32 = 10_000;
/// The largest share of the CPU's time that other processes may use: above it, effects of 5 % are lost in noise.
const LOST_SHARE: f64 = 0.1;
/// Only the latest readings make the baseline, since a host changes (its firmware, other guests on its machine).
const LATEST: usize = 20;

impl Baseline {
    /// Computes the baseline of `cpu` from the host's readings, oldest first; `None` if none is of that CPU.
    ///
    /// It is the lower quartile of the latest readings with the same work as the last one. Noise only adds time, so a
    /// quarter of the readings were at least that quiet, and a noisy hour in the past does not raise the baseline.
    pub fn of(cpu: u32, history: &[NoiseReading]) -> Option<Baseline> {
        let iterations = history.iter().rfind(|r| r.cpu == cpu)?.iterations;
        let is_same_work = |r: &&NoiseReading| r.cpu == cpu && r.iterations == iterations;
        let latest: Vec<&NoiseReading> = history.iter().rev().filter(is_same_work).take(LATEST).collect();
        let long = latest.iter().filter(|r| r.quanta >= QUANTA_FOR_P99_9);
        Some(Baseline {
            cpu,
            iterations,
            median: lower_quartile(latest.iter().map(|r| r.median).collect())?,
            p99_9: lower_quartile(long.map(|r| r.p99_9).collect()),
            readings: latest.len(),
        })
    }
}

/// Judges the readings before and after a run by the baselines of their CPUs.
///
/// On the first run there are no baselines; the readings before the run then serve as such.
pub fn judge(before: &[NoiseReading], after: &[NoiseReading], baselines: &[Baseline]) -> Verdict {
    let baseline_of = |r: &NoiseReading| {
        let is_same = |b: &&Baseline| b.cpu == r.cpu && b.iterations == r.iterations;
        baselines.iter().find(is_same).cloned().or_else(|| Baseline::of(r.cpu, before).filter(|b| is_same(&b)))
    };
    let mut reasons = Vec::new();
    for (when, reading) in before.iter().map(|r| ("before", r)).chain(after.iter().map(|r| ("after", r))) {
        let Some(baseline) = baseline_of(reading) else {
            return Verdict::Unjudged { reason: format!("CPU {} has no baseline of the same work", reading.cpu) };
        };
        reasons.extend(excesses(when, reading, &baseline));
    }
    match (reasons.is_empty(), before.is_empty() && after.is_empty()) {
        (false, _) => Verdict::Invalid { reasons },
        (true, false) => Verdict::Valid,
        (true, true) => Verdict::Unjudged { reason: "no CPU was measured".to_owned() },
    }
}

/// Describes each value of `reading` that is too high.
fn excesses(when: &str, reading: &NoiseReading, baseline: &Baseline) -> Vec<String> {
    let cpu = reading.cpu;
    let is_long = reading.quanta >= QUANTA_FOR_P99_9;
    let values = [
        ("median", reading.median, Some(baseline.median)),
        ("p99.9", reading.p99_9, baseline.p99_9.filter(|_| is_long)),
    ];
    let mut excesses = Vec::new();
    for (name, found, usual) in values {
        if let Some(usual) = usual.filter(|usual| found.0 > usual.0.saturating_mul(FACTOR)) {
            excesses.push(format!(
                "CPU {cpu} {when} the run: the {name} quantum took {found}, over {FACTOR} times the usual {usual}"
            ));
        }
    }
    let lost = reading.lost_share();
    if lost > LOST_SHARE {
        excesses.push(format!("CPU {cpu} {when} the run: other processes used {:.0} % of its time", lost * 100.0));
    }
    excesses
}

fn lower_quartile(mut values: Vec<Nanos>) -> Option<Nanos> {
    values.sort_unstable();
    values.get(values.len().div_ceil(4).max(1) - 1).copied()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A reading of CPU 1 with times in microseconds.
    pub(crate) fn reading(median: u64, p99_9: u64) -> NoiseReading {
        NoiseReading {
            cpu: 1,
            quanta: 20_000,
            iterations: 16_000,
            median: Nanos(median * 1000),
            p99_9: Nanos(p99_9 * 1000),
            max: Nanos(10_000_000),
            total: Nanos(median * 20_000_000),
            steal: Some(Nanos(0)),
            voluntary_switches: Some(0),
            involuntary_switches: Some(9),
            frequency_khz: None,
        }
    }

    fn baseline() -> Vec<Baseline> {
        vec![Baseline::of(1, &[reading(100, 150)]).unwrap()]
    }

    #[test]
    fn up_to_three_times_the_baseline_is_valid_and_more_is_not() {
        let judge_one = |r| judge(&[], &[r], &baseline());
        assert_eq!(judge_one(reading(300, 450)), Verdict::Valid);
        let reason = "CPU 1 after the run: the median quantum took 301 µs, over 3 times the usual 100 µs";
        assert_eq!(judge_one(reading(301, 450)), Verdict::Invalid { reasons: vec![reason.to_owned()] });
        let reason = "CPU 1 after the run: the p99.9 quantum took 451 µs, over 3 times the usual 150 µs";
        assert_eq!(judge_one(reading(100, 451)), Verdict::Invalid { reasons: vec![reason.to_owned()] });
    }

    #[test]
    fn a_cpu_that_was_always_shared_is_not_quiet() {
        let shared = NoiseReading { total: Nanos(2_500_000_000), ..reading(100, 4000) };
        let shared = [shared];
        let verdict = judge(&shared, &shared, &[Baseline::of(1, &shared).unwrap()]);
        let Verdict::Invalid { reasons } = verdict else { panic!("{verdict:?}") };
        let expected = |when| format!("CPU 1 {when} the run: other processes used 20 % of its time");
        assert_eq!(reasons, ["before", "after"].map(expected));
    }

    #[test]
    fn noise_before_the_run_counts_too() {
        let verdict = judge(&[reading(100, 4000)], &[reading(100, 150)], &baseline());
        assert!(matches!(verdict, Verdict::Invalid { reasons } if reasons[0].starts_with("CPU 1 before the run")));
    }

    #[test]
    fn a_first_run_is_judged_by_its_first_readings() {
        assert_eq!(judge(&[reading(100, 150)], &[reading(100, 160)], &[]), Verdict::Valid);
        assert!(matches!(judge(&[reading(100, 150)], &[reading(100, 4000)], &[]), Verdict::Invalid { .. }));
    }

    #[test]
    fn without_readings_of_the_same_work_nothing_is_judged() {
        assert!(matches!(judge(&[], &[], &baseline()), Verdict::Unjudged { .. }));
        let other_work = NoiseReading { iterations: 17_000, ..reading(100, 150) };
        assert!(matches!(judge(&[], &[other_work], &baseline()), Verdict::Unjudged { .. }));
        let other_cpu = NoiseReading { cpu: 2, ..reading(100, 150) };
        assert!(matches!(judge(&[], &[other_cpu], &baseline()), Verdict::Unjudged { .. }));
    }

    #[test]
    fn a_short_readings_tail_is_not_judged_and_makes_no_baseline() {
        let short = |p99_9| NoiseReading { quanta: 9_999, total: Nanos(1_000_000_000), ..reading(100, p99_9) };
        assert_eq!(judge(&[], &[short(9000)], &baseline()), Verdict::Valid);
        assert_eq!(Baseline::of(1, &[short(150)]).unwrap().p99_9, None);
    }

    #[test]
    fn a_noisy_hour_does_not_raise_the_baseline() {
        let mut history = vec![reading(100, 150); 6];
        history.extend(vec![reading(180, 5000); 14]);
        let baseline = Baseline::of(1, &history).unwrap();
        assert_eq!((baseline.median, baseline.p99_9, baseline.readings), (Nanos(100_000), Some(Nanos(150_000)), 20));
    }

    #[test]
    fn a_baseline_ignores_old_readings_and_other_work() {
        let mut history = vec![reading(50, 80); 30];
        history.extend(vec![reading(100, 150); 20]);
        assert_eq!(Baseline::of(1, &history).unwrap().median, Nanos(100_000));
        history.push(NoiseReading { iterations: 8_000, ..reading(51, 90) });
        assert_eq!(Baseline::of(1, &history).map(|b| (b.readings, b.iterations)), Some((1, 8_000)));
        assert_eq!(Baseline::of(2, &history), None);
    }
}
