//! What the profiles stand for. Pure.

use crate::model::attacker::Attacker;
use crate::model::configuration::{Configuration, LadderOrder, Profile, thesis_load};
use crate::model::flat_configuration::FlatConfiguration;
use crate::model::load::Load;
use crate::model::placement::Placement;
use crate::model::platform::Networking;
use crate::model::program::Program;
use crate::model::record::Experiment;
use crate::platform::registry;

/// The configuration of a profile, with the default platforms and guests.
pub(super) fn profile(experiment: Experiment, profile: Profile) -> Configuration {
    let parameters = match profile {
        Profile::Quick => quick(experiment),
        Profile::Standard => standard(experiment),
        Profile::Paper => paper(experiment),
    };
    parameters.into()
}

/// Minutes for every platform that a machine may have: a container engine takes half a second a start, so ladders are
/// short and passes few where a trial is long. Six passes are the least that a 95 % interval can stand on.
fn quick(experiment: Experiment) -> FlatConfiguration {
    let isolation = experiment == Experiment::Isolation;
    let scalability = experiment == Experiment::Scalability;
    FlatConfiguration {
        experiment,
        profile: Profile::Quick,
        name: None,
        platforms: registry::defaults(),
        workloads: workloads(experiment),
        network: Networking::None,
        load: Load { seconds: 1, requests: 200_000, ..thesis_load() },
        attackers: few(isolation, Attacker::ALL),
        server_attackers: few(isolation, SERVER_ATTACKERS),
        placements: few(isolation, &[Placement::SameThread, Placement::SameCore]),
        ladder: few(!isolation, &[0, 10]),
        minimum: false,
        ladder_order: LadderOrder::Shuffled,
        victims: few(scalability, &[2]),
        runs: match experiment {
            Experiment::Boot | Experiment::Footprint => 6,
            Experiment::Scalability | Experiment::Isolation => 2,
        },
        boots: 2,
        rows: 5_000,
        noise_quanta: 2_000,
        timeout_s: 60,
        seed: 0,
        filter: None,
    }
}

fn standard(experiment: Experiment) -> FlatConfiguration {
    let isolation = experiment == Experiment::Isolation;
    FlatConfiguration {
        profile: Profile::Standard,
        load: Load { seconds: 3, requests: 1_000_000, ..thesis_load() },
        placements: few(isolation, isolation_placements()),
        ladder: few(!isolation, &[0, 10, 20, 50, 100, 200, 300, 400, 500]),
        victims: few(experiment == Experiment::Scalability, &[2, 4, 8, 16]),
        runs: 12,
        boots: 10,
        rows: 60_000,
        noise_quanta: 20_000,
        timeout_s: 120,
        ..quick(experiment)
    }
}

fn paper(experiment: Experiment) -> FlatConfiguration {
    let isolation = experiment == Experiment::Isolation;
    FlatConfiguration {
        profile: Profile::Paper,
        load: thesis_load(),
        ladder: few(!isolation, &(0..=100).map(|step| step * 10).collect::<Vec<_>>()),
        ladder_order: LadderOrder::Growth,
        victims: few(experiment == Experiment::Scalability, &[2, 4, 8, 16, 32, 64]),
        runs: if isolation { 20 } else { 5 },
        boots: 1,
        timeout_s: 300,
        ..standard(experiment)
    }
}

/// What is measured when the user names nothing.
fn workloads(experiment: Experiment) -> Vec<Program> {
    match experiment {
        Experiment::Boot => vec![Program::Hello],
        Experiment::Footprint => vec![Program::Sleep],
        Experiment::Scalability | Experiment::Isolation => vec![Program::Sqlite, Program::Nginx, Program::Redis],
    }
}

/// The attackers that the thesis set beside servers.
pub(super) const SERVER_ATTACKERS: &[Attacker] = &[Attacker::Prime, Attacker::Stream];

/// The placements that have an attacker.
pub(super) fn isolation_placements() -> &'static [Placement] {
    use Placement::{Fill, OtherSocket, SameCore, SameSocket, SameThread};
    &[SameThread, SameCore, SameSocket, OtherSocket, Fill]
}

fn few<T: Clone>(wanted: bool, items: &[T]) -> Vec<T> {
    if wanted { items.to_vec() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::host::fixture;
    use crate::host::placement;
    use crate::measure::plan::{HostSupport, build};
    use crate::model::platform::{Accelerator, Capabilities, PlatformId};

    /// How long a profile of `experiment` takes where all of `platforms` can run, on a host with two CPUs.
    fn estimate(experiment: Experiment, level: Profile, platforms: &[&str]) -> Duration {
        let configuration = Configuration {
            platforms: platforms.iter().map(|&name| PlatformId::new(name)).collect(),
            ..profile(experiment, level)
        };
        let can = Capabilities {
            accelerator: Accelerator::None,
            fork: true,
            limits: true,
            launch_concurrency: 4,
            host_processes: true,
            network: true,
            own_memory: false,
            simulated: false,
        };
        let host = fixture::topology("vm-2x1");
        let here = |&p: &Placement| (p, placement::assign(&host, p).map(drop).map_err(|e| e.to_string()));
        let host_support = HostSupport {
            platforms: configuration.platforms.iter().map(|id| (id.clone(), Ok(can))).collect(),
            placements: configuration.placements().iter().map(here).collect(),
            workloads: Vec::new(),
        };
        build(&configuration, &host_support).estimate().into()
    }

    #[rstest]
    #[case::embedded(&["native", "youki"], 4)]
    #[case::all_there_are(&["native", "youki", "docker", "docker:crun", "oci:runc", "podman"], 12)]
    fn the_quick_profile_of_all_four_takes_minutes(#[case] platforms: &[&str], #[case] minutes: u64) {
        let total = |level| -> Duration {
            let each: Vec<Duration> = Experiment::ALL.iter().map(|&e| estimate(e, level, platforms)).collect();
            println!("{level} on {platforms:?}: {each:.0?}, {:.0?} in all", each.iter().sum::<Duration>());
            each.iter().sum()
        };
        let (quick, standard, paper) = (total(Profile::Quick), total(Profile::Standard), total(Profile::Paper));
        assert!(quick <= Duration::from_secs(minutes * 60), "{quick:?}");
        assert!(quick < standard && standard < paper);
    }
}
