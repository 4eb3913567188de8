//! The host's conditions during two runs, as far as they affect the values.

use super::comparable::capabilities;
use super::matching::CaseSamples;
use crate::host::noise::NoiseReading;
use crate::model::units::Unit;
use crate::store::{NoiseGuard, RunValues};

/// The conditions of one case in both runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct RunConditions {
    /// Why the noise guard calls a run INVALID.
    pub(super) invalid: Option<String>,
    /// Why a run's noise was not judged.
    pub(super) unjudged: Option<String>,
    /// How much longer the noise guard's work took during B than during A, as a logarithm; `None` without common readings.
    pub(super) slower: Option<f64>,
    /// Whether the times come from a virtual clock, which the host does not affect.
    pub(super) simulated: bool,
    /// Whether the values are ratios, in which the host's effect cancels.
    pub(super) relative: bool,
}

impl RunConditions {
    pub(super) fn new(a: (&RunValues, &CaseSamples<'_>), b: (&RunValues, &CaseSamples<'_>)) -> Self {
        let sides = [("A", &a.0.file.noise), ("B", &b.0.file.noise)];
        let invalid = sides.iter().find_map(|(name, noise)| {
            let reason = noise.as_ref()?.invalid.first()?;
            Some(format!("the noise guard calls {name} invalid: {reason}"))
        });
        let unjudged = sides.iter().find_map(|(name, noise)| match noise {
            None => Some(format!("{name} has no noise guard")),
            Some(noise) => Some(format!("the noise guard could not judge {name}: {}", noise.unjudged.as_ref()?)),
        });
        let slower = a.0.file.noise.as_ref().zip(b.0.file.noise.as_ref()).and_then(|(a, b)| slower(a, b));
        let simulated = is_simulated(a.0, a.1) && is_simulated(b.0, b.1);
        Self { invalid, unjudged, slower, simulated, relative: a.1.is_relative() && b.1.is_relative() }
    }

    /// Whether the host's speed affects a metric of that unit. It does not affect memory.
    pub(super) fn affect(&self, unit: Unit) -> bool {
        !self.simulated && !self.relative && matches!(unit, Unit::Nanos | Unit::PerSecond)
    }
}

fn is_simulated(run: &RunValues, samples: &CaseSamples<'_>) -> bool {
    samples.values.iter().all(|v| capabilities(&run.file, &v.case.platform).is_some_and(|can| can.simulated))
}

/// How much longer the same work on the same CPUs took during `b`: the mean over the CPUs of the logarithms of the
/// medians' ratios.
fn slower(a: &NoiseGuard, b: &NoiseGuard) -> Option<f64> {
    let readings =
        |guard: &'_ NoiseGuard| -> Vec<NoiseReading> { guard.before.iter().chain(&guard.after).cloned().collect() };
    let (mine, theirs) = (readings(a), readings(b));
    let mut works: Vec<(u32, u64)> = mine.iter().map(|r| (r.cpu, r.iterations)).collect();
    works.sort_unstable();
    works.dedup();
    let shifts: Vec<f64> =
        works.into_iter().filter_map(|work| Some(speed(&theirs, work)? - speed(&mine, work)?)).collect();
    (!shifts.is_empty()).then(|| shifts.iter().sum::<f64>() / shifts.len() as f64)
}

/// The mean of the logarithms of the medians of the readings of that CPU and work.
fn speed(readings: &[NoiseReading], (cpu, iterations): (u32, u64)) -> Option<f64> {
    let same = readings.iter().filter(|r| (r.cpu, r.iterations) == (cpu, iterations) && r.median.0 > 0);
    let logs: Vec<f64> = same.map(|r| (r.median.0 as f64).ln()).collect();
    (!logs.is_empty()).then(|| logs.iter().sum::<f64>() / logs.len() as f64)
}
