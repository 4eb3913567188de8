//! Runs with nine platforms and all victims, made in memory: to review crowded reports.
//!
//! Every platform is marked as simulated; no number here is a measurement.

use std::collections::BTreeMap;

use featherweight::model::attacker::Attacker;
use featherweight::model::event::Event;
use featherweight::model::placement::Placement;
use featherweight::model::platform::PlatformId;
use featherweight::model::record::{Experiment, Metric, Role, TrialRecord};
use featherweight::model::units::{Direction, Nanos, Unit};
use featherweight::store::StoredRun;

use crate::dice::Dice;
use crate::frozen::{self, MS, fail, metric, size, time};

/// All platforms that a run may have at once.
pub(crate) const PLATFORMS: [&str; 9] =
    ["native", "youki", "docker", "docker-cli", "docker:crun", "docker:runsc", "oci:runc", "oci:crun", "podman"];
const LADDER: [u32; 4] = [0, 50, 200, 1000];
const TRIALS: u32 = 7;
const PLACEMENTS: [Placement; 4] = [Placement::SameThread, Placement::SameCore, Placement::SameSocket, Placement::Fill];

/// One run of every experiment.
pub(crate) fn generate() -> Vec<StoredRun> {
    let mut dice = Dice(9);
    vec![
        run(Experiment::Boot, "20261122-080000-0001", boot(&mut dice)),
        run(Experiment::Footprint, "20261122-090000-0002", footprint(&mut dice)),
        run(Experiment::Scalability, "20261122-100000-0003", scalability(&mut dice)),
        run(Experiment::Isolation, "20261122-110000-0004", isolation(&mut dice)),
    ]
}

fn run(experiment: Experiment, id: &str, trials: Vec<TrialRecord>) -> StoredRun {
    let mut run = frozen::run(experiment, id, trials);
    run.file.platforms = PLATFORMS.iter().map(|p| frozen::platform(p)).collect();
    run.file.configuration.platforms = PLATFORMS.iter().map(|p| PlatformId::new(*p)).collect();
    run.file.configuration = run.file.configuration.changed(|c| c.ladder = LADDER.to_vec());
    run
}

/// How slow a platform is to start, how much a call costs on it, and how much neighbors can disturb it.
fn traits(platform: &str) -> (f64, f64, f64) {
    match platform {
        "native" => (1.2, 1.0, 1.0),
        "youki" => (9.0, 1.02, 1.0),
        "oci:runc" => (34.0, 1.03, 1.0),
        "oci:crun" => (14.0, 1.02, 1.0),
        "docker" => (310.0, 1.06, 1.02),
        "docker-cli" => (390.0, 1.06, 1.02),
        "docker:crun" => (270.0, 1.05, 1.01),
        "docker:runsc" => (520.0, 2.9, 0.7),
        _ => (480.0, 1.08, 1.03),
    }
}

