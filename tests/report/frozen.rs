//! The frozen runs of `fixtures/runs/`: made by a seeded generator, on simulated platforms, marked as such.
//!
//! They look like real runs (noise, drift, failures, a victim that stops answering) so that the report can be judged;
//! no number in them is a measurement.

#![expect(clippy::unwrap_used, reason = "a test helper: a panic is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use featherweight::guest::Image;
use featherweight::host::noise::NoiseReading;
use featherweight::model::attacker::Attacker;
use featherweight::model::configuration::{Configuration, LadderOrder, Profile};
use featherweight::model::event::Event;
use featherweight::model::flat_configuration::FlatConfiguration;
use featherweight::model::load::Load;
use featherweight::model::placement::Placement;
use featherweight::model::platform::{Accelerator, Capabilities, Networking, PlatformFacts, PlatformId};
use featherweight::model::program::Program;
use featherweight::model::record::{Case, Cpus, Experiment, Metric, Outcome, Role, SCHEMA, TrialRecord};
use featherweight::model::units::{Bytes, Direction, Nanos, Unit};
use featherweight::store::{NoiseGuard, PlatformEntry, RunFile, RunOutcome, Skip, StoredRun, Writer};
use serde_json::json;

use crate::dice::Dice;

/// Two made-up platforms: a quick one that shares much, a slower one that isolates well.
const PLATFORMS: [&str; 2] = ["fake", "fake:steady"];
const LADDER: [u32; 5] = [0, 10, 50, 100, 200];
const TRIALS: u32 = 7;
pub(crate) const MS: f64 = 1e6;
const MIB: f64 = 1048576.0;

/// Where the frozen runs are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs")
}

/// All frozen runs as the generator makes them.
pub(crate) fn generate() -> Vec<StoredRun> {
    vec![boot(), footprint(), scalability(), isolation()]
}

/// Writes `runs` into `dir`, one folder each.
pub(crate) fn freeze(runs: &[StoredRun], dir: &Path) {
    for run in runs {
        let mut writer = Writer::open(&dir.join(run.file.run.as_str())).unwrap();
        writer.describe(&run.file).unwrap();
        run.trials.iter().for_each(|trial| writer.append(trial).unwrap());
    }
}

pub(crate) fn run(experiment: Experiment, id: &str, trials: Vec<TrialRecord>) -> StoredRun {
    let planned = trials.len() as u64;
    let id: featherweight::model::run::RunId = id.parse().unwrap();
    let mut run = StoredRun {
        dir: folder().join(id.as_str()),
        file: RunFile {
            schema: SCHEMA,
            run: id.clone(),
            version: "0.1.0".into(),
            command: [experiment.name(), "--platform", "fake,fake:steady"].map(str::to_owned).to_vec(),
            configuration: configuration(experiment),
            started: "2026-11-21T08:45:14Z".into(),
            ended: Some("2026-11-21T08:49:02Z".into()),
            host: host(),
            platforms: PLATFORMS.iter().map(|p| platform(p)).collect(),
            images: vec![image()],
            made: BTreeMap::new(),
            skips: Vec::new(),
            planned,
            noise: Some(noise()),
            outcome: RunOutcome::Complete,
            reason: None,
            confirms: None,
        },
        trials,
        warnings: Vec::new(),
    };
    for (order, trial) in run.trials.iter_mut().enumerate() {
        (trial.run, trial.order) = (id.clone(), order as u64);
    }
    run
}

fn configuration(experiment: Experiment) -> Configuration {
    let sqlite = matches!(experiment, Experiment::Scalability | Experiment::Isolation);
    FlatConfiguration {
        experiment,
        profile: Profile::Quick,
        name: None,
        platforms: PLATFORMS.iter().map(|p| PlatformId::new(*p)).collect(),
        workloads: Vec::new(),
        network: Networking::None,
        load: Load { seconds: 20, connections: 30, threads: 14, requests: 10_000_000, clients: 30, pipeline: 16 },
        attackers: vec![Attacker::Prime, Attacker::Stream, Attacker::Open, Attacker::Fork],
        server_attackers: Vec::new(),
        placements: vec![Placement::SameThread, Placement::SameCore, Placement::Fill],
        ladder: LADDER.to_vec(),
        minimum: false,
        ladder_order: LadderOrder::Shuffled,
        victims: vec![1, 2, 4, 8],
        runs: TRIALS,
        boots: 1,
        rows: if sqlite { 60_000 } else { 0 },
        noise_quanta: 2000,
        timeout_s: 60,
        seed: 42,
        filter: None,
    }
    .into()
}

