//! What a plan has to be, whatever was asked for.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::platform::Accelerator;
use crate::store::testing::run_file;

fn configuration(experiment: Experiment) -> Configuration {
    Configuration {
        experiment,
        platforms: vec![PlatformId::new("a"), PlatformId::new("b")],
        attackers: Attacker::ALL.to_vec(),
        placements: Placement::ALL.to_vec(),
        ladder: vec![0, 10, 50],
        runs: 2,
        boots: 3,
        rows: 100,
        ..run_file().configuration
    }
}

fn can(fork: bool) -> Result<Capabilities, Unavailable> {
    Ok(Capabilities {
        accelerator: Accelerator::None,
        fork,
        limits: true,
        launch_concurrency: 1,
        host_processes: true,
        network: false,
        simulated: true,
    })
}

fn offer() -> Offer {
    Offer {
        platforms: vec![(PlatformId::new("a"), can(true)), (PlatformId::new("b"), can(true))],
        placements: vec![
            (Placement::SameThread, Ok(())),
            (Placement::SameSocket, Ok(())),
            (Placement::OtherSocket, Err("one socket".into())),
        ],
    }
}

#[test]
fn a_ladder_measures_every_level_of_every_platform_in_every_pass() {
    let plan = build(&configuration(Experiment::Boot), &offer());
    assert_eq!(plan.trials.len(), 2 * 2 * 3 * 3);
    let cases: BTreeSet<_> = plan.trials.iter().map(|t| (t.platform.clone(), t.background, t.trial)).collect();
    assert_eq!(cases.len(), plan.trials.len());
}

#[test]
fn growth_rises_in_every_pass() {
    let mut configuration = configuration(Experiment::Footprint);
    configuration.ladder_order = LadderOrder::Growth;
    let plan = build(&configuration, &offer());
    let levels: Vec<u32> = plan.trials.iter().map(|t| t.background).collect();
    assert_eq!(levels, [0, 10, 50].repeat(4));
}

#[test]
fn every_isolation_block_has_its_own_reference_and_placebo() {
    let plan = build(&configuration(Experiment::Isolation), &offer());
    assert_eq!(plan.trials.len(), 2 * 2 * 2 * (7 + 2));
    for block in plan.trials.chunks(9) {
        let same = |t: &PlannedTrial| {
            (t.platform.clone(), t.placement, t.trial)
                == (block[0].platform.clone(), block[0].placement, block[0].trial)
        };
        assert!(block.iter().all(same), "a block stands together");
        assert_eq!(block.iter().filter(|t| t.role == Role::Reference).count(), 1);
        assert_eq!(block.iter().filter(|t| t.role == Role::Placebo).count(), 1);
    }
}

#[test]
fn what_cannot_be_had_is_skipped_with_its_reason() {
    let mut offer = offer();
    offer.platforms[1].1 = Err(Unavailable { reason: "not root".into(), cure: "run as root".into() });
    offer.platforms[0].1 = can(false);
    let plan = build(&configuration(Experiment::Isolation), &offer);
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
    let plan = build(&configuration, &offer());
    assert_eq!(plan.trials.len(), 2 * 3);
    assert!(plan.trials.iter().all(|t| t.platform.as_str() == "a" && t.placement == Placement::SameThread));
}

#[test]
fn the_parallel_mode_comes_with_scalability() {
    let mut configuration = configuration(Experiment::Scalability);
    configuration.victims = vec![1, 2, 4];
    let plan = build(&configuration, &offer());
    assert_eq!(plan.trials.iter().filter(|t| t.victims > 1).count(), 2 * 2 * 2);
    assert!(plan.estimate() > Nanos(0));
}

proptest! {
    #[test]
    fn a_plan_is_the_same_for_the_same_seed_and_a_permutation_for_another(seed: u64, other: u64) {
        let plan = |seed| build(&Configuration { seed, ..configuration(Experiment::Isolation) }, &offer());
        prop_assert_eq!(plan(seed), plan(seed));
        let cases = |plan: Plan| plan.trials.iter().map(|t| (t.to_string(), t.trial)).collect::<BTreeSet<_>>();
        prop_assert_eq!(cases(plan(seed)), cases(plan(other)));
    }

    #[test]
    fn orders_count_up(seed: u64) {
        let plan = build(&Configuration { seed, ..configuration(Experiment::Boot) }, &offer());
        prop_assert!(plan.trials.iter().enumerate().all(|(i, t)| t.order == i as u64));
    }
}
