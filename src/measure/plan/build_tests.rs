//! What holds for every plan.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::model::platform::Accelerator;
use crate::store::testing::run_file;

fn configuration(experiment: Experiment) -> Configuration {
    run_file().configuration.changed(|c| {
        c.experiment = experiment;
        c.platforms = vec![PlatformId::new("a"), PlatformId::new("b")];
        c.attackers = Attacker::ALL.to_vec();
        c.placements = Placement::ALL.to_vec();
        c.ladder = vec![0, 10, 50];
        c.runs = 2;
        c.boots = 3;
        c.rows = 100;
    })
}

/// With servers, on platforms that have a network.
fn with_servers(experiment: Experiment) -> (Configuration, HostSupport) {
    let workloads = vec![Program::Sqlite, Program::Nginx, Program::Redis];
    let server_attackers = vec![Attacker::Prime, Attacker::Stream];
    let mut host_support = host_support();
    for (_, capabilities) in &mut host_support.platforms {
        *capabilities = capabilities.clone().map(|c| Capabilities { network: true, simulated: false, ..c });
    }
    (
        configuration(experiment).changed(|c| {
            c.workloads = workloads;
            c.server_attackers = server_attackers;
        }),
        host_support,
    )
}

fn missing_tool(what: &str) -> Result<(), Unavailable> {
    Err(Unavailable { reason: format!("{what} is missing"), cure: format!("install {what}") })
}

fn can(fork: bool) -> Result<Capabilities, Unavailable> {
    Ok(Capabilities {
        accelerator: Accelerator::None,
        fork,
        limits: true,
        launch_concurrency: 1,
        host_processes: true,
        network: false,
        own_memory: false,
        simulated: true,
    })
}

fn host_support() -> HostSupport {
    HostSupport {
        platforms: vec![(PlatformId::new("a"), can(true)), (PlatformId::new("b"), can(true))],
        placements: vec![
            (Placement::SameThread, Ok(())),
            (Placement::SameSocket, Ok(())),
            (Placement::OtherSocket, Err("one socket".into())),
        ],
        workloads: Vec::new(),
    }
}

#[test]
fn a_ladder_measures_every_level_of_every_platform_in_every_pass() {
    let plan = build(&configuration(Experiment::Boot), &host_support());
    assert_eq!(plan.trials.len(), 2 * 2 * 3 * 3);
    let cases: BTreeSet<_> = plan.trials.iter().map(|t| (t.platform.clone(), t.background, t.trial)).collect();
    assert_eq!(cases.len(), plan.trials.len());
}

#[test]
fn growth_rises_in_every_pass() {
    let configuration = configuration(Experiment::Footprint).changed(|c| c.ladder_order = LadderOrder::Growth);
    let plan = build(&configuration, &host_support());
    let levels: Vec<u32> = plan.trials.iter().map(|t| t.background).collect();
    assert_eq!(levels, [0, 10, 50].repeat(4));
}

#[test]
fn every_isolation_round_has_its_own_reference_and_placebo() {
    let plan = build(&configuration(Experiment::Isolation), &host_support());
    assert_eq!(plan.trials.len(), 2 * 2 * 2 * (7 + 2));
    for round in plan.trials.chunks(9) {
        let same = |t: &PlannedTrial| {
            (t.platform.clone(), t.placement, t.trial)
                == (round[0].platform.clone(), round[0].placement, round[0].trial)
        };
        assert!(round.iter().all(same), "a round is contiguous");
        assert_eq!(round.iter().filter(|t| t.role == Role::Reference).count(), 1);
        assert_eq!(round.iter().filter(|t| t.role == Role::Placebo).count(), 1);
    }
}

