//! The rules on data with a known truth, which the sessions hide.

use super::*;
use featherweight::compare::rule::Rule;

fn simulated(rule: Contender, model: NoiseModel, effect: f64, sessions: u64) -> Tally {
    let session = |i| {
        let mut random = Random::new(5, i);
        hold(rule, &mut Simulated::new(model, effect, &mut random), &mut random)
    };
    (0..sessions).filter_map(session).collect()
}

#[test]
fn without_a_difference_no_rule_reports_one() {
    for rule in Contender::ALL {
        let tally = simulated(rule, NoiseModel::quiet(0.0), 1.0, 2);
        assert_eq!((tally.sessions, tally.slower, tally.faster), (2, 0, 0), "{rule:?}");
    }
}

#[test]
fn three_times_the_time_is_slower_for_every_rule() {
    for rule in Contender::ALL {
        let tally = simulated(rule, NoiseModel::quiet(0.02), 3.0, 3);
        assert_eq!((tally.sessions, tally.slower, tally.faster), (3, 3, 0), "{rule:?}");
        let tally = simulated(rule, NoiseModel::quiet(0.02), 1.0 / 3.0, 3);
        assert_eq!((tally.slower, tally.faster), (0, 3), "{rule:?}");
    }
}

#[test]
fn the_thresholds_are_those_of_the_projects() {
    let finds = |rule, effect| simulated(rule, NoiseModel::quiet(0.01), effect, 4).slower == 4;
    assert!(finds(Contender::Band, 1.25) && !finds(Contender::Band, 1.15));
    assert!(finds(Contender::Ratio, 2.2) && !finds(Contender::Ratio, 1.9));
    assert!(finds(Contender::Permutation, 1.08) && !finds(Contender::Permutation, 1.04));
    assert!(finds(Contender::BackToBack, 1.03) && !finds(Contender::BackToBack, 1.005));
    assert!(finds(Contender::RankSum, 1.01) && finds(Contender::OneStage, 1.01));
    assert!(finds(Contender::Ours, 1.05) && !finds(Contender::Ours, 1.012));
}

#[test]
fn a_seed_always_gives_the_same_sessions() {
    let tally = || simulated(Contender::Ours, NoiseModel::DRIFTING, 1.03, 5);
    assert_eq!(tally(), tally());
    let mut random = Random::new(3, 9);
    let value = Stream::new(NoiseModel::DRIFTING, &mut random).value(&mut random);
    assert_eq!(value, 9_077_687.903_173_666);
}

#[test]
fn rules_on_a_drifting_host_behave_as_designed() {
    let drifting = NoiseModel { walk: 0.004, session: 0.05, ..NoiseModel::DRIFTING };
    let alarms = |rule| simulated(rule, drifting, 1.0, 20).either();
    assert!(alarms(Contender::StoredBootstrap) > 0.3 && alarms(Contender::RankSum) > 0.3);
    assert_eq!(alarms(Contender::Ours), 0.0);
}

/// A source with recognizable arms: A is always 1, B always 2.
struct Scripted;

impl Source for Scripted {
    fn block(&mut self, runs: usize, _: &mut Random) -> Option<Pair> {
        Some(Pair { a: vec![1.0; runs], b: vec![2.0; runs] })
    }
    fn windows(&mut self, runs: usize, _: Apart, random: &mut Random) -> Option<Pair> {
        self.block(runs, random)
    }
}

#[test]
fn a_replay_shuffles_arms_within_a_block_and_keeps_the_order_of_blocks() {
    let values: Vec<f64> = (0..1_000).map(f64::from).collect();
    let after = |value: f64, n: f64| (value + n) % 1_000.0;
    for i in 0..20 {
        let mut random = Random::new(4, i);
        let mut same = Same::new(&values, 1.0, &mut random);
        let start = same.clone().windows(1, Apart::AtOnce, &mut random).unwrap().a[0];
        for block in 0..2 {
            let pair = same.block(3, &mut random).unwrap();
            let mut places: Vec<f64> = pair.a.iter().chain(&pair.b).map(|v| after(*v, 1_000.0 - start)).collect();
            places.sort_unstable_by(f64::total_cmp);
            assert_eq!(places, (0..6).map(|place| f64::from(6 * block + place)).collect::<Vec<_>>());
        }
        let pair = Same::new(&values, 1.0, &mut random).windows(300, Apart::AtOnce, &mut random).unwrap();
        assert_eq!(pair.b[0], after(pair.a[299], 1.0));
        let pair = Same::new(&values, 1.0, &mut random).windows(100, Apart::Stored, &mut random).unwrap();
        assert_eq!((pair.b[0], pair.b[99]), (after(pair.a[0], 500.0), after(pair.a[99], 500.0)));
    }
}

