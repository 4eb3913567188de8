//! The ratio of two means with Fieller's interval.
//!
//! Invariant: the result states whether the set of ratios is bounded. It is unbounded if the reference's mean does not
//! clearly differ from zero. Fieller 1954 (10.1111/j.2517-6161.1954.tb00159.x).

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::sample::positive;
use super::{Interval, Level, Sample, StatsError};

/// The mean of the loaded values divided by the mean of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RatioOfMeans {
    /// The ratio of the means. It is not inverted for metrics that improve upward.
    pub ratio: f64,
    /// The ratios that the data do not exclude.
    pub interval: RatioInterval,
}

/// The ratios that the data do not exclude at a level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RatioInterval {
    /// All ratios between two ends.
    Bounded(Interval),
    /// All ratios except those strictly between two ends.
    Outside(Interval),
    /// All ratios.
    Everything,
}

impl RatioInterval {
    /// Whether the data do not exclude `ratio`.
    pub fn contains(&self, ratio: f64) -> bool {
        match self {
            RatioInterval::Bounded(interval) => interval.contains(ratio),
            RatioInterval::Outside(gap) => ratio <= gap.low || gap.high <= ratio,
            RatioInterval::Everything => true,
        }
    }
}

/// The ratio of the means of interleaved pairs of (reference, loaded). It takes the covariance of the pairs into account and
/// has n - 1 degrees of freedom.
///
/// # Errors
/// [`StatsError::TooFew`] below two pairs, [`StatsError::NotPositive`] and [`StatsError::NotFinite`] with
/// the pair's position.
pub fn fieller_paired(pairs: &[(f64, f64)], level: Level) -> Result<RatioOfMeans, StatsError> {
    two_or_more(pairs.len())?;
    for (i, &(reference, loaded)) in pairs.iter().enumerate() {
        positive(i, reference)?;
        positive(i, loaded)?;
    }
    let n = pairs.len() as f64;
    let mean = |value: fn(&(f64, f64)) -> f64| pairs.iter().map(value).sum::<f64>() / n;
    let (reference, loaded) = (mean(|p| p.0), mean(|p| p.1));
    let mean_product = |product: &dyn Fn(f64, f64) -> f64| {
        pairs.iter().map(|p| product(p.0 - reference, p.1 - loaded)).sum::<f64>() / (n - 1.0) / n
    };
    let means = Means {
        reference,
        loaded,
        reference_variance: mean_product(&|r, _| r * r),
        loaded_variance: mean_product(&|_, l| l * l),
        covariance: mean_product(&|r, l| r * l),
    };
    Ok(means.ratio(n - 1.0, level))
}

/// The ratio of the means of two independent samples with unequal variances. The degrees of freedom are Satterthwaite's at
/// the estimated ratio (Tamhane & Logan 2004).
///
/// # Errors
/// [`StatsError::TooFew`] with fewer than two values in a sample, [`StatsError::NotPositive`] with the value's position in
/// ascending order.
pub fn fieller(reference: &Sample, loaded: &Sample, level: Level) -> Result<RatioOfMeans, StatsError> {
    let variance_of_mean = |sample: &Sample| -> Result<f64, StatsError> {
        positive(0, sample.min())?;
        two_or_more(sample.count())?;
        Ok(sample.variance().expect("two values have a variance") / sample.count() as f64)
    };
    let means = Means {
        reference: reference.mean(),
        loaded: loaded.mean(),
        reference_variance: variance_of_mean(reference)?,
        loaded_variance: variance_of_mean(loaded)?,
        covariance: 0.0,
    };
    let ratio = means.loaded / means.reference;
    let (a, b) = (means.loaded_variance, ratio * ratio * means.reference_variance);
    let spread = a * a / (loaded.count() - 1) as f64 + b * b / (reference.count() - 1) as f64;
    // Without variance the interval is a single point for any degrees of freedom.
    let freedom = if spread > 0.0 { (a + b) * (a + b) / spread } else { 1.0 };
    Ok(means.ratio(freedom, level))
}

fn two_or_more(have: usize) -> Result<(), StatsError> {
    if have < 2 { Err(StatsError::TooFew { what: "values for a variance", have, need: 2 }) } else { Ok(()) }
}

