//! Slowdowns: how much worse a metric gets under load (`docs/statistics.md`, section 2).
//!
//! Invariant: above 1 is always worse. Exchanging reference and loaded values, or inverting the direction, inverts the ratio
//! and its interval.

use serde::{Deserialize, Serialize};

use super::hodges_lehmann::walsh_estimate;
use super::sample::positive;
use super::{Interval, Level, StatsError};
use crate::model::units::Direction;

/// The ratio of loaded to reference, inverted if higher is better, so that above 1 is worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slowdown {
    /// The ratio: 1 is unchanged, 2 twice as bad, 0.5 twice as good.
    pub ratio: f64,
    /// The 95 % interval; `None` with fewer than 6 pairs, or if unanswered pairs make its upper end infinite.
    pub interval: Option<Interval>,
    /// The number of pairs, including unanswered ones.
    pub pairs: usize,
    /// The number of pairs in which the loaded victim did not answer. Each counts as worse than any answer.
    pub unanswered: usize,
}

impl Slowdown {
    /// The slowdown in percent, 100 (S - 1): 0 is unchanged, 100 twice as bad.
    pub fn percent(&self) -> f64 {
        100.0 * (self.ratio - 1.0)
    }
}

/// How a victim responded under load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// It answered often enough for a ratio.
    Slowdown(Slowdown),
    /// It failed to answer so often that no ratio describes it (Matthews et al., ExpCS'07).
    DidNotRespond {
        /// Pairs in which the loaded victim did not answer.
        failed: usize,
        /// All pairs.
        of: usize,
    },
}

/// The slowdown over interleaved pairs of (reference, loaded): the Hodges-Lehmann estimate of the logarithm of the ratio.
///
/// # Errors
/// [`StatsError::Neutral`] for a metric without a better direction, [`StatsError::TooFew`] without a pair,
/// [`StatsError::NotPositive`] and [`StatsError::NotFinite`] (with the pair's position) for values
/// without a logarithm.
pub fn slowdown(pairs: &[(f64, f64)], direction: Direction) -> Result<Slowdown, StatsError> {
    let sign = sign(direction)?;
    let worse = pairs.iter().enumerate().map(|(i, &pair)| log_ratio(i, pair, sign)).collect::<Result<_, _>>()?;
    estimate(worse, 0)
}

/// The slowdown over pairs in which the loaded victim may not have answered (`None`).
///
/// An unanswered pair counts as infinitely slow. Without it, the ratio would flatter the victim. If the estimate itself is
/// infinite, the victim did not respond. That happens at about 29 % of unanswered pairs, the estimator's breakdown point.
///
/// # Errors
/// As [`slowdown`].
pub fn response(pairs: &[(f64, Option<f64>)], direction: Direction) -> Result<Response, StatsError> {
    let sign = sign(direction)?;
    let worse = |(i, &(reference, loaded)): (usize, &(f64, Option<f64>))| match loaded {
        Some(loaded) => log_ratio(i, (reference, loaded), sign),
        None => positive(i, reference).map(|_| f64::INFINITY),
    };
    let worse = pairs.iter().enumerate().map(worse).collect::<Result<Vec<f64>, _>>()?;
    let failed = worse.iter().filter(|w| w.is_infinite()).count();
    let slowdown = estimate(worse, failed)?;
    Ok(match slowdown.ratio.is_finite() {
        true => Response::Slowdown(slowdown),
        false => Response::DidNotRespond { failed, of: pairs.len() },
    })
}

fn sign(direction: Direction) -> Result<f64, StatsError> {
    match direction {
        Direction::Lower => Ok(1.0),
        Direction::Higher => Ok(-1.0),
        Direction::Neutral => Err(StatsError::Neutral),
    }
}

/// The logarithm of the slowdown of one pair, as a difference, so that exchanging the two values negates it exactly.
fn log_ratio(index: usize, (reference, loaded): (f64, f64), sign: f64) -> Result<f64, StatsError> {
    Ok(sign * (positive(index, loaded)?.ln() - positive(index, reference)?.ln()))
}