fn each(workloads: &[&'static str]) -> Vec<(&'static str, &'static str, u32)> {
    let platforms = move |w: &'static str| PLATFORMS.map(|p| (w, p)).into_iter();
    let trials = |(w, p)| (0..TRIALS).map(move |n| (w, p, n));
    workloads.iter().copied().flat_map(platforms).flat_map(trials).collect()
}

fn boot(dice: &mut Dice) -> Vec<TrialRecord> {
    let mut trials = Vec::new();
    for (workload, platform, number) in each(&["hello", "nginx", "redis"]) {
        for level in LADDER {
            let more = if workload == "hello" { 0.0 } else { 3.0 * MS };
            let whole = (traits(platform).0 * MS + more) * (1.0 + f64::from(level) / 2000.0) * dice.near_one(0.04);
            let mut t = frozen::trial(Experiment::Boot, platform, workload, number);
            t.case.background = level;
            let (created, exit, gone) = (whole * 0.6, whole * 1.1, whole * 1.3);
            t.metrics = vec![time("boot", whole), time("removal", gone - exit)];
            t.metrics.push(time(if workload == "hello" { "boot_whole" } else { "ready" }, exit));
            let mut stamps =
                BTreeMap::from([(Event::Spawn, 0.0), (Event::Main, whole), (Event::Exit, exit), (Event::Gone, gone)]);
            if workload != "hello" {
                stamps.insert(Event::Ready, exit * 0.99);
            }
            if !["native", "youki"].contains(&platform) {
                stamps.insert(Event::Created, created);
                let parts = [("create", created), ("start", whole - created), ("run", exit - whole)];
                let own = if workload == "hello" { &parts[..] } else { &parts[..2] };
                t.metrics.extend(own.iter().map(|(name, value)| time(name, *value)));
            }
            t.events = stamps.into_iter().map(|(event, at)| (event, Nanos(at as u64))).collect();
            t.metrics.extend(frozen::context(dice, level, 2.0));
            trials.push(t);
        }
    }
    trials
}

fn footprint(dice: &mut Dice) -> Vec<TrialRecord> {
    let mut trials = Vec::new();
    for (workload, platform, number) in each(&["sleep", "nginx", "redis"]) {
        for level in &LADDER[1..] {
            let mib = traits(platform).1.powi(3) * 1_048_576.0 * dice.near_one(0.04);
            let mut t = frozen::trial(Experiment::Footprint, platform, workload, number);
            t.case.background = *level;
            t.metrics = vec![
                size("image_size", 700_000.0),
                size("pss_per_instance", 0.5 * mib),
                size("uss_per_instance", 0.3 * mib),
                size("charge_per_instance", 0.8 * mib),
                size("mem_available_per_instance", mib),
                size("mem_used", mib * f64::from(*level)),
                time("start_per_instance", traits(platform).0 * MS * 0.6),
            ];
            t.metrics.extend(frozen::context(dice, *level, 2.0));
            trials.push(t);
        }
    }
    trials
}

/// The numbers of one victim, or of several at once, that works `harm` times worse than alone.
fn victim(dice: &mut Dice, workload: &str, harm: f64, victims: u32) -> Vec<Metric> {
    let rate = |name: &str, value: f64| metric(name, Unit::PerSecond, Direction::Higher, value);
    let all = f64::from(victims) / harm * dice.near_one(0.02);
    let mut metrics = match workload {
        "sqlite" => {
            let time_ns = 1.3e9 * harm * dice.near_one(0.02);
            vec![
                time("insert_time", time_ns),
                time("insert_time_guest", time_ns * 0.999),
                rate("throughput", 46_000.0 * all),
            ]
        }
        "nginx" => vec![
            rate("throughput", 52_000.0 * all),
            time("latency_p50", 0.4 * MS * harm),
            time("latency_p99", 1.9 * MS * harm * dice.near_one(0.1)),
            metric("client_errors", Unit::Count, Direction::Neutral, 0.0),
        ],
        _ => vec![
            rate("throughput", 810_000.0 * all),
            rate("throughput_set", 770_000.0 * all),
            rate("throughput_get", 860_000.0 * all),
            time("latency_p50_set", 0.31 * MS * harm),
            time("latency_p99_set", 0.9 * MS * harm),
            time("latency_p50_get", 0.28 * MS * harm),
            time("latency_p99_get", 0.8 * MS * harm),
        ],
    };
    if workload != "sqlite" {
        metrics.push(metric("client_cpu", Unit::Ratio, Direction::Neutral, 0.71 * dice.near_one(0.05)));
        metrics.push(metric("client_time_wait", Unit::Count, Direction::Neutral, 31.0));
    }
    if victims > 1 {
        if let Some(whole) = metrics.iter().find(|m| m.name == "throughput" && workload != "sqlite").map(|m| m.value) {
            let each = whole / f64::from(victims) * dice.near_one(0.01);
            metrics.push(rate("throughput_per_victim", each));
        }
        metrics.push(metric("fairness", Unit::Ratio, Direction::Higher, 1.0 - dice.even() * 0.03));
    }
    metrics
}

fn scalability(dice: &mut Dice) -> Vec<TrialRecord> {
    let mut trials = Vec::new();
    for (workload, platform, number) in each(&["sqlite", "nginx", "redis"]) {
        for (level, victims) in LADDER.map(|l| (l, 1)).into_iter().chain([(0, 4), (0, 16)]) {
            let crowd = 1.0 + f64::from(level) / 8000.0 + f64::from(victims - 1) * 0.2;
            let mut t = frozen::trial(Experiment::Scalability, platform, workload, number);
            (t.case.background, t.case.victims) = (level, victims);
            t.metrics = victim(dice, workload, traits(platform).1 * crowd, victims);
            t.metrics.extend(frozen::context(dice, level, 2.0));
            if workload == "nginx" && platform == "native" && level == 0 {
                t.flags = vec![format!("wrk had its CPUs busy for {} % of the time", 96 + number % 3)];
            }
            trials.push(t);
        }
    }
    trials
}

fn isolation(dice: &mut Dice) -> Vec<TrialRecord> {
    let mut trials = Vec::new();
    for (workload, platform, number) in each(&["sqlite", "nginx", "redis"]) {
        let attackers: &[Attacker] =
            if workload == "sqlite" { Attacker::ALL } else { &[Attacker::Prime, Attacker::Stream] };
        let arms = [(Role::Reference, None), (Role::Placebo, None)].into_iter();
        let arms: Vec<_> = arms.chain(attackers.iter().map(|a| (Role::Measured, Some(*a)))).collect();
        for placement in PLACEMENTS {
            for &(role, attacker) in &arms {
                let mut t = frozen::trial(Experiment::Isolation, platform, workload, number);
                (t.role, t.case.attacker, t.case.placement) = (role, attacker, placement);
                t.metrics = victim(dice, workload, traits(platform).1 * harm(platform, placement, attacker), 1);
                t.attack_ops = attacker.map(|_| 9_000_000);
                t.events =
                    BTreeMap::from([(Event::Spawn, Nanos(0)), (Event::Main, Nanos(9)), (Event::Result, Nanos(99))]);
                if (platform, placement, attacker) == ("podman", Placement::Fill, Some(Attacker::Fork)) {
                    t.events.remove(&Event::Result);
                    fail(&mut t, "waited 60 s for FW result");
                }
                trials.push(t);
            }
        }
    }
    trials
}

fn harm(platform: &str, placement: Placement, attacker: Option<Attacker>) -> f64 {
    let open = traits(platform).2;
    match (placement, attacker) {
        (_, None) => 1.0,
        (Placement::SameThread, _) => 1.0 + 0.95 * open,
        (Placement::SameCore, _) => 1.0 + 0.45 * open,
        (Placement::Fill, Some(Attacker::Open | Attacker::Stat)) => 1.0 + 7.0 * open.powi(4),
        _ => 1.0 + 0.1 * open,
    }
}
