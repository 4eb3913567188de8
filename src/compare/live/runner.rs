//! A lane: one arm, opened with a run of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::case::planned_name;
use super::{AbError, ArmId};
use crate::compare::rule::Stage;
use crate::guest::Image;
use crate::host::Topology;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{Ledger, Leftovers};
use crate::host::sampler::Sampler;
use crate::measure::plan::{self, Plan, PlannedTrial};
use crate::measure::session::{EngineError, Guests, Observer, host_support, open_ledger, run_trial};
use crate::measure::trial::Background;
use crate::measure::workload::Tools;
use crate::model::configuration::{Configuration, Design};
use crate::model::record::{Role, TrialRecord};
use crate::model::run::RunId;
use crate::model::units::Nanos;
use crate::platform::arm::Arm;
use crate::platform::{Context, Error, Platform, ResourceCost};
use crate::store::PlatformEntry;

/// One opened arm. Dropping it removes everything that it made.
#[derive(Debug)]
pub(super) struct ArmRunner {
    pub(super) which: ArmId,
    arm: Arm,
    folders: Folders,
    ledger: Arc<Ledger>,
    /// The arm's platform; none where it cannot run here.
    platforms: Vec<Box<dyn Platform>>,
    entry: Option<PlatformEntry>,
    generator: Tools,
    configuration: Configuration,
    plan: Plan,
    guests: Guests,
    background: Background,
    is_closed: bool,
}

/// What a lane is opened with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) topology: &'a Topology,
    pub(super) folders: &'a Folders,
    pub(super) interrupt: &'a Interrupt,
    pub(super) dress: &'a TestHook,
    pub(super) stage: Stage,
}

/// What a test puts in a lane's platform's place.
#[derive(Clone)]
pub(super) struct TestHook(pub(super) Arc<DressFn>);

type DressFn = dyn Fn(ArmId, Stage, &Context, Box<dyn Platform>) -> Box<dyn Platform> + Send + Sync;

impl Default for TestHook {
    fn default() -> Self {
        Self(Arc::new(|_, _, _, platform| platform))
    }
}

impl fmt::Debug for TestHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dress")
    }
}

impl ArmRunner {
    /// Opens an arm and plans what it can measure, each case once. Changes nothing on the host but the ledger.
    ///
    /// # Errors
    /// When its ledger cannot be written.
    pub(super) fn open(which: ArmId, arm: &Arm, opening: &Opening<'_>) -> Result<Self, EngineError> {
        let Opening { topology, folders, dress, stage, .. } = *opening;
        let configuration = Configuration {
            platforms: vec![arm.platform.clone()],
            runs: 1,
            filter: None,
            design: each_case_once(&opening.configuration.design),
            ..opening.configuration.clone()
        };
        let ledger = new_ledger(folders)?;
        let context = Context::new(Arc::clone(&ledger), opening.interrupt.clone()).with_settings(&arm.settings);
        let generator = Tools::new(context.clone());
        let (platforms, entries, offered) = host_support(&configuration, &context, topology, &generator);
        let platforms = platforms.into_iter().map(|platform| (dress.0)(which, stage, &context, platform)).collect();
        let mut plan = plan::build(&configuration, &offered);
        plan.trials.retain(|trial| trial.role == Role::Measured);
        Ok(Self {
            which,
            arm: arm.clone(),
            folders: folders.clone(),
            ledger,
            platforms,
            entry: entries.into_iter().next(),
            generator,
            configuration,
            plan,
            guests: Guests::default(),
            background: Background::default(),
            is_closed: false,
        })
    }

    /// The run that everything of this lane belongs to.
    pub(super) fn run_id(&self) -> &RunId {
        self.ledger.run()
    }

    /// The cases that it can measure.
    pub(super) fn planned(&self) -> &[PlannedTrial] {
        &self.plan.trials
    }

    /// The case of that name.
    pub(super) fn find(&self, name: &str) -> Option<&PlannedTrial> {
        self.plan.trials.iter().find(|trial| planned_name(trial) == name)
    }

    /// Why it cannot measure what another can.
    pub(super) fn skips(&self) -> Vec<String> {
        self.plan.skips.iter().map(|skip| skip.reason.clone()).collect()
    }

