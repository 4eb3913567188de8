//! A validated set of measurements of one metric.
//!
//! Invariant: at least one value, every value finite, ascending. The order of measurement is not kept.

use super::StatsError;

/// At least one finite value, in ascending order; usually one value per trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// Sorts the values. Every statistic of the sample relies on the order.
    ///
    /// # Errors
    /// [`StatsError::TooFew`] without a value, [`StatsError::NotFinite`] for NaN and infinities.
    pub fn new(mut values: Vec<f64>) -> Result<Sample, StatsError> {
        if values.is_empty() {
            return Err(StatsError::TooFew { what: "values", have: 0, need: 1 });
        }
        all_finite(&values)?;
        values.sort_unstable_by(f64::total_cmp);
        Ok(Sample(values))
    }

    /// The values, ascending.
    pub fn sorted(&self) -> &[f64] {
        &self.0
    }

    /// The number of values, at least 1.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest value.
    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// The largest value.
    pub fn max(&self) -> f64 {
        self.0[self.0.len() - 1]
    }

    /// The arithmetic mean, never outside [`Sample::min`] to [`Sample::max`].
    pub fn mean(&self) -> f64 {
        // Differences from the middle value keep the sum small, so that a large common offset loses no digits.
        let offset = self.0[self.0.len() / 2];
        let rest: f64 = self.0.iter().map(|x| x - offset).sum();
        // Rounding may move the mean of equal values one step beyond them.
        (offset + rest / self.0.len() as f64).clamp(self.min(), self.max())
    }

    /// The standard deviation with n - 1 in the denominator; `None` for a single value.
    pub fn sd(&self) -> Option<f64> {
        self.variance().map(f64::sqrt)
    }

    /// The variance with n - 1 in the denominator; `None` for a single value.
    pub fn variance(&self) -> Option<f64> {
        let n = self.0.len();
        let mean = self.mean();
        let squares: f64 = self.0.iter().map(|x| (x - mean).powi(2)).sum();
        (n > 1).then(|| squares / (n - 1) as f64)
    }
}

/// Checks that no value is NaN or infinite.
pub(super) fn all_finite(values: &[f64]) -> Result<(), StatsError> {
    match values.iter().position(|v| !v.is_finite()) {
        Some(index) => Err(StatsError::NotFinite { index, value: values[index] }),
        None => Ok(()),
    }
}

/// Checks that a value is finite and above zero, so that it has a logarithm.
pub(super) fn positive(index: usize, value: f64) -> Result<f64, StatsError> {
    match value {
        v if !v.is_finite() => Err(StatsError::NotFinite { index, value }),
        v if v <= 0.0 => Err(StatsError::NotPositive { index, value }),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_at_least_one_value_and_only_finite_ones() {
        assert_eq!(Sample::new(vec![]), Err(StatsError::TooFew { what: "values", have: 0, need: 1 }));
        assert!(matches!(Sample::new(vec![1.0, f64::NAN]), Err(StatsError::NotFinite { index: 1, .. })));
        let infinite = Sample::new(vec![f64::INFINITY]).unwrap_err();
        assert_eq!(infinite.to_string(), "value 0 is inf; expected a finite number");
    }

    #[test]
    fn one_value_has_no_spread() {
        let one = Sample::new(vec![7.0]).unwrap();
        assert_eq!((one.mean(), one.sd()), (7.0, None));
    }

    #[test]
    fn the_mean_of_equal_values_is_that_value() {
        assert_eq!(Sample::new(vec![0.1; 3]).unwrap().mean(), 0.1);
    }
}
