//! How often the interval of the ratio contains the true value.

use super::contender::{difference, differences, judged};
use super::{Call, Random, Source};
use featherweight::stats::{Level, Sample, hodges_lehmann};

/// One interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Covered {
    /// Whether it contains the true value.
    pub holds: bool,
    /// Its width, as a natural logarithm.
    pub width: f64,
}

/// The intervals over all blocks of one session of our rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AtTheEnd {
    /// The interval at 95 %; `None` below six blocks.
    pub p95: Option<Covered>,
    /// The interval at 98 %, as printed with the verdict; `None` below seven blocks.
    pub p98: Option<Covered>,
    /// The decision.
    pub call: Call,
}

/// Whether the 95 % interval of `blocks` blocks contains `truth`, the natural logarithm of B's true factor. `None` without an
/// interval.
pub fn covered(source: &mut dyn Source, blocks: usize, truth: f64, random: &mut Random) -> Option<Covered> {
    interval(differences(source, blocks, random)?, Level::P95, truth)
}

/// The same over all blocks of a session that our rule ended.
pub fn at_the_end(source: &mut dyn Source, truth: f64, random: &mut Random) -> Option<AtTheEnd> {
    let (call, differences) = judged(source.rule(), || difference(source, random))?;
    let at = |level| interval(differences.clone(), level, truth);
    Some(AtTheEnd { p95: at(Level::P95), p98: at(Level::P98), call })
}

fn interval(differences: Vec<f64>, level: Level, truth: f64) -> Option<Covered> {
    let interval = hodges_lehmann(&Sample::new(differences).ok()?, level).interval?;
    Some(Covered { holds: interval.contains(truth), width: interval.high - interval.low })
}