fn host() -> BTreeMap<String, serde_json::Value> {
    let facts = json!({
        "architecture": "x86_64", "cpu_model": "simulated CPU", "sockets": 1, "cores": 4, "smt": true,
        "kernel": "6.1.0", "memory": "16 GiB", "governors": "performance", "microcode": null,
        "mitigations": {"meltdown": "Not affected", "retbleed": "Mitigation: IBRS"},
    });
    serde_json::from_value(facts).unwrap()
}

pub(crate) fn platform(name: &str) -> PlatformEntry {
    PlatformEntry {
        id: PlatformId::new(name),
        capabilities: Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: true,
            launch_concurrency: 8,
            host_processes: true,
            network: false,
            own_memory: false,
            simulated: true,
        },
        facts: PlatformFacts { version: "virtual clock".into(), notes: vec!["no cgroup: limits by rlimit".into()] },
    }
}

fn image() -> Image {
    Image { program: Program::Hello, rootfs: "/images/hello".into(), digest: "5eed".repeat(16), size: Bytes(700_000) }
}

fn noise() -> NoiseGuard {
    let reading = |median: u64| NoiseReading {
        cpu: 2,
        quanta: 2000,
        iterations: 30_000,
        median: Nanos(median),
        p99_9: Nanos(131_072),
        max: Nanos(412_000),
        total: Nanos(median * 2000 + 900_000),
        steal: None,
        voluntary_switches: Some(0),
        involuntary_switches: Some(3),
        frequency_khz: None,
    };
    NoiseGuard { before: vec![reading(100_310)], after: vec![reading(100_402)], invalid: Vec::new(), unjudged: None }
}

pub(crate) fn trial(experiment: Experiment, platform: &str, workload: &str, number: u32) -> TrialRecord {
    TrialRecord {
        schema: SCHEMA,
        run: "20261121-084514-0000".parse().unwrap(),
        order: 0,
        trial: number,
        role: Role::Measured,
        case: Case {
            experiment,
            platform: PlatformId::new(platform),
            accelerator: Accelerator::None,
            workload: workload.parse().expect("a guest program"),
            attacker: None,
            placement: Placement::Alone,
            background: 0,
            victims: 1,
            image: "5eed".repeat(16),
        },
        started: "2026-11-21T08:45:20Z".into(),
        cpus: Cpus { victim: vec![2], ..Cpus::default() },
        metrics: Vec::new(),
        events: BTreeMap::new(),
        attack_ops: None,
        flags: Vec::new(),
        outcome: Outcome::Ok,
        reason: None,
    }
}

pub(crate) fn metric(name: &str, unit: Unit, direction: Direction, value: f64) -> Metric {
    let value = if unit == Unit::Ratio { (value * 1e4).round() / 1e4 } else { value.round() };
    Metric { name: name.into(), unit, direction, value, samples: Vec::new() }
}

pub(crate) fn time(name: &str, value: f64) -> Metric {
    metric(name, Unit::Nanos, Direction::Lower, value)
}

pub(crate) fn size(name: &str, value: f64) -> Metric {
    metric(name, Unit::Bytes, Direction::Lower, value)
}

pub(crate) fn context(dice: &mut Dice, instances: u32, each: f64) -> [Metric; 3] {
    let n = f64::from(instances);
    let neutral = |name: &str, unit, value| metric(name, unit, Direction::Neutral, value);
    [
        neutral("host_cpu_available", Unit::Ratio, 0.97 - n * 2e-5 - dice.even() * 0.02),
        neutral("host_mem_available", Unit::Bytes, (14_000.0 - n * each) * MIB * dice.near_one(0.002)),
        neutral("host_swap_used", Unit::Bytes, 0.0),
    ]
}

