//! The configurations of the profiles. Pure.

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

/// Takes minutes on all platforms of a well-equipped machine. A container engine needs half a second per start, so
/// ladders are short, and experiments with long trials have few passes. A 95 % interval needs six passes.
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
        attackers: when(isolation, Attacker::ALL),
        server_attackers: when(isolation, SERVER_ATTACKERS),
        placements: when(isolation, &[Placement::SameThread, Placement::SameCore]),
        ladder: when(!isolation, &[0, 10]),
        minimum: false,
        ladder_order: LadderOrder::Shuffled,
        victims: when(scalability, &[2]),
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
        placements: when(isolation, isolation_placements()),
        ladder: when(!isolation, &[0, 10, 20, 50, 100, 200, 300, 400, 500]),
        victims: when(experiment == Experiment::Scalability, &[2, 4, 8, 16]),
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
        ladder: when(!isolation, &(0..=100).map(|step| step * 10).collect::<Vec<_>>()),
        ladder_order: LadderOrder::Growth,
        victims: when(experiment == Experiment::Scalability, &[2, 4, 8, 16, 32, 64]),
        runs: if isolation { 20 } else { 5 },
        boots: 1,
        timeout_s: 300,
        ..standard(experiment)
    }
}

/// The workloads if the user sets none.
fn workloads(experiment: Experiment) -> Vec<Program> {
    match experiment {
        Experiment::Boot => vec![Program::Hello],
        Experiment::Footprint => vec![Program::Sleep],
        Experiment::Scalability | Experiment::Isolation => vec![Program::Sqlite, Program::Nginx, Program::Redis],
    }
}

/// The attackers that the thesis ran with servers.
pub(super) const SERVER_ATTACKERS: &[Attacker] = &[Attacker::Prime, Attacker::Stream];

/// The placements with an attacker.
pub(super) fn isolation_placements() -> &'static [Placement] {
    use Placement::{Fill, OtherSocket, SameCore, SameSocket, SameThread};
    &[SameThread, SameCore, SameSocket, OtherSocket, Fill]
}

fn when<T: Clone>(applies: bool, items: &[T]) -> Vec<T> {
    if applies { items.to_vec() } else { Vec::new() }
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

    /// The estimated time of `experiment` on a host with two CPUs on which all `platforms` can run.
    fn estimate(experiment: Experiment, level: Profile, platforms: &[&str]) -> Duration {
        let configuration = Configuration {
            platforms: platforms.iter().map(|&name| PlatformId::new(name)).collect(),
            ..profile(experiment, level)
        };
        let capabilities = Capabilities {
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
        let support = |&p: &Placement| (p, placement::assign(&host, p).map(drop).map_err(|e| e.to_string()));
        let host_support = HostSupport {
            platforms: configuration.platforms.iter().map(|id| (id.clone(), Ok(capabilities))).collect(),
            placements: configuration.placements().iter().map(support).collect(),
            workloads: Vec::new(),
        };
        build(&configuration, &host_support).estimate().into()
    }

    #[rstest]
    #[case::embedded(&["native", "youki"], 4)]
    #[case::with_installed_runtimes(&["native", "youki", "docker", "docker:crun", "oci:runc", "podman"], 12)]
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
