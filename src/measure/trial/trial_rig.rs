//! The rig as one trial sees it: one platform, its images, the host.

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
use crate::model::record::Experiment;
use crate::model::units::{Bytes, Nanos};
use crate::platform::load_generator::LoadGenerator;
use crate::platform::{Error, LaunchSpec, Limits, Platform, Purpose};

/// How much longer than its trial a guest lives at most. The harness ends it earlier, unless it was killed itself.
const GUEST_GRACE: Duration = Duration::from_secs(60);

/// What the trials of one platform work with.
#[derive(Debug, Clone, Copy)]
pub struct TrialRig<'a> {
    /// The platform that runs the instances.
    pub platform: &'a dyn Platform,
    /// Records resources and names instances.
    pub ledger: &'a Ledger,
    /// The guests.
    pub images: &'a [Image],
    /// The guests that this platform cannot be given, and why.
    pub missing_guests: &'a [(Program, Unavailable)],
    /// Drives servers where the platform has no load generator of its own.
    pub host_generator: &'a dyn LoadGenerator,
    /// The run's configuration.
    pub configuration: &'a Configuration,
    /// The host's CPUs.
    pub topology: &'a Topology,
    /// The root of the process file system: `/proc`.
    pub proc: &'a Path,
    /// The run's sampler, which is quiet while a trial is timed; `None` outside of runs and stages.
    pub sampler: Option<&'a Sampler>,
}

impl<'a> TrialRig<'a> {
    /// The platform's clock.
    pub fn clock(&self) -> &dyn Clock {
        self.platform.clock()
    }

    /// When a trial that begins now is aborted.
    pub fn deadline(&self) -> Nanos {
        self.clock().now() + self.timeout().into()
    }

    /// Keeps the sampler quiet until the guard is dropped: hold it from before `spawn` until the last event.
    pub fn quiet(&self) -> Option<Quiet> {
        self.sampler.map(Sampler::quiet)
    }

    /// The load generator that drives servers on this platform.
    pub fn generator(&self) -> &'a dyn LoadGenerator {
        self.platform.load_generator().unwrap_or(self.host_generator)
    }

    /// The CPUs of servers and of their load generator in a trial without a placement; `None` where nothing is driven.
    pub fn apart(&self, trial: &PlannedTrial) -> Option<Apart> {
        (trial.is_driven() && trial.experiment == Experiment::Scalability).then(|| placement::apart(self.topology))
    }

    /// The image of `program`.
    ///
    /// # Errors
    /// When this platform cannot be given it, or, as a fault of the harness, when it was not built for this run.
    pub fn image(&self, program: Program) -> Result<&Image, Error> {
        if let Some((_, why)) = self.missing_guests.iter().find(|(missing, _)| *missing == program) {
            return Err(why.clone().into());
        }
        let image = self.images.iter().find(|image| image.program == program);
        image.ok_or_else(|| Error::Fatal(format!("guest {program} was not built for this run")))
    }

    /// An instance to launch in `trial`, with a new name and without arguments, pinning or limits.
    ///
    /// # Errors
    /// As [`TrialRig::image`].
    pub fn spec(&self, trial: &PlannedTrial, program: Program, purpose: Purpose) -> Result<LaunchSpec, Error> {
        let deadline = match purpose {
            // Background instances live as long as their run, which may be days.
            Purpose::Background => Duration::from_secs(7 * 86_400),
            // A neighbor lives before, with and after its victim, and each part may take the whole timeout.
            Purpose::Measured | Purpose::Neighbor => self.timeout() * 3 + GUEST_GRACE,
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

    /// Does `work` with a group that is removed afterwards, whatever happens.
    ///
    /// # Errors
    /// The error of the work, or else of the removal.
    pub fn with_group<T>(&self, work: impl FnOnce(&mut InstanceGroup) -> Result<T, Error>) -> Result<T, Error> {
        let mut group = InstanceGroup::default();
        let worked = work(&mut group);
        let removed = group.shrink(self.platform, 0);
        let value = worked?;
        removed.map(|_| value)
    }

    /// The longest time that a trial may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.configuration.timeout_s)
    }
}

/// The CPUs to launch on; `None` for an empty set.
pub(in crate::measure) fn pinned(cpus: &CpuSet) -> Option<CpuSet> {
    Some(cpus).filter(|set| !set.is_empty()).cloned()
}

/// The limits of one well-behaved guest: far more than any of ours needs.
pub(in crate::measure) const ROOMY: Limits = Limits { memory: Bytes(512 << 20), pids: 32 };