#[test]
fn what_cannot_be_had_is_skipped_with_its_reason() {
    let mut host_support = host_support();
    host_support.platforms[1].1 = Err(Unavailable { reason: "not root".into(), cure: "run as root".into() });
    host_support.platforms[0].1 = can(false);
    let plan = build(&configuration(Experiment::Isolation), &host_support);
    let reasons: Vec<_> = plan.skips.iter().map(|s| s.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["not root; run as root", "one socket", "the fork attacker: guests cannot fork on this platform"]
    );
    assert!(plan.trials.iter().all(|t| t.platform.as_str() == "a" && t.attacker != Some(Attacker::Fork)));
}

#[test]
fn a_filter_keeps_the_references_of_what_it_keeps() {
    let mut configuration = configuration(Experiment::Isolation);
    configuration.filter = Some("a/sqlite/same-thread/prime".into());
    let plan = build(&configuration, &host_support());
    assert_eq!(plan.trials.len(), 2 * 3);
    assert!(plan.trials.iter().all(|t| t.platform.as_str() == "a" && t.placement == Placement::SameThread));
}

#[test]
fn every_server_has_rounds_of_its_own_with_its_own_attackers() {
    let (configuration, host_support) = with_servers(Experiment::Isolation);
    let plan = build(&configuration, &host_support);
    assert_eq!(plan.trials.len(), 2 * 2 * 2 * ((7 + 2) + 2 * (2 + 2)));
    let case = |t: &PlannedTrial| (t.platform.clone(), t.workload, t.placement, t.trial);
    let rounds: Vec<_> = plan.trials.chunk_by(|a, b| case(a) == case(b)).collect();
    assert_eq!(rounds.len(), 2 * 2 * 2 * 3, "a round is contiguous");
    for round in rounds {
        let count = |role| round.iter().filter(|t| t.role == role).count();
        let attackers = if round[0].workload.is_server() { 2 } else { 7 };
        assert_eq!((count(Role::Reference), count(Role::Placebo), count(Role::Measured)), (1, 1, attackers));
    }
    let names: BTreeSet<String> = plan.trials.iter().map(ToString::to_string).collect();
    assert!(names.contains("isolation/a/nginx/same-thread/prime"), "{names:?}");
}

#[test]
fn every_workload_climbs_its_own_ladder_and_has_its_own_crowd() {
    let (configuration, host_support) = with_servers(Experiment::Scalability);
    let plan = build(&configuration.changed(|c| c.victims = vec![2]), &host_support);
    assert_eq!(plan.trials.len(), 2 * 2 * 3 * (3 + 1));
    let idle: BTreeSet<_> = plan.trials.iter().map(|t| (t.workload, t.idle(), t.is_driven())).collect();
    let expected = [(Program::Sqlite, Program::Sleep, false), (Program::Nginx, Program::Nginx, true)];
    assert!(expected.iter().all(|case| idle.contains(case)) && idle.len() == 3, "{idle:?}");
}

#[test]
fn a_tool_that_is_missing_is_reported_once_and_the_rest_is_measured() {
    let (configuration, mut host_support) = with_servers(Experiment::Scalability);
    host_support.workloads = vec![(Program::Nginx, missing_tool("wrk")), (Program::Redis, Ok(()))];
    let plan = build(&configuration, &host_support);
    let reasons: Vec<_> = plan.skips.iter().map(|s| s.reason.as_str()).collect();
    assert!(reasons.contains(&"nginx: wrk is missing; install wrk"), "{reasons:?}");
    assert_eq!(reasons.iter().filter(|r| r.starts_with("nginx")).count(), 1);
    let measured: BTreeSet<_> = plan.trials.iter().map(|t| t.workload).collect();
    assert_eq!(measured, [Program::Sqlite, Program::Redis].into());
}

#[test]
fn a_simulated_platform_needs_no_tool() {
    let (configuration, mut host_support) = with_servers(Experiment::Scalability);
    host_support.platforms.truncate(1);
    host_support.platforms[0].1 = can(true).map(|c| Capabilities { network: true, ..c });
    host_support.workloads = vec![(Program::Nginx, missing_tool("wrk"))];
    let plan = build(&configuration, &host_support);
    assert!(plan.trials.iter().any(|t| t.workload == Program::Nginx));
    assert!(!plan.skips.iter().any(|s| s.reason.contains("wrk")));
}

