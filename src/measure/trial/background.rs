//! The idle instances beside the measured one, kept from trial to trial and changed only when the level does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::measure::plan::PlannedTrial;
use crate::measure::trial::InstanceGroup;
use crate::measure::trial::Stage;
use crate::measure::trial::settle::{HostContext, settle};
use crate::model::cpuset::CpuSet;
use crate::model::platform::{Networking, PlatformId};
use crate::model::program::Program;
use crate::model::units::Nanos;
use crate::platform::{Error, Instance, LaunchSpec, Limits, Milestone, Platform, Purpose};

/// The background of a run: instances of one platform at a time.
#[derive(Debug, Default)]
pub struct Background {
    group: InstanceGroup,
    at: Option<Level>,
    /// How many live, for the sampler's column.
    count: Arc<AtomicU32>,
}

/// What idles in the background.
#[derive(Debug, Clone, PartialEq)]
struct BackgroundKind {
    platform: PlatformId,
    program: Program,
    network: Networking,
    cpus: Option<CpuSet>,
    limits: Option<Limits>,
}

/// A level that was reached and settled on.
#[derive(Debug, Clone)]
struct Level {
    kind: BackgroundKind,
    /// The host with no instance of ours, before the ladder of this platform began.
    empty: HostContext,
    context: HostContext,
    /// How long starting one instance took, when the level was reached by starting some.
    start_each: Option<Nanos>,
}

impl Background {
    /// No instance yet; `count` will tell how many live, for the sampler.
    pub fn new(count: Arc<AtomicU32>) -> Self {
        Self { count, ..Self::default() }
    }

    /// The living instances.
    pub fn members(&mut self) -> &mut [Box<dyn Instance>] {
        self.group.members()
    }

    /// The host as it was with none of ours, and as it is at this level; `None` before the first level.
    pub fn contexts(&self) -> Option<(&HostContext, &HostContext)> {
        self.at.as_ref().map(|level| (&level.empty, &level.context))
    }

    /// How long starting one instance took on the way up to this level.
    pub fn start_each(&self) -> Option<Nanos> {
        self.at.as_ref().and_then(|level| level.start_each)
    }

    /// Makes the idle instances of `trial` live on the stage's platform and lets the host settle, if anything changes.
    /// Idle servers run where measured ones do, apart from the load generator.
    ///
    /// # Errors
    /// When an instance cannot be started, does not get ready, has ended since or cannot be removed. Then all are ended,
    /// and the next call begins from an empty host: one that hangs or has died would pass for a background otherwise.
    pub fn ensure(&mut self, stage: &Stage<'_>, trial: &PlannedTrial, limits: Option<Limits>) -> Result<(), Error> {
        let kind = BackgroundKind {
            platform: stage.platform.id().clone(),
            program: trial.idle(),
            network: stage.configuration.network_of(trial.workload),
            cpus: stage.apart(trial).map(|apart| apart.victims),
            limits,
        };
        self.move_to(stage, kind)?;
        if self.group.len() != trial.background as usize {
            self.climb(stage, trial)?;
        }
        self.check_living(stage)
    }

    /// Goes to another level and settles there.
    fn climb(&mut self, stage: &Stage<'_>, trial: &PlannedTrial) -> Result<(), Error> {
        let began = stage.clock().now();
        let (before, wanted) = (self.group.len(), trial.background);
        let changed = self.change(stage, trial);
        self.count.store(self.group.len() as u32, Ordering::Relaxed);
        if changed.is_err() {
            // What cannot be removed stands in the ledger; the first error tells more.
            let _ = self.clear(stage.platform);
        }
        changed?;
        let took = stage.clock().now().saturating_sub(began);
        let started = (wanted as usize).checked_sub(before).filter(|&n| n > 0);
        let context = settle(stage.clock(), stage.proc);
        if let Some(level) = &mut self.at {
            if wanted == 0 {
                // The host drifts: the nearest empty reading is the best to count from.
                level.empty = context.clone();
            }
            level.context = context;
            level.start_each = started.map(|n| Nanos(took.0 / n as u64));
        }
        Ok(())
    }

    /// Reads the host at rest once more at the same level, so that a trial never repeats the reading of another.
    pub fn look_again(&mut self, stage: &Stage<'_>) {
        if let Some(level) = &mut self.at {
            level.context = settle(stage.clock(), stage.proc);
            level.start_each = None;
        }
    }

    /// Ends every background instance.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn clear(&mut self, platform: &dyn Platform) -> Result<(), Error> {
        self.at = None;
        let cleared = self.group.shrink(platform, 0).map(drop);
        self.count.store(self.group.len() as u32, Ordering::Relaxed);
        cleared
    }

    /// Whose instances these are; `None` before the first level.
    pub fn platform(&self) -> Option<&PlatformId> {
        self.at.as_ref().map(|level| &level.kind.platform)
    }

    /// Refuses a background of which an instance has ended by itself, and ends the rest.
    fn check_living(&mut self, stage: &Stage<'_>) -> Result<(), Error> {
        let ended = self.group.ended(stage.clock().now());
        let Some(first) = ended.first() else { return Ok(()) };
        let reason = format!("{} of its instances had ended by themselves: {first}", ended.len());
        // What cannot be removed stands in the ledger; this error tells more.
        let _ = self.clear(stage.platform);
        Err(Error::failed("keep the background", reason))
    }

    /// Begins the ladder of another platform, or of other instances, from an empty host.
    fn move_to(&mut self, stage: &Stage<'_>, kind: BackgroundKind) -> Result<(), Error> {
        match &mut self.at {
            Some(level) if level.kind == kind => return Ok(()),
            // Nobody lives, so the host is as empty as it was.
            Some(level) if self.group.is_empty() && level.kind.platform == kind.platform => {
                level.kind = kind;
                return Ok(());
            }
            _ => {}
        }
        self.clear(stage.platform)?;
        let empty = settle(stage.clock(), stage.proc);
        self.at = Some(Level { kind, context: empty.clone(), empty, start_each: None });
        Ok(())
    }

    fn change(&mut self, stage: &Stage<'_>, trial: &PlannedTrial) -> Result<(), Error> {
        let Some(kind) = self.at.as_ref().map(|level| level.kind.clone()) else { return Ok(()) };
        let wanted = trial.background as usize;
        let missing = wanted.saturating_sub(self.group.len());
        let spec = || {
            let spec = stage.spec(trial, kind.program, Purpose::Background)?;
            Ok(LaunchSpec { cpus: kind.cpus.clone(), limits: kind.limits, ..spec })
        };
        let specs = (0..missing).map(|_| spec()).collect::<Result<Vec<_>, Error>>()?;
        self.group.launch(stage.platform, &specs)?;
        self.group.wait(Milestone::Ready, stage.deadline())?;
        self.group.shrink(stage.platform, wanted).map(drop)
    }
}
