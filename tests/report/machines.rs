//! Runs of virtual machines, made in memory: how their boots, their memory and their accelerator look in a report.
//!
//! Every platform is marked as simulated; no number here is a measurement.

use std::collections::BTreeMap;

use featherweight::model::event::Event;
use featherweight::model::platform::{Accelerator, PlatformId};
use featherweight::model::record::{Experiment, TrialRecord};
use featherweight::model::units::{Direction, Nanos, Unit};
use featherweight::store::StoredRun;

use crate::dice::Dice;
use crate::frozen::{self, MS, metric, size, time};

/// Virtual machines and a container in the same runs.
const PLATFORMS: [&str; 3] = ["qemu:null", "qemu:linux", "youki"];
const TRIALS: u32 = 7;
const MIB: f64 = 1_048_576.0;

/// A boot run, a footprint run and one that looks for the smallest memory.
pub(crate) fn generate() -> Vec<StoredRun> {
    let mut dice = Dice(11);
    let mut smallest = run(Experiment::Footprint, "20261123-090000-0003", trials(&mut dice, smallest));
    smallest.file.configuration = smallest.file.configuration.changed(|c| c.minimum = true);
    vec![
        run(Experiment::Boot, "20261123-080000-0001", trials(&mut dice, boot)),
        run(Experiment::Footprint, "20261123-083000-0002", trials(&mut dice, footprint)),
        smallest,
    ]
}

fn run(experiment: Experiment, id: &str, trials: Vec<TrialRecord>) -> StoredRun {
    let mut run = frozen::run(experiment, id, trials);
    run.file.platforms = PLATFORMS.iter().map(|p| frozen::platform(p)).collect();
    run.file.configuration.platforms = PLATFORMS.iter().map(|p| PlatformId::new(*p)).collect();
    run
}

fn trials(dice: &mut Dice, of: fn(&mut Dice, &str, u32) -> Option<TrialRecord>) -> Vec<TrialRecord> {
    let each = PLATFORMS.iter().flat_map(|platform| (0..TRIALS).map(move |number| (*platform, number)));
    each.filter_map(|(platform, number)| of(dice, platform, number)).map(accelerated).collect()
}

fn accelerated(mut trial: TrialRecord) -> TrialRecord {
    if trial.case.platform.as_str().starts_with("qemu") {
        trial.case.accelerator = Accelerator::Tcg;
    }
    trial
}

fn boot(dice: &mut Dice, platform: &str, number: u32) -> Option<TrialRecord> {
    let luck = dice.near_one(0.03) * MS;
    let spans: &[(&str, Event, f64)] = match platform {
        "qemu:null" => &[("monitor", Event::Vmm, 62.0), ("start", Event::Main, 18.0), ("run", Event::Exit, 4.0)],
        "qemu:linux" => &[
            ("monitor", Event::Vmm, 64.0),
            ("kernel", Event::Guest, 2900.0),
            ("program", Event::Main, 120.0),
            ("run", Event::Exit, 40.0),
        ],
        _ => &[("", Event::Main, 9.0), ("", Event::Exit, 1.0)],
    };
    let mut trial = frozen::trial(Experiment::Boot, platform, "hello", number);
    let (mut now, mut events) = (0.0, BTreeMap::from([(Event::Spawn, Nanos(0))]));
    for &(name, event, ms) in spans {
        now += ms * luck;
        events.insert(event, Nanos(now as u64));
        trial.metrics.extend((!name.is_empty()).then(|| time(name, ms * luck)));
    }
    if platform == "qemu:null" {
        // Its first byte is its program's first line.
        events.insert(Event::Guest, events[&Event::Main]);
    }
    let at = |event: Event| events[&event].0 as f64;
    trial.metrics.extend([
        time("boot", at(Event::Main)),
        time("boot_whole", at(Event::Exit)),
        time("removal", 9.0 * luck),
    ]);
    events.insert(Event::Gone, Nanos((now + 9.0 * luck) as u64));
    trial.events = events;
    Some(trial)
}

fn footprint(dice: &mut Dice, platform: &str, number: u32) -> Option<TrialRecord> {
    let luck = dice.near_one(0.03) * MIB;
    let (guest, translation, given) = match platform {
        "qemu:null" => (0.3, 2.0, 16.0),
        "qemu:linux" => (44.0, 31.0, 128.0),
        _ => (0.0, 0.0, 0.0),
    };
    let mut trial = frozen::trial(Experiment::Footprint, platform, "sleep", number);
    trial.case.background = 10;
    let parts = [("pss_monitor", 13.0), ("pss_program", 6.0), ("pss_translation", translation), ("pss_guest", guest)];
    let whole: f64 = parts.iter().map(|(_, mib)| mib).sum();
    trial.metrics = match given > 0.0 {
        false => vec![size("pss_per_instance", 0.4 * luck)],
        true => parts.iter().map(|(name, mib)| size(name, mib * luck)).collect(),
    };
    if given > 0.0 {
        trial.metrics.push(size("pss_per_instance", whole * luck));
        trial.metrics.push(size("pss_overhead", (whole - guest) * luck));
        trial.metrics.push(metric("guest_memory", Unit::Bytes, Direction::Neutral, given * MIB));
    }
    trial.metrics.push(size("mem_used", (whole + 2.0) * 10.0 * luck));
    Some(trial)
}

fn smallest(_: &mut Dice, platform: &str, number: u32) -> Option<TrialRecord> {
    let (least, own) = match platform {
        "qemu:null" => (2.0, 16.0),
        "qemu:linux" => (37.0, 128.0),
        _ => return None,
    };
    let mut trial = frozen::trial(Experiment::Footprint, platform, "sleep", number);
    trial.metrics = vec![size("minimum_memory", least * MIB), size("guest_memory", own * MIB)];
    trial.metrics.push(size("insufficient_memory", (least - 1.0) * MIB));
    Some(trial)
}
