//! The idle instances next to the measured one. They live from trial to trial and change only when the level does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::measure::plan::PlannedTrial;
use crate::measure::trial::InstanceGroup;
use crate::measure::trial::TrialRig;
use crate::measure::trial::settle::{HostContext, settle};
use crate::model::cpuset::CpuSet;
use crate::model::platform::{Networking, PlatformId};
use crate::model::program::Program;
use crate::model::units::Nanos;
use crate::platform::{Error, Instance, LaunchSpec, Limits, Milestone, Platform, Purpose};

/// The background of a rig: instances of one platform at a time.
#[derive(Debug, Default)]
pub struct Background {
    group: InstanceGroup,
    /// `None` while the host has not been read.
    level: Option<Level>,
    /// The number of living instances, for a column of the samples.
    count: Arc<AtomicU32>,
}

/// The kind of instance that idles in the background.
#[derive(Debug, Clone, PartialEq)]
struct BackgroundKind {
    platform: PlatformId,
    program: Program,
    network: Networking,
    cpus: Option<CpuSet>,
    limits: Option<Limits>,
}

/// A number of instances at which the host has settled.
#[derive(Debug, Clone)]
struct Level {
    kind: BackgroundKind,
    /// The host without instances of ours, before the ladder of this platform began.
    empty: HostContext,
    context: HostContext,
    /// The time to start one instance, where instances were started to reach the level.
    start_each: Option<Nanos>,
}

impl Background {
    /// A background without instances; `count` follows the number of living ones.
    pub fn new(count: Arc<AtomicU32>) -> Self {
        Self { count, ..Self::default() }
    }

    /// The living instances.
    pub fn members(&mut self) -> &mut [Box<dyn Instance>] {
        self.group.members()
    }

    /// The host without instances of ours, and at this level; `None` before the first level.
    pub fn contexts(&self) -> Option<(&HostContext, &HostContext)> {
        self.level.as_ref().map(|level| (&level.empty, &level.context))
    }

    /// The time to start one instance on the way up to this level.
    pub fn start_each(&self) -> Option<Nanos> {
        self.level.as_ref().and_then(|level| level.start_each)
    }

    /// Starts or ends idle instances until there are as many as `trial` needs. Lets the host settle if anything changed.
    /// Idle servers run on the CPUs of measured ones, apart from the load generator.
    ///
    /// # Errors
    /// When an instance cannot be started, does not get ready, has ended since or cannot be removed. Then all are ended
    /// and the next call begins from an empty host, since an instance that hangs or has died must not count.
    pub fn ensure(&mut self, rig: &TrialRig<'_>, trial: &PlannedTrial, limits: Option<Limits>) -> Result<(), Error> {
        let kind = BackgroundKind {
            platform: rig.platform.id().clone(),
            program: trial.idle(),
            network: rig.configuration.network_of(trial.workload),
            cpus: rig.apart(trial).map(|apart| apart.victims),
            limits,
        };
        self.move_to(rig, kind)?;
        if self.group.len() != trial.background as usize {
            self.climb(rig, trial)?;
        }
        self.check_living(rig)
    }

    /// Changes to another level and lets the host settle there.
    fn climb(&mut self, rig: &TrialRig<'_>, trial: &PlannedTrial) -> Result<(), Error> {
        let began = rig.clock().now();
        let (before, needed) = (self.group.len(), trial.background);
        let changed = self.change(rig, trial);
        self.count.store(self.group.len() as u32, Ordering::Relaxed);
        if changed.is_err() {
            // The ledger has what cannot be removed; the first error is more useful.
            let _ = self.clear(rig.platform);
        }
        changed?;
        let took = rig.clock().now().saturating_sub(began);
        let started = (needed as usize).checked_sub(before).filter(|&n| n > 0);
        let context = settle(rig.clock(), rig.proc);
        if let Some(level) = &mut self.level {
            if needed == 0 {
                // The host drifts, so the latest empty reading is the best reference.
                level.empty = context.clone();
            }
            level.context = context;
            level.start_each = started.map(|n| Nanos(took.0 / n as u64));
        }
        Ok(())
    }

    /// Reads the host at rest again at the same level, so that no two trials share a reading.
    pub fn read_again(&mut self, rig: &TrialRig<'_>) {
        if let Some(level) = &mut self.level {
            level.context = settle(rig.clock(), rig.proc);
            level.start_each = None;
        }
    }

    /// Ends every background instance.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn clear(&mut self, platform: &dyn Platform) -> Result<(), Error> {
        self.level = None;
        let cleared = self.group.shrink(platform, 0).map(drop);
        self.count.store(self.group.len() as u32, Ordering::Relaxed);
        cleared
    }

    /// The platform of the instances; `None` before the first level.
    pub fn platform(&self) -> Option<&PlatformId> {
        self.level.as_ref().map(|level| &level.kind.platform)
    }

    /// Rejects a background in which an instance has ended by itself, and ends the rest.
    fn check_living(&mut self, rig: &TrialRig<'_>) -> Result<(), Error> {
        let ended = self.group.ended(rig.clock().now());
        let Some(first) = ended.first() else { return Ok(()) };
        let reason = format!("{} of its instances had ended by themselves: {first}", ended.len());
        // The ledger has what cannot be removed; this error is more useful.
        let _ = self.clear(rig.platform);
        Err(Error::failed("keep the background", reason))
    }

    /// Begins the ladder of another platform, or of another kind of instance, from an empty host.
    fn move_to(&mut self, rig: &TrialRig<'_>, kind: BackgroundKind) -> Result<(), Error> {
        match &mut self.level {
            Some(level) if level.kind == kind => return Ok(()),
            // There are no instances, so the host is as empty as it was.
            Some(level) if self.group.is_empty() && level.kind.platform == kind.platform => {
                level.kind = kind;
                return Ok(());
            }
            _ => {}
        }
        self.clear(rig.platform)?;
        let empty = settle(rig.clock(), rig.proc);
        self.level = Some(Level { kind, context: empty.clone(), empty, start_each: None });
        Ok(())
    }

    fn change(&mut self, rig: &TrialRig<'_>, trial: &PlannedTrial) -> Result<(), Error> {
        let Some(kind) = self.level.as_ref().map(|level| level.kind.clone()) else { return Ok(()) };
        let needed = trial.background as usize;
        let missing = needed.saturating_sub(self.group.len());
        let spec = || {
            let spec = rig.spec(trial, kind.program, Purpose::Background)?;
            Ok(LaunchSpec { cpus: kind.cpus.clone(), limits: kind.limits, ..spec })
        };
        let specs = (0..missing).map(|_| spec()).collect::<Result<Vec<_>, Error>>()?;
        self.group.launch(rig.platform, &specs)?;
        self.group.wait(Milestone::Ready, rig.deadline())?;
        self.group.shrink(rig.platform, needed).map(drop)
    }
}