/// Each platform's own traits: share by which 1,000 neighbors slow a boot, boot, inserts, memory of an instance.
fn traits(platform: &str) -> (f64, f64, f64, f64) {
    match platform {
        "fake" => (0.5, 7.1 * MS, 1310.0 * MS, 1.1),
        _ => (0.05, 41.0 * MS, 1225.0 * MS, 9.5),
    }
}

fn boot() -> StoredRun {
    let mut dice = Dice(1);
    let mut trials = Vec::new();
    for number in 0..TRIALS {
        for level in LADDER {
            for platform in PLATFORMS {
                let (slope, base, _, each) = traits(platform);
                let boot = base * (1.0 + slope * f64::from(level) / 1000.0) * dice.near_one(0.02);
                let (exit, gone) = (boot + 0.4 * MS * dice.near_one(0.05), 1.9 * MS * dice.near_one(0.1));
                let mut t = trial(Experiment::Boot, platform, "hello", number);
                t.case.background = level;
                t.metrics = vec![time("boot", boot), time("boot_whole", exit), time("removal", gone)];
                t.metrics.extend(context(&mut dice, level, each));
                let stamps =
                    [(Event::Spawn, 0.0), (Event::Main, boot), (Event::Exit, exit), (Event::Gone, exit + gone)];
                t.events = stamps.map(|(event, at)| (event, Nanos(at as u64))).into();
                if platform != "fake" {
                    t.events.extend([
                        (Event::Vmm, Nanos((boot * 0.35) as u64)),
                        (Event::Guest, Nanos((boot * 0.8) as u64)),
                    ]);
                }
                trials.push(t);
            }
        }
    }
    fail(
        &mut trials[17],
        "launch fw-20261121-084514-0b00-17 on fake: clone3: Resource temporarily unavailable (os error 11)",
    );
    run(Experiment::Boot, "20261121-084514-0b00", trials)
}

fn footprint() -> StoredRun {
    let mut dice = Dice(2);
    let mut trials = Vec::new();
    for number in 0..TRIALS {
        for level in &LADDER[1..] {
            for platform in PLATFORMS {
                let (_, start, _, each) = traits(platform);
                let n = f64::from(*level);
                let mut of = |share: f64| each * MIB * share * dice.near_one(0.03);
                let mut t = trial(Experiment::Footprint, platform, "sleep", number);
                t.case.background = *level;
                t.metrics = vec![
                    size("image_size", 700_000.0),
                    size("pss_per_instance", of(0.5)),
                    size("uss_per_instance", of(0.3)),
                    size("charge_per_instance", of(0.8)),
                    size("slab_per_instance", of(0.25)),
                    size("mem_available_per_instance", of(1.0)),
                    size("mem_used", of(1.0) * n),
                    size("swap_per_instance", 0.0),
                    time("start_per_instance", start * 0.6 * dice.near_one(0.04)),
                ];
                t.metrics.extend(context(&mut dice, *level, each));
                trials.push(t);
            }
        }
    }
    run(Experiment::Footprint, "20261121-085001-0f00", trials)
}

fn scalability() -> StoredRun {
    let mut dice = Dice(3);
    let mut trials = Vec::new();
    for number in 0..TRIALS {
        for platform in PLATFORMS {
            let (slope, _, insert, each) = traits(platform);
            for (level, victims) in LADDER.map(|l| (l, 1)).into_iter().chain([(0, 2), (0, 4), (0, 8)]) {
                let crowd = 1.0 + (slope * 0.1) * f64::from(level) / 1000.0 + slope * 0.3 * f64::from(victims - 1);
                let value = insert * crowd * dice.near_one(0.015);
                let mut t = trial(Experiment::Scalability, platform, "sqlite", number);
                (t.case.background, t.case.victims) = (level, victims);
                t.metrics = vec![time("insert_time", value), time("insert_time_guest", value * 0.999)];
                if level == 0 {
                    let rate = f64::from(victims) * 60_000.0 / (value / 1e9);
                    let fair = if victims == 1 { 1.0 } else { 1.0 - dice.even() * 0.03 };
                    t.metrics.push(metric("throughput", Unit::PerSecond, Direction::Higher, rate));
                    t.metrics.push(metric("fairness", Unit::Ratio, Direction::Higher, fair));
                    t.metrics[0].samples = (0..victims).map(|_| (value * dice.near_one(0.01)).round()).collect();
                }
                t.metrics.extend(context(&mut dice, level, each));
                trials.push(t);
            }
        }
    }
    run(Experiment::Scalability, "20261121-085530-05ca", trials)
}

