//! A straight line by least squares.
//!
//! Invariant: the residuals of a fitted line add up to zero, except for rounding.

use serde::{Deserialize, Serialize};

/// y = intercept + slope x.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The value at x = 0.
    pub intercept: f64,
    /// The rise for each unit of x.
    pub slope: f64,
}

impl Line {
    /// The value of the line at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }

    /// The least-squares line through points; horizontal if all x are equal.
    pub(super) fn through(points: &[(f64, f64)]) -> Line {
        let n = points.len() as f64;
        let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
        let (xx, xy) = points.iter().fold((0.0, 0.0), |(xx, xy), p| {
            let dx = p.0 - x;
            (xx + dx * dx, xy + dx * (p.1 - y))
        });
        let slope = if xx > 0.0 { xy / xx } else { 0.0 };
        Line { intercept: y - slope * x, slope }
    }

    /// The sum of the squared residuals.
    pub(super) fn squares(&self, points: &[(f64, f64)]) -> f64 {
        points.iter().map(|&(x, y)| (y - self.at(x)).powi(2)).sum()
    }
}
