//! What a trial has at hand: a platform, its images, the host.

use std::path::Path;
use std::time::Duration;

use crate::guest::Image;
use crate::host::Topology;
use crate::host::clock::Clock;
use crate::host::ledger::Ledger;
use crate::host::placement::{self, Apart};
use crate::host::sampler::{Quiet, Sampler};
use crate::measure::plan::PlannedTrial;
use crate::measure::trial::InstanceGroup;
use crate::model::configuration::Configuration;
use crate::model::cpuset::CpuSet;
use crate::model::platform::Unavailable;
use crate::model::program::Program;
use crate::model::record::{Experiment, Metric};
use crate::model::units::{Bytes, Direction, Nanos, Unit};
use crate::platform::load_generator::LoadGenerator;
use crate::platform::{Error, LaunchSpec, Limits, Platform, Purpose};

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
    /// The guests that this platform cannot be given, and why.
    pub missing_guests: &'a [(Program, Unavailable)],
    /// What drives servers, where the platform does not bring its own.
    pub host_generator: &'a dyn LoadGenerator,
    /// What was asked for.
    pub configuration: &'a Configuration,
    /// The host's CPUs.
    pub topology: &'a Topology,
    /// The root of the process file system: `/proc`.
    pub proc: &'a Path,
    /// The run's sampler, silenced while something is timed.
    pub sampler: Option<&'a Sampler>,
}

impl<'a> Stage<'a> {
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

    /// What drives servers here.
    pub fn generator(&self) -> &'a dyn LoadGenerator {
        self.platform.load_generator().unwrap_or(self.host_generator)
    }

    /// Where servers and their load generator run in a trial that places nobody; `None` where nothing is driven.
    pub fn apart(&self, trial: &PlannedTrial) -> Option<Apart> {
        (trial.is_driven() && trial.experiment == Experiment::Scalability).then(|| placement::apart(self.topology))
    }

    /// The image of `program`.
    ///
    /// # Errors
    /// When this platform cannot be given it; when it was not built for this run, which is a fault of the harness.
    pub fn image(&self, program: Program) -> Result<&Image, Error> {
        if let Some((_, why)) = self.missing_guests.iter().find(|(missing_guests, _)| *missing_guests == program) {
            return Err(why.clone().into());
        }
        let found = self.images.iter().find(|image| image.program == program);
        found.ok_or_else(|| Error::Fatal(format!("the guest {program} was not built for this run")))
    }

    /// An instance to launch in `trial`, newly named: without arguments, unpinned and unlimited.
    ///
    /// # Errors
    /// As [`Stage::image`].
    pub fn spec(&self, trial: &PlannedTrial, program: Program, purpose: Purpose) -> Result<LaunchSpec, Error> {
        let deadline = match purpose {
            // Background instances live as long as their run, which may be days.
            Purpose::Background => Duration::from_secs(7 * 86_400),
            // A neighbour is there before its victim and after it, each of which may take the whole timeout.
            Purpose::Measured | Purpose::Neighbour => self.timeout() * 3 + GUEST_GRACE,
        };
        Ok(LaunchSpec {
            name: self.ledger.instance_name(),
            image: self.image(program)?.clone(),
            arguments: Vec::new(),
            cpus: None,
            limits: None,
            memory: None,
            network: self.configuration.network_of(trial.workload),
            purpose,
            deadline,
        })
    }

    /// Does `work` with a group that is gone afterwards, whatever happened.
    ///
    /// # Errors
    /// The work's, or else the removal's.
    pub fn with_group<T>(&self, work: impl FnOnce(&mut InstanceGroup) -> Result<T, Error>) -> Result<T, Error> {
        let mut group = InstanceGroup::default();
        let worked = work(&mut group);
        let removed = group.shrink(self.platform, 0);
        let value = worked?;
        removed.map(|_| value)
    }

    /// How long a trial may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.configuration.timeout_s)
    }
}

/// The CPUs to launch on; nowhere in particular for an empty set.
pub(in crate::measure) fn pinned(cpus: &CpuSet) -> Option<CpuSet> {
    Some(cpus).filter(|set| !set.is_empty()).cloned()
}

/// What a well-behaved single guest may use: far more than any of ours needs.
pub(in crate::measure) const ROOMY: Limits = Limits { memory: Bytes(512 << 20), pids: 32 };

/// A time, lower being better.
pub(in crate::measure) fn time(name: &str, span: Nanos) -> Metric {
    lower(name, Unit::Nanos, span.0 as f64)
}

/// A number that is better when lower.
pub(in crate::measure) fn lower(name: &str, unit: Unit, value: f64) -> Metric {
    Metric { name: name.to_owned(), unit, direction: Direction::Lower, value, samples: Vec::new() }
}

/// A number that is better when higher.
pub(in crate::measure) fn higher(name: &str, unit: Unit, value: f64) -> Metric {
    Metric { direction: Direction::Higher, ..lower(name, unit, value) }
}