#[test]
fn sessions_of_every_rule_see_all_of_a_recording() {
    let values: Vec<f64> = (1..=400).map(f64::from).collect();
    let blocks: Vec<Pair> = values.iter().map(|&v| Pair { a: vec![v], b: vec![v] }).collect();
    let is_late = |pair: Option<Pair>| pair.unwrap().a[0] > 360.0;
    let share = |late: &dyn Fn(&mut Random) -> bool| (0..400).filter(|&i| late(&mut Random::new(9, i))).count();
    let shares = [
        share(&|random| is_late(Same::new(&values, 1.0, random).block(1, random))),
        share(&|random| is_late(Same::new(&values, 1.0, random).windows(180, Apart::AtOnce, random))),
        share(&|random| is_late(Same::new(&values, 1.0, random).windows(180, Apart::Stored, random))),
        share(&|random| is_late(Injected::new(&blocks, random).block(1, random))),
        share(&|random| is_late(Injected::new(&blocks, random).windows(180, Apart::Stored, random))),
    ];
    // A tenth of 400, give or take four standard deviations.
    assert!(shares.iter().all(|share| (16..=64).contains(share)), "{shares:?}");
}

#[test]
fn windows_of_two_arms_continue_at_the_start() {
    let blocks: Vec<Pair> =
        (0..10).map(|i| f64::from(10 * i)).map(|v| Pair { a: vec![v; 2], b: vec![v + 1.0; 2] }).collect();
    for i in 0..20 {
        let mut random = Random::new(2, i);
        let windows = |apart, random: &mut Random| Injected::new(&blocks, random).windows(5, apart, random).unwrap();
        let pair = windows(Apart::AtOnce, &mut random);
        assert_eq!((pair.a.len(), pair.b[0]), (5, (pair.a[0] + 30.0) % 100.0 + 1.0));
        let pair = windows(Apart::Stored, &mut random);
        assert_eq!((pair.b.len(), pair.b[0]), (5, (pair.a[0] + 50.0) % 100.0 + 1.0));
    }
}

#[test]
fn no_trial_is_used_twice() {
    let values = [1.0; 50];
    let mut random = Random::new(4, 0);
    for rule in [Contender::StoredBootstrap, Contender::RankSum, Contender::OneStage] {
        assert_eq!(hold(rule, &mut Same::new(&values, 1.0, &mut random), &mut random), None, "{rule:?}");
    }
    let outcome = hold(Contender::Ours, &mut Same::new(&values, 1.0, &mut random), &mut random).unwrap();
    assert_eq!((outcome.call, outcome.trials), (Call::Nothing, 48));
    for empty in [Apart::AtOnce, Apart::Stored] {
        assert_eq!(Same::new(&[], 1.0, &mut random).windows(1, empty, &mut random), None);
        assert_eq!(Injected::new(&[], &mut random).windows(1, empty, &mut random), None);
    }
}

#[test]
fn a_source_uses_the_rule_of_its_trials() {
    let mut random = Random::new(4, 0);
    let mut host = Simulated::new(NoiseModel::quiet(0.0), 1.0, &mut random).by(Rule::QUICK);
    let trials = |rule: Contender, host: &mut Simulated, random: &mut Random| hold(rule, host, random).unwrap().trials;
    assert_eq!(trials(Contender::RankSum, &mut host, &mut random), 1_080);
    assert_eq!(trials(Contender::Ours, &mut host, &mut random) % 18, 0);
}

#[test]
fn a_null_control_differs_only_by_chance_and_only_if_trials_vary() {
    let mut random = Random::new(8, 0);
    let steady: Vec<f64> = (0..600).map(|i| 1_000.0 + f64::from(i % 7)).collect();
    for effect in [1.0, 1.2] {
        let session = controlled(&mut Same::new(&steady, effect, &mut random), &mut random).unwrap();
        let call = if effect > 1.0 { Call::Slower } else { Call::Nothing };
        assert_eq!(session, Controlled { call, is_invalid: false });
    }
    let is_invalid = |i| {
        let mut random = Random::new(8, i);
        // They vary so much that tolerance and floor hide nothing: what is left is alpha on both sides, 4 %.
        let restless: Vec<f64> = (0..270).map(|_| (3.0 * random.normal()).exp()).collect();
        controlled(&mut Same::new(&restless, 1.0, &mut random), &mut random).is_some_and(|session| session.is_invalid)
    };
    let share = (0..400).filter(|&i| is_invalid(i)).count();
    assert!((1..40).contains(&share), "{share}");
    assert_eq!(controlled(&mut Same::new(&[1.0; 8], 1.0, &mut random), &mut random), None);
}

#[test]
fn an_injected_slowdown_is_detected_in_its_recording() {
    let mut random = Random::new(8, 0);
    let mut host = Simulated::new(NoiseModel::quiet(0.03), 1.05, &mut random);
    let blocks: Vec<Pair> = (0..240).map(|_| host.block(3, &mut random).unwrap()).collect();
    for rule in [Contender::Ours, Contender::OneStage, Contender::BackToBack, Contender::RankSum] {
        let session = |i| {
            let mut random = Random::new(8, i);
            hold(rule, &mut Injected::new(&blocks, &mut random), &mut random)
        };
        let tally: Tally = (0..5).filter_map(session).collect();
        assert_eq!((tally.slower, tally.faster), (5, 0), "{rule:?}");
    }
}

#[test]
fn intervals_have_their_nominal_coverage() {
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
    assert_eq!(covered(&mut Scripted, 5, 2f64.ln(), &mut random), None);
    let end = at_the_end(&mut Scripted, 2f64.ln(), &mut random).unwrap();
    assert!(end.call == Call::Slower && end.p95.is_some_and(|c| c.holds) && end.p98.is_some_and(|c| c.width == 0.0));
}