fn estimate(mut log_ratios: Vec<f64>, unanswered: usize) -> Result<Slowdown, StatsError> {
    if log_ratios.is_empty() {
        return Err(StatsError::TooFew { what: "pairs", have: 0, need: 1 });
    }
    log_ratios.sort_unstable_by(f64::total_cmp);
    let log = walsh_estimate(&log_ratios, Level::P95);
    let interval = log.interval.filter(|i| i.high.is_finite()).map(|i| i.map(f64::exp));
    Ok(Slowdown { ratio: log.value.exp(), interval, pairs: log_ratios.len(), unanswered })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::fixture;

    const PAIRS: [(f64, f64); 7] =
        [(10.0, 20.0), (11.0, 21.0), (9.0, 19.0), (10.0, 22.0), (10.5, 20.0), (9.5, 20.5), (10.0, 18.0)];

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
    }

    fn pairs(len: impl Into<prop::collection::SizeRange>) -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((1e-3..1e9f64, 1e-3..1e9f64), len)
    }

    #[test]
    fn a_slowdown_agrees_with_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/slowdown.json")) {
            let direction = if case.text("direction") == "lower" { Direction::Lower } else { Direction::Higher };
            let slowdown = slowdown(&case.pairs("pairs"), direction).unwrap();
            case.close("ratio", slowdown.ratio);
            case.interval("interval", slowdown.interval);
        }
    }

    #[test]
    fn twice_the_time_and_half_the_throughput_are_the_same_slowdown() {
        let throughput = PAIRS.map(|(reference, loaded)| (1.0 / reference, 1.0 / loaded));
        let time = slowdown(&PAIRS, Direction::Lower).unwrap();
        let rate = slowdown(&throughput, Direction::Higher).unwrap();
        assert!(time.ratio > 1.9 && close(time.ratio, rate.ratio));
        assert!(close(time.percent(), 100.0 * (time.ratio - 1.0)));
    }

    #[test]
    fn a_neutral_metric_has_no_slowdown() {
        assert_eq!(slowdown(&PAIRS, Direction::Neutral), Err(StatsError::Neutral));
    }

    #[test]
    fn values_without_a_logarithm_are_rejected_with_their_position() {
        let error = |pairs: &[(f64, f64)]| slowdown(pairs, Direction::Lower).unwrap_err();
        assert_eq!(error(&[]), StatsError::TooFew { what: "pairs", have: 0, need: 1 });
        assert_eq!(error(&[(1.0, 1.0), (0.0, 1.0)]), StatsError::NotPositive { index: 1, value: 0.0 });
        assert_eq!(error(&[(1.0, f64::INFINITY)]), StatsError::NotFinite { index: 0, value: f64::INFINITY });
    }

    #[test]
    fn below_six_pairs_there_is_a_ratio_without_an_interval() {
        assert_eq!(slowdown(&PAIRS[..5], Direction::Lower).unwrap().interval, None);
        assert!(slowdown(&PAIRS[..6], Direction::Lower).unwrap().interval.is_some());
    }

    fn with_failures(failed: usize) -> Response {
        let pairs: Vec<_> = PAIRS.iter().enumerate().map(|(i, &(r, l))| (r, (i >= failed).then_some(l))).collect();
        response(&pairs, Direction::Lower).unwrap()
    }

    #[test]
    fn a_victim_that_always_answers_has_its_plain_slowdown() {
        assert_eq!(with_failures(0), Response::Slowdown(slowdown(&PAIRS, Direction::Lower).unwrap()));
    }

    #[test]
    fn an_unanswered_pair_makes_the_slowdown_worse_and_leaves_the_interval_open() {
        let Response::Slowdown(one) = with_failures(1) else { panic!("one of seven is a slowdown") };
        assert_eq!((one.pairs, one.unanswered, one.interval), (7, 1, None));
        assert!(one.ratio > slowdown(&PAIRS[1..], Direction::Lower).unwrap().ratio);
    }

    #[test]
    fn a_victim_that_stops_answering_did_not_respond() {
        assert_eq!(with_failures(3), Response::DidNotRespond { failed: 3, of: 7 });
        assert_eq!(with_failures(7), Response::DidNotRespond { failed: 7, of: 7 });
    }

    proptest! {
        #[test]
        fn exchanging_the_arms_or_the_direction_inverts_the_ratio(pairs in pairs(1..40)) {
            let swapped: Vec<_> = pairs.iter().map(|&(r, l)| (l, r)).collect();
            let plain = slowdown(&pairs, Direction::Lower).unwrap();
            let inverted = [
                slowdown(&swapped, Direction::Lower).unwrap(),
                slowdown(&pairs, Direction::Higher).unwrap(),
            ];
            for other in inverted {
                prop_assert!(close(plain.ratio, 1.0 / other.ratio));
                prop_assert_eq!(plain.interval.is_some(), other.interval.is_some());
                if let (Some(a), Some(b)) = (plain.interval, other.interval) {
                    prop_assert!(close(a.low, 1.0 / b.high) && close(a.high, 1.0 / b.low));
                }
            }
        }

        #[test]
        fn the_unit_of_the_metric_does_not_matter(pairs in pairs(1..40), unit in 1e-3..1e6f64) {
            let scaled: Vec<_> = pairs.iter().map(|&(r, l)| (unit * r, unit * l)).collect();
            let ratio = |p: &[(f64, f64)]| slowdown(p, Direction::Lower).unwrap().ratio;
            prop_assert!((ratio(&pairs) / ratio(&scaled) - 1.0).abs() < 1e-12);
        }

        #[test]
        fn the_order_of_the_pairs_does_not_matter(
            (pairs, shuffled) in pairs(1..40).prop_flat_map(|p| (Just(p.clone()), Just(p).prop_shuffle())),
        ) {
            prop_assert_eq!(slowdown(&pairs, Direction::Higher), slowdown(&shuffled, Direction::Higher));
        }

        #[test]
        fn the_interval_contains_the_ratio(pairs in pairs(6..80)) {
            let slowdown = slowdown(&pairs, Direction::Lower).unwrap();
            prop_assert!(slowdown.interval.unwrap().contains(slowdown.ratio));
        }

        #[test]
        fn a_slower_answer_never_lowers_the_slowdown(pairs in pairs(1..20), by in 1.0..10f64) {
            let mut slower = pairs.clone();
            slower[0].1 *= by;
            let ratio = |p: &[(f64, f64)]| slowdown(p, Direction::Lower).unwrap().ratio;
            prop_assert!(ratio(&slower) >= ratio(&pairs));
        }
    }
}
