//! Comparisons of two runs whose difference is known.

mod refusals;
mod verdicts;

use std::collections::BTreeMap;

use super::*;
use crate::host::noise::NoiseReading;
use crate::model::attacker::Attacker;
use crate::model::platform::{Accelerator, Capabilities, PlatformFacts, PlatformId};
use crate::model::record::{Counts, Experiment, Role};
use crate::model::units::{Direction, Nanos, Unit};
use crate::store::testing::{record, run_file};
use crate::store::{CaseValues, MetricValues, NoiseGuard, PlatformEntry};

/// A reading of a CPU whose quanta took that many nanoseconds.
pub(super) fn reading(median: u64) -> NoiseReading {
    NoiseReading {
        cpu: 0,
        quanta: 2_000,
        iterations: 100_000,
        median: Nanos(median),
        p99_9: Nanos(2 * median),
        max: Nanos(3 * median),
        total: Nanos(2_000 * median),
        steal: None,
        voluntary_switches: None,
        involuntary_switches: None,
        frequency_khz: None,
    }
}

/// A quiet guard around a run in which a quantum took that many nanoseconds.
pub(super) fn guard(median: u64) -> NoiseGuard {
    let readings = vec![reading(median)];
    NoiseGuard { before: readings.clone(), after: readings, invalid: Vec::new(), unjudged: None }
}

pub(super) fn platform(id: &str, simulated: bool) -> PlatformEntry {
    PlatformEntry {
        id: PlatformId::new(id),
        capabilities: Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: true,
            launch_concurrency: 1,
            host_processes: true,
            network: true,
            own_memory: false,
            simulated,
        },
        facts: PlatformFacts { version: "1".to_owned(), notes: Vec::new() },
    }
}

/// `n` values about `centre`, within `spread` as a share, never tied, in an order that favours no part of them.
pub(super) fn values(n: u32, centre: f64, spread: f64) -> Vec<(u32, f64)> {
    /// The golden ratio's fraction: its multiples fill the unit interval evenly however many there are.
    const GOLDEN: f64 = 0.618_033_988_749_895;
    (0..n).map(|i| (i, centre * (1.0 + spread * (2.0 * (0.5 + f64::from(i) * GOLDEN).fract() - 1.0)))).collect()
}

pub(super) fn metric(name: &str, values: Vec<(u32, f64)>) -> MetricValues {
    MetricValues { name: name.to_owned(), unit: Unit::Nanos, direction: Direction::Lower, values }
}

/// The good trials of one case on `native`.
pub(super) fn case(background: u32, metrics: Vec<MetricValues>) -> CaseValues {
    let mut case = record(0).case;
    (case.platform, case.background) = (PlatformId::new("native"), background);
    let ok = metrics.iter().map(|metric| metric.values.len()).max().unwrap_or(0);
    CaseValues { case, role: Role::Measured, counts: Counts { ok, ..Counts::default() }, reason: None, metrics }
}

/// A complete boot run on `native` on a quiet host.
pub(super) fn run(cases: Vec<CaseValues>) -> RunValues {
    let mut file = run_file();
    file.noise = Some(guard(100_000));
    file.platforms = vec![platform("native", false)];
    file.configuration.platforms = vec![PlatformId::new("native")];
    RunValues { dir: "run".into(), file, cases, warnings: Vec::new() }
}

/// A run of one case whose boot took `centre` nanoseconds.
pub(super) fn boots(n: u32, centre: f64) -> RunValues {
    run(vec![case(0, vec![metric("boot", values(n, centre, 0.02))])])
}

/// An isolation run: a reference and an attacked victim of `slowdown`, on a host that takes `pace` as long.
pub(super) fn isolation(slowdown: f64, pace: f64) -> RunValues {
    let alone = values(20, 1e9 * pace, 0.02);
    let loaded = values(20, 1e9 * pace * slowdown, 0.01);
    let mut cases = [(None, Role::Reference, alone), (Some(Attacker::Prime), Role::Measured, loaded)].map(
        |(attacker, role, values)| {
            let mut of = case(0, vec![metric("insert_time", values)]);
            (of.case.experiment, of.case.attacker, of.role) = (Experiment::Isolation, attacker, role);
            of.case.workload = crate::model::program::Program::Sqlite;
            of
        },
    );
    cases.reverse();
    let mut run = run(cases.into());
    run.file.configuration = run.file.configuration.changed(|c| c.experiment = Experiment::Isolation);
    run
}

pub(super) fn compared(a: &RunValues, b: &RunValues) -> Compared {
    asked(a, b, MetricSelection::Headline)
}

pub(super) fn asked(a: &RunValues, b: &RunValues, metrics: MetricSelection) -> Compared {
    compare(("a", a), ("b", b), &Question { rule: Rule::DEFAULT, metrics, past: &Past::default() })
}

/// The only line of a comparison.
pub(super) fn decision(a: &RunValues, b: &RunValues) -> Decision {
    let comparison = compared(a, b).comparison;
    assert!(comparison.not_comparable.is_empty(), "{:?}", comparison.not_comparable);
    match comparison.lines.as_slice() {
        [line] => line.decision.clone(),
        lines => panic!("one line, not {lines:?}"),
    }
}

pub(super) fn facts_of(kernel: &str) -> BTreeMap<String, serde_json::Value> {
    BTreeMap::from([("kernel".to_owned(), kernel.into())])
}
