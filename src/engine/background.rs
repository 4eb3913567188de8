//! The idle instances beside the measured one, kept from trial to trial and changed only when the level does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Crew;
use super::settle::{HostContext, settle};
use crate::experiment::Stage;
use crate::guest::Program;
use crate::platform::{Error, Instance, Limits, Milestone, Platform, PlatformId};
use crate::units::Nanos;

/// The background of a run: instances of one platform at a time.
#[derive(Debug, Default)]
pub struct Background {
    crew: Crew,
    at: Option<Level>,
    /// How many live, for the sampler's column.
    count: Arc<AtomicU32>,
}

/// A level that was reached and settled on.
#[derive(Debug, Clone)]
struct Level {
    platform: PlatformId,
    limits: Option<Limits>,
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
        self.crew.members()
    }

    /// The host as it was with none of ours, and as it is at this level; `None` before the first level.
    pub fn contexts(&self) -> Option<(&HostContext, &HostContext)> {
        self.at.as_ref().map(|level| (&level.empty, &level.context))
    }

    /// How long starting one instance took on the way up to this level.
    pub fn start_each(&self) -> Option<Nanos> {
        self.at.as_ref().and_then(|level| level.start_each)
    }

    /// Makes `wanted` sleepers live on the stage's platform and lets the host settle, if anything changes.
    ///
    /// # Errors
    /// When an instance cannot be started, does not get ready, has ended since or cannot be removed. Then all are ended,
    /// and the next call begins from an empty host: one that hangs or has died would pass for a background otherwise.
    pub fn ensure(&mut self, stage: &Stage<'_>, wanted: u32, limits: Option<Limits>) -> Result<(), Error> {
        self.move_to(stage, limits)?;
        if self.crew.len() != wanted as usize {
            self.climb(stage, wanted, limits)?;
        }
        self.check_living(stage)
    }

    /// Goes to another level and settles there.
    fn climb(&mut self, stage: &Stage<'_>, wanted: u32, limits: Option<Limits>) -> Result<(), Error> {
        let began = stage.clock().now();
        let before = self.crew.len();
        let changed = self.change(stage, wanted as usize, limits);
        self.count.store(self.crew.len() as u32, Ordering::Relaxed);
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
        let cleared = self.crew.shrink(platform, 0).map(drop);
        self.count.store(self.crew.len() as u32, Ordering::Relaxed);
        cleared
    }

    /// Whose instances these are; `None` before the first level.
    pub fn platform(&self) -> Option<&PlatformId> {
        self.at.as_ref().map(|level| &level.platform)
    }

    /// Refuses a background of which an instance has ended by itself, and ends the rest.
    fn check_living(&mut self, stage: &Stage<'_>) -> Result<(), Error> {
        match self.crew.ended(stage.clock().now()) {
            0 => Ok(()),
            ended => {
                // What cannot be removed stands in the ledger; this error tells more.
                let _ = self.clear(stage.platform);
                Err(Error::failed("keep the background", format!("{ended} of its instances had ended by themselves")))
            }
        }
    }

    /// Begins the ladder of another platform, or of other limits, from an empty host.
    fn move_to(&mut self, stage: &Stage<'_>, limits: Option<Limits>) -> Result<(), Error> {
        let here = |level: &Level| level.platform == *stage.platform.id() && level.limits == limits;
        if self.at.as_ref().is_some_and(here) {
            return Ok(());
        }
        self.clear(stage.platform)?;
        let empty = settle(stage.clock(), stage.proc);
        let platform = stage.platform.id().clone();
        self.at = Some(Level { platform, limits, context: empty.clone(), empty, start_each: None });
        Ok(())
    }

    fn change(&mut self, stage: &Stage<'_>, wanted: usize, limits: Option<Limits>) -> Result<(), Error> {
        let missing = wanted.saturating_sub(self.crew.len());
        let specs: Vec<_> =
            (0..missing).map(|_| stage.spec(Program::Sleep, &[], None, limits)).collect::<Result<_, _>>()?;
        self.crew.launch(stage.platform, &specs)?;
        self.crew.wait(Milestone::Ready, stage.deadline())?;
        self.crew.shrink(stage.platform, wanted).map(drop)
    }
}
