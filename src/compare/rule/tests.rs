//! The rule on blocks whose difference is known.

use proptest::prelude::*;

use super::*;

impl Verdict {
    /// The verdict with swapped arms.
    pub(crate) fn mirrored(self) -> Self {
        match self {
            Verdict::Regressed => Verdict::Improved,
            Verdict::Improved => Verdict::Regressed,
            other => other,
        }
    }
}

/// `n` differences spread evenly within `spread` of `center`, without ties, in an order that favors none of them.
fn blocks(n: usize, center: f64, spread: f64) -> Vec<f64> {
    /// The golden ratio's fraction: its multiples fill the unit interval evenly for any number of them.
    const GOLDEN: f64 = 0.618_033_988_749_895;
    (0..n).map(|i| center + spread * (2.0 * (0.5 + i as f64 * GOLDEN).fract() - 1.0)).collect()
}

/// Feeds differences until the judge has enough of them.
fn judged(rule: Rule, mut source: impl FnMut(usize) -> f64) -> (Decision, usize) {
    let mut judge = Judge::new(rule);
    for i in 0..=rule.most_blocks() {
        match judge.next() {
            Next::Done(decision) => return (decision, i),
            Next::Measure(stage, left) => {
                assert!(left > 0, "there is something left to measure");
                judge.push(stage, source(i));
            }
        }
    }
    panic!("the session never ends");
}

fn of(center: f64, spread: f64) -> (Decision, usize) {
    let all = blocks(Rule::DEFAULT.most_blocks(), center, spread);
    judged(Rule::DEFAULT, |i| all[i])
}

#[test]
fn a_clear_slowdown_is_a_regression_and_a_clear_speed_up_an_improvement() {
    let (worse, blocks) = of(0.05, 0.02);
    assert_eq!(worse.verdict, Verdict::Regressed);
    assert!(worse.shift.is_some_and(|shift| (shift.value - 0.05).abs() < 0.005));
    assert!(worse.p.is_some_and(|p| p <= 0.02) && (36..=190).contains(&blocks), "{worse:?}");
    assert_eq!(of(-0.05, 0.02).0.verdict, Verdict::Improved);
}

#[test]
fn no_difference_ends_after_the_first_stage() {
    let (same, blocks) = of(0.0, 0.002);
    assert_eq!(same.verdict, Verdict::Equivalent);
    assert!(blocks <= 30);
    let (noisy, blocks) = of(0.0, 0.10);
    assert_eq!(noisy.verdict, Verdict::Inconclusive);
    assert!(blocks <= 30 && noisy.detectable.is_some_and(|effect| effect > 0.04), "{noisy:?}");
}

#[test]
fn a_certain_difference_below_the_floor_is_not_a_regression() {
    assert_ne!(of(0.015, 0.001).0.verdict, Verdict::Regressed);
}

#[test]
fn what_is_not_confirmed_is_not_a_regression() {
    let (decision, _) = judged(Rule::DEFAULT, |i| if i < 30 { 0.05 + i as f64 / 1e5 } else { -0.001 * i as f64 });
    assert!(matches!(decision.verdict, Verdict::Inconclusive | Verdict::Equivalent), "{decision:?}");
}

#[test]
fn a_session_that_stops_half_way_is_inconclusive() {
    let mut judge = Judge::new(Rule::DEFAULT);
    assert_eq!(judge.decision().verdict, Verdict::Inconclusive);
    blocks(12, 0.5, 0.01).into_iter().for_each(|d| judge.push(Stage::First, d));
    assert!(matches!(judge.next(), Next::Measure(Stage::First, 18)));
    assert_eq!(judge.decision().verdict, Verdict::Inconclusive);
}

#[test]
fn blocks_after_the_first_stage_change_nothing_in_it() {
    let mut judge = Judge::new(Rule::DEFAULT);
    blocks(30, 0.05, 0.02).into_iter().for_each(|d| judge.push(Stage::First, d));
    let after = judge.clone();
    assert!(matches!(judge.next(), Next::Measure(Stage::Second, _)));
    blocks(30, -0.05, 0.02).into_iter().for_each(|d| judge.push(Stage::First, d));
    assert_eq!(judge, after);
}