/// How much an attacker slows a victim: by placement, attacker and platform.
fn harm(platform: &str, placement: Placement, attacker: Option<Attacker>) -> f64 {
    let shares = platform == "fake";
    match (placement, attacker) {
        (_, None) => 1.0,
        (Placement::SameThread, _) => {
            if shares {
                1.96
            } else {
                1.31
            }
        }
        (Placement::SameCore, Some(Attacker::Stream)) => 1.62,
        (Placement::SameCore, _) => {
            if shares {
                1.44
            } else {
                1.5
            }
        }
        (_, Some(Attacker::Stream)) => 1.4,
        (_, Some(Attacker::Open)) => {
            if shares {
                8.9
            } else {
                1.12
            }
        }
        _ => 1.08,
    }
}

fn isolation() -> StoredRun {
    let mut dice = Dice(4);
    let mut trials = Vec::new();
    let attackers = [Attacker::Prime, Attacker::Stream, Attacker::Open, Attacker::Fork];
    let arms = [(Role::Reference, None), (Role::Placebo, None)].into_iter();
    let arms: Vec<_> = arms.chain(attackers.map(|a| (Role::Measured, Some(a)))).collect();
    for number in 0..TRIALS {
        for placement in [Placement::SameThread, Placement::SameCore, Placement::Fill] {
            for platform in PLATFORMS {
                let drift = dice.near_one(0.03);
                for &(role, attacker) in &arms {
                    let mut t = trial(Experiment::Isolation, platform, "sqlite", number);
                    (t.role, t.case.attacker, t.case.placement) = (role, attacker, placement);
                    let value = traits(platform).2 * drift * harm(platform, placement, attacker) * dice.near_one(0.015);
                    t.metrics = vec![time("insert_time", value), time("insert_time_guest", value * 0.999)];
                    t.metrics.extend(context(&mut dice, 0, 1.0));
                    t.attack_ops = attacker.map(|_| (value / 800.0) as u64);
                    t.cpus.attackers = if role == Role::Reference { Vec::new() } else { vec![6] };
                    t.events = [(Event::Spawn, 0.0), (Event::Main, 8.0 * MS), (Event::Result, value)]
                        .map(|(event, at)| (event, Nanos(at as u64)))
                        .into();
                    if (platform, placement, attacker) == ("fake", Placement::Fill, Some(Attacker::Fork)) {
                        t.events.remove(&Event::Result);
                        fail(
                            &mut t,
                            "fw-20261121-090210-1501-17: waited 60 s for FW result; last seen: FW ready <b>&\"'",
                        );
                    }
                    trials.push(t);
                }
            }
        }
    }
    let mut run = run(Experiment::Isolation, "20261121-090210-1501", trials);
    run.trials.truncate(run.trials.len() - 30);
    (run.file.outcome, run.file.ended) = (RunOutcome::Interrupted, None);
    run.file.reason = Some("stopped by SIGINT".into());
    run.file.skips.push(Skip {
        platform: None,
        placement: Some(Placement::OtherSocket),
        reason: "this host has one socket; measure on a host with two".into(),
    });
    run
}

pub(crate) fn fail(trial: &mut TrialRecord, reason: &str) {
    (trial.outcome, trial.reason, trial.attack_ops) = (Outcome::Failed, Some(reason.into()), None);
    trial.metrics.clear();
}