/// Two means with the variances and the covariance of the means.
struct Means {
    reference: f64,
    loaded: f64,
    reference_variance: f64,
    loaded_variance: f64,
    covariance: f64,
}

impl Means {
    /// All ratios q with (loaded - q reference)^2 <= t^2 Var(loaded - q reference), a quadratic in q.
    fn ratio(&self, freedom: f64, level: Level) -> RatioOfMeans {
        let t = StudentsT::new(0.0, 1.0, freedom).expect("the freedom is above zero").inverse_cdf(1.0 - level.tail());
        let (a, b, tt) = (self.loaded, self.reference, t * t);
        let (va, vb, vab) = (self.loaded_variance, self.reference_variance, self.covariance);
        let quadratic = b * b - tt * vb;
        let center = a * b - tt * vab;
        // Half the discriminant without the common term (a b)^2, whose rounding error would exceed the rest.
        let root = tt * (a * a * vb - 2.0 * a * b * vab + b * b * va - tt * (va * vb - vab * vab));
        let ratio = a / b;
        let interval = if quadratic > 0.0 {
            // The estimate satisfies the inequality, so there are real roots around it.
            let half = root.max(0.0).sqrt();
            let (low, high) = ((center - half) / quadratic, (center + half) / quadratic);
            RatioInterval::Bounded(level.interval(low.min(ratio), high.max(ratio)))
        } else if quadratic < 0.0 && root > 0.0 {
            let half = root.sqrt();
            RatioInterval::Outside(level.interval((center + half) / quadratic, (center - half) / quadratic))
        } else {
            RatioInterval::Everything
        };
        RatioOfMeans { ratio, interval }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::fixture::{self, Case};

    fn assert_agrees(case: &Case, found: RatioOfMeans) {
        case.close("ratio", found.ratio);
        let (kind, interval) = match found.interval {
            RatioInterval::Bounded(interval) => ("bounded", Some(interval)),
            RatioInterval::Outside(interval) => ("outside", Some(interval)),
            RatioInterval::Everything => ("everything", None),
        };
        assert_eq!(kind, case.text("kind"), "{case}");
        case.interval("interval", interval);
    }

    #[test]
    fn paired_ratios_agree_with_the_t_test_of_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/fieller_paired.json")) {
            assert_agrees(&case, fieller_paired(&case.pairs("pairs"), case.level()).unwrap());
        }
    }

    #[test]
    fn unpaired_ratios_agree_with_the_t_distribution_of_scipy() {
        for case in fixture::cases(include_str!("../../fixtures/stats/fieller.json")) {
            assert_agrees(&case, fieller(&case.sample("reference"), &case.sample("loaded"), case.level()).unwrap());
        }
    }

    #[test]
    fn values_without_spread_have_an_interval_of_one_point() {
        let two = Sample::new(vec![2.0; 3]).unwrap();
        let six = Sample::new(vec![6.0; 4]).unwrap();
        let found = fieller(&two, &six, Level::P95).unwrap();
        assert_eq!(found.interval, RatioInterval::Bounded(Interval { low: 3.0, high: 3.0, level: 0.95 }));
    }

    #[test]
    fn a_single_value_has_no_variance_and_a_negative_one_no_ratio() {
        let too_few = StatsError::TooFew { what: "values for a variance", have: 1, need: 2 };
        assert_eq!(fieller_paired(&[(1.0, 2.0)], Level::P95), Err(too_few));
        let negative = StatsError::NotPositive { index: 1, value: -1.0 };
        assert_eq!(fieller_paired(&[(1.0, 2.0), (-1.0, 2.0)], Level::P95), Err(negative));
    }

    proptest! {
        #[test]
        fn the_set_contains_the_ratio(pairs in prop::collection::vec((1e-3..1e6f64, 1e-3..1e6f64), 2..40)) {
            let found = fieller_paired(&pairs, Level::P95).unwrap();
            prop_assert!(found.interval.contains(found.ratio), "{found:?}");
        }

        #[test]
        fn the_unit_does_not_matter(pairs in prop::collection::vec((1.0..2.0f64, 1.0..2.0f64), 8..40)) {
            let scaled: Vec<_> = pairs.iter().map(|&(r, l)| (1024.0 * r, 1024.0 * l)).collect();
            prop_assert_eq!(fieller_paired(&pairs, Level::P95), fieller_paired(&scaled, Level::P95));
        }
    }
}