#[test]
fn a_comparison_says_nothing_without_a_shift_that_can_be_used() {
    let line = |decision: Decision| Line {
        case: "boot/hello/0".to_owned(),
        metric: "boot".to_owned(),
        unit: crate::model::units::Unit::Nanos,
        direction: crate::model::units::Direction::Lower,
        a: None,
        b: None,
        decision,
    };
    let of = |decisions: &[&Decision]| Comparison {
        a: Side::default(),
        b: Side::default(),
        notes: Vec::new(),
        not_comparable: Vec::new(),
        lines: decisions.iter().map(|&decision| line(decision.clone())).collect(),
        took: None,
    };
    let (judged, _) = self::of(0.0, 0.002);
    let invalid = Decision { failed: true, ..judged.clone().invalid("b: no successful trials") };
    let [open, skipped] = [Verdict::Inconclusive, Verdict::Skipped].map(|v| Decision::without_numbers(v, "why"));
    assert!([&[][..], &[&invalid], &[&open], &[&skipped, &invalid]].map(of).iter().all(Comparison::says_nothing));
    assert!(!of(&[&skipped, &judged]).says_nothing());
    assert_eq!([of(&[&skipped]), of(&[&skipped, &invalid])].map(|c| c.is_skipped()), [true, false]);
    let failures = of(&[&invalid, &judged, &invalid]).failures();
    assert_eq!(failures.into_iter().collect::<Vec<_>>(), ["boot/hello/0: b: no successful trials"]);
}

#[test]
fn every_stage_can_reach_its_alpha() {
    for rule in [Rule::QUICK, Rule::DEFAULT, Rule::SLOW] {
        assert!(0.5f64.powi(rule.first as i32) < rule.futility);
        assert!(0.5f64.powi(rule.second.0 as i32) < rule.alpha);
    }
}

#[test]
fn the_second_stage_grows_with_the_spread_within_its_limits() {
    let rule = Rule::DEFAULT;
    assert_eq!([0.0, 0.01, f64::NAN].map(|sigma| rule.second_stage(sigma)), [30; 3]);
    assert_eq!(rule.second_stage(1.0), 160);
    // ((2.054 + 1.96) 1.15 1.3 0.05 / (ln 1.05 - ln 1.01))^2 = 59.7
    assert_eq!(rule.second_stage(0.05), 60);
}

#[test]
fn a_null_control_that_differs_is_detected() {
    let of = |center: f64| {
        let mut judge = Judge::new(Rule::DEFAULT);
        blocks(30, center, 0.005).into_iter().for_each(|d| judge.push(Stage::First, d));
        judge.differs()
    };
    assert_eq!([-0.05, -0.015, 0.0, 0.015, 0.05].map(of), [true, false, false, false, true]);
    assert!(!Judge::new(Rule::DEFAULT).differs());
}

#[test]
fn a_difference_is_worse_above_zero_whichever_way_the_metric_improves() {
    use crate::model::units::Direction::{Higher, Lower, Neutral};
    let (a, b) = ([10.0, 11.0, 12.0], [22.0, 20.0, 50.0]);
    assert!(block_difference(Lower, &a, &b).is_some_and(|d| (d - 2f64.ln()).abs() < 1e-12));
    assert!(block_difference(Higher, &a, &b).is_some_and(|d| (d + 2f64.ln()).abs() < 1e-12));
    assert_eq!(block_difference(Neutral, &a, &b), None);
    assert_eq!(block_difference(Lower, &[], &b), None);
    assert_eq!(block_difference(Lower, &[0.0], &b), None);
    assert_eq!(block_difference(Lower, &[f64::NAN], &b), None);
}

proptest! {
    // Each case walks a whole session.
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn swapping_the_arms_mirrors_the_verdict(
        values in prop::collection::vec(-0.2..0.2f64, 190),
        center in -0.1..0.1f64,
    ) {
        let (there, n) = judged(Rule::DEFAULT, |i| values[i] + center);
        let (back, m) = judged(Rule::DEFAULT, |i| -(values[i] + center));
        prop_assert_eq!((there.verdict, n), (back.verdict.mirrored(), m));
        let (there, back) = (there.shift.unwrap(), back.shift.unwrap());
        prop_assert_eq!(there.value, -back.value);
    }

    #[test]
    fn stopping_early_changes_no_verdict(values in prop::collection::vec(-0.1..0.1f64, 190), center in -0.08..0.08f64) {
        let (early, n) = judged(Rule::DEFAULT, |i| values[i] + center);
        // The complete stage in which it stopped.
        let rest = |from: usize, to: usize| values[from..to].iter().map(|v| v + center).collect::<Vec<_>>();
        let mut judge = Judge::new(Rule::DEFAULT);
        rest(0, 30).into_iter().for_each(|d| judge.push(Stage::First, d));
        if n > 30 && let Next::Measure(Stage::Second, planned) = judge.next() {
            rest(30, 30 + planned).into_iter().for_each(|d| judge.push(Stage::Second, d));
        }
        let whole = judge.decision();
        let decided = |v: Verdict| matches!(v, Verdict::Regressed | Verdict::Improved);
        prop_assert_eq!(decided(early.verdict), decided(whole.verdict));
    }
}