#[test]
fn servers_are_skipped_where_instances_have_no_network() {
    let (configuration, mut host_support) = with_servers(Experiment::Scalability);
    host_support.platforms[1].1 = can(true);
    let plan = build(&configuration, &host_support);
    let skips = plan.skips.iter().filter(|s| s.platform.as_ref().is_some_and(|p| p.as_str() == "b"));
    let reasons: Vec<_> = skips.map(|s| s.reason.as_str()).collect();
    let expected = |server| format!("{server}: instances have no network on this platform; name another platform");
    assert_eq!(reasons, [expected("nginx"), expected("redis")]);
    let on_b: BTreeSet<_> = plan.trials.iter().filter(|t| t.platform.as_str() == "b").map(|t| t.workload).collect();
    assert_eq!(on_b, [Program::Sqlite].into());
}

#[test]
fn the_smallest_memory_is_looked_for_where_guests_have_their_own() {
    let mut host_support = host_support();
    host_support.platforms[0].1 = can(true).map(|c| Capabilities { own_memory: true, ..c });
    let ladder = configuration(Experiment::Footprint).changed(|c| c.ladder = vec![0]);
    let minimum = ladder.changed(|c| c.minimum = true);
    let plan = build(&minimum, &host_support);
    let trials: Vec<_> = plan.trials.iter().map(ToString::to_string).collect();
    assert_eq!(trials, ["footprint/a/sleep/0", "footprint/a/sleep/0"], "one a pass");
    let both = Configuration { workloads: vec![Program::Sleep, Program::Redis], ..minimum };
    let skips = build(&both, &host_support).skips;
    let skips: Vec<_> = skips.iter().map(ToString::to_string).filter(|skip| skip.contains("--minimum")).collect();
    assert_eq!(skips, ["b: --minimum: guests share the host's memory on this platform"], "once");
    assert!(plan.estimate() > build(&ladder, &host_support).estimate(), "it takes many boots");
}

#[test]
fn a_longer_load_takes_longer() {
    let (configuration, host_support) = with_servers(Experiment::Scalability);
    let longer = configuration.changed(|c| c.load.seconds += 10);
    let nginx =
        build(&configuration, &host_support).trials.iter().filter(|t| t.workload == Program::Nginx).count() as u64;
    let grown =
        build(&longer, &host_support).estimate().saturating_sub(build(&configuration, &host_support).estimate());
    assert_eq!(grown, Nanos(nginx * 10 * Nanos::SECOND.0));
}

#[test]
fn the_parallel_mode_comes_with_scalability() {
    let configuration = configuration(Experiment::Scalability).changed(|c| c.victims = vec![1, 2, 4]);
    let plan = build(&configuration, &host_support());
    assert_eq!(plan.trials.iter().filter(|t| t.victims > 1).count(), 2 * 2 * 2);
    assert!(plan.estimate() > Nanos(0));
}

proptest! {
    #[test]
    fn a_plan_is_the_same_for_the_same_seed_and_a_permutation_for_another(seed: u64, other: u64) {
        let plan = |seed| build(&Configuration { seed, ..configuration(Experiment::Isolation) }, &host_support());
        prop_assert_eq!(plan(seed), plan(seed));
        let cases = |plan: Plan| plan.trials.iter().map(|t| (t.to_string(), t.trial)).collect::<BTreeSet<_>>();
        prop_assert_eq!(cases(plan(seed)), cases(plan(other)));
    }

    #[test]
    fn orders_count_up(seed: u64) {
        let plan = build(&Configuration { seed, ..configuration(Experiment::Boot) }, &host_support());
        prop_assert!(plan.trials.iter().enumerate().all(|(i, t)| t.order == i as u64));
    }
}
