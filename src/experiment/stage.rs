//! What a trial has at hand: a platform, its images, the host.

use std::path::Path;
use std::time::Duration;

use crate::clock::Clock;
use crate::cpuset::CpuSet;
use crate::engine::Crew;
use crate::guest::{Image, Program};
use crate::host::Topology;
use crate::ledger::Ledger;
use crate::plan::Configuration;
use crate::platform::{Error, LaunchSpec, Limits, Networking, Platform, Purpose};
use crate::sampler::{Quiet, Sampler};
use crate::store::Metric;
use crate::units::{Bytes, Direction, Nanos, Unit};

/// How much longer than its trial a guest lives at the most: the harness ends it first, unless it was killed itself.
const GUEST_GRACE: Duration = Duration::from_secs(60);

/// The surroundings of the trials of one platform.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    /// Where instances run.
    pub platform: &'a dyn Platform,
    /// Where resources are written down; names instances.
    pub ledger: &'a Ledger,
    /// The guests.
    pub images: &'a [Image],
    /// What was asked for.
    pub configuration: &'a Configuration,
    /// The host's CPUs.
    pub topology: &'a Topology,
    /// The root of the process file system: `/proc`.
    pub proc: &'a Path,
    /// The run's sampler, silenced while something is timed.
    pub sampler: Option<&'a Sampler>,
}

impl Stage<'_> {
    /// The clock of the platform.
    pub fn clock(&self) -> &dyn Clock {
        self.platform.clock()
    }

    /// When a trial that begins now is given up.
    pub fn deadline(&self) -> Nanos {
        self.clock().now() + self.timeout().into()
    }

    /// Silences the sampler until the guard is dropped: hold it from before `spawn` until the last event.
    pub fn quiet(&self) -> Option<Quiet> {
        self.sampler.map(Sampler::quiet)
    }

    /// The image of `program`.
    ///
    /// # Errors
    /// When it was not built for this run, which is a fault of the harness.
    pub fn image(&self, program: Program) -> Result<&Image, Error> {
        let found = self.images.iter().find(|image| image.program == program);
        found.ok_or_else(|| Error::Fatal(format!("the guest {program} was not built for this run")))
    }

    /// An instance to launch, newly named.
    ///
    /// # Errors
    /// As [`Stage::image`].
    pub fn spec(
        &self,
        program: Program,
        arguments: &[String],
        cpus: Option<&CpuSet>,
        limits: Option<Limits>,
    ) -> Result<LaunchSpec, Error> {
        // Background instances live as long as their run, which may be days; attackers carry limits and their trial's time.
        let deadline = match program {
            Program::Sleep => Duration::from_secs(7 * 86_400),
            // A neighbour is there before its victim and after it, each of which may take the whole timeout.
            _ => self.timeout() * 3 + GUEST_GRACE,
        };
        Ok(LaunchSpec {
            name: self.ledger.instance_name(),
            image: self.image(program)?.clone(),
            arguments: arguments.to_vec(),
            cpus: cpus.filter(|set| !set.is_empty()).cloned(),
            limits,
            network: Networking::None,
            purpose: Purpose::Measured,
            deadline,
        })
    }

    /// Does `work` with a crew that is gone afterwards, whatever happened.
    ///
    /// # Errors
    /// The work's, or else the removal's.
    pub fn with_crew<T>(&self, work: impl FnOnce(&mut Crew) -> Result<T, Error>) -> Result<T, Error> {
        let mut crew = Crew::default();
        let worked = work(&mut crew);
        let removed = crew.shrink(self.platform, 0);
        let value = worked?;
        removed.map(|_| value)
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.configuration.timeout_s)
    }
}

/// What a well-behaved single guest may use: far more than any of ours needs.
pub(super) const ROOMY: Limits = Limits { memory: Bytes(512 << 20), pids: 32 };

/// A time, lower being better.
pub(super) fn time(name: &str, span: Nanos) -> Metric {
    lower(name, Unit::Nanos, span.0 as f64)
}

/// A number that is better when lower.
pub(super) fn lower(name: &str, unit: Unit, value: f64) -> Metric {
    Metric { name: name.to_owned(), unit, direction: Direction::Lower, value, samples: Vec::new() }
}

/// A number that is better when higher.
pub(super) fn higher(name: &str, unit: Unit, value: f64) -> Metric {
    Metric { direction: Direction::Higher, ..lower(name, unit, value) }
}
