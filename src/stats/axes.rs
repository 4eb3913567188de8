//! The axes on which a relation is expected to be a straight line.
//!
//! Invariant: the points that [`Axes::apply`] returns are finite.

use super::StatsError;
use super::sample::positive;

/// How points are transformed before a line is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axes {
    /// Not at all: a constant cost per instance is a line.
    Linear,
    /// To logarithms of both coordinates: a power law is a line whose slope is the exponent.
    LogLog,
}

impl Axes {
    /// Transforms (x, y) points.
    ///
    /// # Errors
    /// [`StatsError::NotFinite`], and [`StatsError::NotPositive`] on logarithmic axes, with the point's position.
    pub fn apply(self, points: &[(f64, f64)]) -> Result<Vec<(f64, f64)>, StatsError> {
        let transform = |index, value: f64| match self {
            Axes::LogLog => positive(index, value).map(f64::ln),
            Axes::Linear if value.is_finite() => Ok(value),
            Axes::Linear => Err(StatsError::NotFinite { index, value }),
        };
        points.iter().enumerate().map(|(i, &(x, y))| Ok((transform(i, x)?, transform(i, y)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_that_does_not_fit_the_axes_is_named() {
        let points = [(1.0, 1.0), (2.0, -1.0)];
        assert_eq!(Axes::Linear.apply(&points), Ok(points.to_vec()));
        assert_eq!(Axes::LogLog.apply(&points), Err(StatsError::NotPositive { index: 1, value: -1.0 }));
        assert!(matches!(Axes::Linear.apply(&[(f64::NAN, 1.0)]), Err(StatsError::NotFinite { index: 0, .. })));
    }
}
