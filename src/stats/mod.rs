//! The statistics of `docs/statistics.md`. Pure: no files, no clock, no randomness.
//!
//! An interval that has too few trials for its level is `None`, never a guess.

mod axes;
mod e_divisive;
mod error;
mod fairness;
mod fieller;
mod hodges_lehmann;
mod interval;
mod knee;
mod line;
mod mann_kendall;
mod quantile;
mod rank;
mod rank_sum;
mod sample;
mod select;
mod shift;
mod sign_flip;
mod slowdown;
mod speedup;
mod summary;
mod theil_sen;
mod usl;

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod fixture;

pub use axes::Axes;
pub use e_divisive::{ChangePoint, change_points};
pub use error::StatsError;
pub use fairness::jain;
pub use fieller::{RatioInterval, RatioOfMeans, fieller, fieller_paired};
pub use hodges_lehmann::hodges_lehmann;
pub use interval::{Estimate, Interval, Level};
pub use knee::{Knee, KneeInterval, knee, knee_interval};
pub use line::Line;
pub use mann_kendall::{MannKendall, mann_kendall, mann_kendall_against};
pub use quantile::{mad, median, quantile, sigma};
pub use rank_sum::rank_sum;
pub use sample::Sample;
pub use shift::shift;
pub use sign_flip::sign_flip;
pub use slowdown::{Response, Slowdown, response, slowdown};
pub use speedup::karp_flatt;
pub use summary::{Summary, median_interval, summarize};
pub use theil_sen::{TheilSen, exponent, theil_sen};
pub use usl::{Usl, usl};