    /// What its platform is here.
    pub(super) fn entry(&self) -> Option<&PlatformEntry> {
        self.entry.as_ref()
    }

    /// What the host bears for its instances.
    pub(super) fn resource_costs(&self) -> impl Iterator<Item = ResourceCost> {
        self.platforms.iter().map(|platform| platform.resource_cost())
    }

    /// Its guests, once they are prepared.
    pub(super) fn images(&self) -> &[Image] {
        &self.guests.images
    }

    /// What its platform makes of them.
    pub(super) fn made(&self) -> BTreeMap<String, String> {
        self.guests.made(&self.platforms)
    }

    /// Builds the guests and gives them to the platform, its own copy of each.
    ///
    /// # Errors
    /// When a guest of our own cannot be built, or going on makes no sense.
    pub(super) fn prepare(&mut self, observer: &mut dyn Observer) -> Result<(), EngineError> {
        self.guests = Guests::build(&self.plan, &self.platforms, &self.arm.settings, &self.folders, observer)?;
        self.guests.prepare(&self.platforms)
    }

    /// Runs one trial of it, once what others had in the background is `cleared`.
    ///
    /// # Errors
    /// When there is no record: the user asked to stop, or going on makes no sense.
    pub(super) fn run(
        &mut self,
        trial: &PlannedTrial,
        topology: &Topology,
        sampler: Option<&Sampler>,
        cleared: Result<(), Error>,
    ) -> Result<TrialRecord, Error> {
        let gone = || Error::Fatal(format!("the arm {} is not open", self.which));
        let platform = self.platforms.first().ok_or_else(gone)?.as_ref();
        let stage = crate::measure::trial::Stage {
            platform,
            ledger: &self.ledger,
            images: &self.guests.images,
            missing_guests: &self.guests.missing_guests(platform.id()),
            host_generator: &self.generator,
            configuration: &self.configuration,
            topology,
            proc: Path::new("/proc"),
            sampler,
        };
        run_trial(&stage, &mut self.background, trial, cleared)
    }

    /// The present instant of the platform's clock.
    pub(super) fn now(&self) -> Nanos {
        self.platforms.first().map_or(Nanos(0), |platform| platform.clock().now())
    }

    /// Ends what idles in the background, if anything does.
    ///
    /// # Errors
    /// When an instance cannot be removed.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        match self.platforms.first() {
            Some(platform) if !self.background.members().is_empty() => self.background.clear(platform.as_ref()),
            _ => Ok(()),
        }
    }

    /// Removes everything, then sweeps by the ledger: whatever that still finds is a leak.
    pub(super) fn close(mut self, problems: &mut Vec<String>) -> Leftovers {
        problems.extend(self.clear().err().map(|e| e.to_string()));
        self.platforms.clear();
        self.is_closed = true;
        self.ledger.close().unwrap_or_else(|e| {
            problems.push(e.to_string());
            Leftovers::default()
        })
    }
}

impl Drop for ArmRunner {
    fn drop(&mut self) {
        if !self.is_closed {
            // Whatever cannot be removed stands in the ledger.
            drop(self.clear());
            self.platforms.clear();
            drop(self.ledger.close());
        }
    }
}

/// A ledger for a run that begins now. Runs that begin in the same moment have ids of their own.
fn new_ledger(folders: &Folders) -> Result<Arc<Ledger>, EngineError> {
    loop {
        let run = RunId::generate();
        if !folders.state.join(run.name()).exists() {
            return open_ledger(folders, &run);
        }
    }
}

impl AbError {
    /// Nothing can run in these lanes.
    pub(super) fn nothing(runners: &[ArmRunner]) -> Self {
        let reasons = |runner: &ArmRunner| {
            runner.skips().into_iter().map(|why| format!("  {}: {why}", runner.which)).collect::<Vec<_>>()
        };
        AbError::NothingToRun(runners.iter().flat_map(reasons).collect::<Vec<_>>().join("\n"))
    }
}
/// The same design with one boot at each level.
fn each_case_once(design: &Design) -> Design {
    match design {
        Design::Boot { ladder, .. } => Design::Boot { ladder: ladder.clone(), boots: 1 },
        other => other.clone(),
    }
}
