//! A model of a host's noise in a metric, on the scale of natural logarithms.
//!
//! A trial is the sum of a normal core, an occasional tail to the right, a slow autoregressive wave, a random walk, and an offset
//! of the session. Times of fresh trials have this form (Abedi & Brecht ICPE'17).

use super::Random;

/// The parameters. Spreads are standard deviations of the logarithm: 0.01 is about one per cent.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct NoiseModel {
    /// The median value, in the metric's unit.
    pub median: f64,
    /// The spread of the normal core, from one trial to the next.
    pub core: f64,
    /// The share of trials in the tail.
    pub tail_share: f64,
    /// The mean height of the tail, which is exponential and starts at four cores.
    pub tail: f64,
    /// The spread of the slow wave.
    pub wave: f64,
    /// The share of the wave that is left after one trial.
    pub memory: f64,
    /// The spread of the random walk's step per trial.
    pub walk: f64,
    /// The spread of sessions, such as on another day or with another placement of memory.
    pub session: f64,
}

/// The start of the tail, in spreads of the core above the middle.
pub(super) const TAIL_STARTS: f64 = 4.0;

impl NoiseModel {
    /// A drifting host, from before there were recordings: a core of 4 %, a tail of 20 % in one trial of fifty, waves of 2 % that
    /// last for about fifty trials, and sessions 2 % apart.
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

    /// A host with only independent normal noise.
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

/// The noise of consecutive trials.
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
