//! A model of what a host does to a metric, on the scale of natural logarithms.
//!
//! A trial is the sum of a normal core, a tail to the right that strikes now and then, a slow wave (autoregressive), a random
//! walk, and an offset that a whole session has in common. Times of fresh trials look like that (Abedi & Brecht ICPE'17).

use super::Random;

/// The parameters; shares are shares, spreads are standard deviations of ln value, 0.01 being about one per cent.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct NoiseModel {
    /// The median value, in the metric's unit.
    pub median: f64,
    /// The spread of the normal core, from one trial to the next.
    pub core: f64,
    /// The share of trials that the tail strikes.
    pub tail_share: f64,
    /// By how much it lifts them on average; the lift is exponential, on top of four cores.
    pub tail: f64,
    /// The spread of the slow wave.
    pub wave: f64,
    /// What is left of the wave after one trial.
    pub memory: f64,
    /// The random walk's step, a trial.
    pub walk: f64,
    /// The spread of sessions around each other: another day, another placement of memory.
    pub session: f64,
}

/// Where the tail begins, in spreads of the core above the middle.
pub(super) const TAIL_STARTS: f64 = 4.0;

impl NoiseModel {
    /// A host that drifts, before there is a recording of one: 4 % from trial to trial, one trial in fifty a fifth slower or
    /// worse, waves of 2 % that last for some fifty trials, and sessions 2 % apart.
    pub const DRIFTING: NoiseModel = NoiseModel {
        median: 1e7,
        core: 0.04,
        tail_share: 0.02,
        tail: 0.20,
        wave: 0.02,
        memory: 0.98,
        walk: 0.0005,
        session: 0.02,
    };

    /// A host with nothing but independent normal noise of that spread.
    pub const fn quiet(core: f64) -> NoiseModel {
        NoiseModel {
            core,
            tail_share: 0.0,
            tail: 0.0,
            wave: 0.0,
            memory: 0.0,
            walk: 0.0,
            session: 0.0,
            ..Self::DRIFTING
        }
    }
}

/// The noise of trials one after the other.
#[derive(Debug, Clone)]
pub struct Stream {
    model: NoiseModel,
    session: f64,
    wave: f64,
    walked: f64,
}

impl Stream {
    /// A session's noise from its first trial on.
    pub fn new(model: NoiseModel, random: &mut Random) -> Self {
        let (session, wave) = (model.session * random.normal(), model.wave * random.normal());
        Self { model, session, wave, walked: 0.0 }
    }

    /// The next trial's value without any effect.
    pub fn value(&mut self, random: &mut Random) -> f64 {
        let m = &self.model;
        self.wave = m.memory * self.wave + (1.0 - m.memory * m.memory).sqrt() * m.wave * random.normal();
        self.walked += m.walk * random.normal();
        let struck = random.unit() < m.tail_share;
        let lift = if struck { TAIL_STARTS * m.core + m.tail * random.exponential() } else { 0.0 };
        m.median * (self.session + self.wave + self.walked + m.core * random.normal() + lift).exp()
    }
}
