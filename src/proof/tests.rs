//! The rules on data whose truth is known, and the blinds that hide it.

use super::*;
use crate::regression::Rule;

fn simulated(rule: Contender, model: NoiseModel, effect: f64, sessions: u64) -> Tally {
    let session = |i| {
        let mut random = Random::new(5, i);
        hold(rule, &mut Simulated::new(model, effect, &mut random), &mut random)
    };
    (0..sessions).filter_map(session).collect()
}

#[test]
fn where_nothing_differs_no_rule_says_so() {
    for rule in Contender::ALL {
        let tally = simulated(rule, NoiseModel::quiet(0.0), 1.0, 2);
        assert_eq!((tally.sessions, tally.slower, tally.faster), (2, 0, 0), "{rule:?}");
    }
}

#[test]
fn what_takes_three_times_as_long_is_slower_for_every_rule() {
    for rule in Contender::ALL {
        let tally = simulated(rule, NoiseModel::quiet(0.02), 3.0, 3);
        assert_eq!((tally.sessions, tally.slower, tally.faster), (3, 3, 0), "{rule:?}");
        let tally = simulated(rule, NoiseModel::quiet(0.02), 1.0 / 3.0, 3);
        assert_eq!((tally.slower, tally.faster), (0, 3), "{rule:?}");
    }
}

#[test]
fn the_thresholds_are_the_projects_own() {
    let finds = |rule, effect| simulated(rule, NoiseModel::quiet(0.01), effect, 4).slower == 4;
    assert!(finds(Contender::Band, 1.25) && !finds(Contender::Band, 1.15));
    assert!(finds(Contender::Ratio, 2.2) && !finds(Contender::Ratio, 1.9));
    assert!(finds(Contender::Permutation, 1.08) && !finds(Contender::Permutation, 1.04));
    assert!(finds(Contender::BackToBack, 1.03) && !finds(Contender::BackToBack, 1.005));
    assert!(finds(Contender::RankSum, 1.01) && finds(Contender::OneStage, 1.01));
    assert!(finds(Contender::Ours, 1.05) && !finds(Contender::Ours, 1.012));
}

#[test]
fn a_seed_gives_the_same_sessions_for_ever() {
    let tally = || simulated(Contender::Ours, NoiseModel::DRIFTING, 1.03, 5);
    assert_eq!(tally(), tally());
    let mut random = Random::new(3, 9);
    let value = Stream::new(NoiseModel::DRIFTING, &mut random).value(&mut random);
    assert_eq!(value, 9_077_687.903_173_666);
}

#[test]
fn a_rule_on_a_drifting_host_fares_as_its_design_says() {
    let drifting = NoiseModel { walk: 0.004, session: 0.05, ..NoiseModel::DRIFTING };
    let alarms = |rule| simulated(rule, drifting, 1.0, 20).either();
    assert!(alarms(Contender::StoredBootstrap) > 0.3 && alarms(Contender::RankSum) > 0.3);
    assert_eq!(alarms(Contender::Ours), 0.0);
}

/// A source that tells its arms by value: A is always 1, B always 2.
struct Told;

impl Source for Told {
    fn block(&mut self, runs: usize, _: &mut Random) -> Option<Pair> {
        Some(Pair { a: vec![1.0; runs], b: vec![2.0; runs] })
    }
    fn windows(&mut self, runs: usize, _: Apart, random: &mut Random) -> Option<Pair> {
        self.block(runs, random)
    }
}

#[test]
fn a_replay_deals_the_labels_out_within_a_block_and_keeps_the_order_of_blocks() {
    let values: Vec<f64> = (1..=1_000).map(f64::from).collect();
    let mut random = Random::new(4, 0);
    let mut same = Same::new(&values, 1.0, 600, &mut random);
    let first = same.block(3, &mut random).unwrap();
    let mut six = [first.a.clone(), first.b].concat();
    six.sort_unstable_by(f64::total_cmp);
    assert!(six.windows(2).all(|pair| pair[1] - pair[0] == 1.0) && six[0] <= 401.0);
    let next = same.block(3, &mut random).unwrap();
    assert!(next.a.iter().chain(&next.b).all(|v| *v > six[5]));
    let pair = Same::new(&values, 2.0, 600, &mut random).windows(300, Apart::AtOnce, &mut random).unwrap();
    assert_eq!(pair.b[0], 2.0 * (pair.a[299] + 1.0));
    let pair = Same::new(&values, 1.0, 600, &mut random).windows(100, Apart::Stored, &mut random).unwrap();
    assert_eq!(pair.b[0] - pair.a[0], 500.0);
}

#[test]
fn a_recording_that_is_too_short_gives_no_session() {
    let values = [1.0; 50];
    for rule in [Contender::StoredBootstrap, Contender::RankSum, Contender::OneStage] {
        let mut random = Random::new(4, 0);
        let mut same = Same::new(&values, 1.0, rule.most_trials(&Rule::USUAL), &mut random);
        assert_eq!(hold(rule, &mut same, &mut random), None, "{rule:?}");
    }
    let mut random = Random::new(4, 0);
    let outcome = hold(Contender::Ours, &mut Same::new(&values, 1.0, 900, &mut random), &mut random).unwrap();
    assert_eq!(outcome.call, Call::Nothing);
}

#[test]
fn an_injected_slowdown_is_found_in_its_recording() {
    let mut random = Random::new(8, 0);
    let mut host = Simulated::new(NoiseModel::quiet(0.03), 1.05, &mut random);
    let blocks: Vec<Pair> = (0..240).map(|_| host.block(3, &mut random).unwrap()).collect();
    for rule in [Contender::Ours, Contender::OneStage, Contender::BackToBack, Contender::RankSum] {
        let session = |i| {
            let mut random = Random::new(8, i);
            hold(rule, &mut Injected::new(&blocks, 190, &mut random), &mut random)
        };
        let tally: Tally = (0..5).filter_map(session).collect();
        assert_eq!((tally.slower, tally.faster), (5, 0), "{rule:?}");
    }
}

#[test]
fn intervals_cover_as_often_as_they_say() {
    let held = |blocks| {
        let session = |i| {
            let mut random = Random::new(6, i);
            let mut source = Simulated::new(NoiseModel::DRIFTING, 1.1, &mut random);
            covered(&mut source, blocks, 1.1f64.ln(), &mut random)
        };
        let all: Vec<Covered> = (0..400).filter_map(session).collect();
        all.iter().filter(|c| c.holds).count() as f64 / all.len() as f64
    };
    // Two standard deviations of a share of 95 % in 400 sessions are 2.2 %.
    assert!((0.925..=0.98).contains(&held(10)) && (0.925..=0.98).contains(&held(30)));
    let mut random = Random::new(6, 0);
    assert_eq!(covered(&mut Told, 5, 2f64.ln(), &mut random), None);
    let end = at_the_end(&mut Told, 2f64.ln(), &mut random).unwrap();
    assert!(end.call == Call::Slower && end.p95.is_some_and(|c| c.holds) && end.p98.is_some_and(|c| c.width == 0.0));
}
