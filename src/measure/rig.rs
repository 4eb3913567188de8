//! The rig: everything that a run, or one arm of a comparison, measures with.
//!
//! [`Rig::assemble`] opens the platforms and plans the trials; it changes nothing on the host but the ledger.
//! [`Rig::prepare`] gives the platforms their guests, and only a [`PreparedRig`] runs trials.
//! Invariant: a rig leaves nothing behind. Dropping it removes what [`Rig::close`] removes, without a report.

mod guests;
mod host_support;
mod record;
mod run_ledger;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use guests::Guests;
pub(crate) use host_support::read_topology;
pub(crate) use record::now;
pub(crate) use run_ledger::RunLedger;

use crate::guest::Image;
use crate::host::Topology;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::Leftovers;
use crate::host::sampler::Sampler;
use crate::measure::plan::{self, Plan, PlannedTrial};
use crate::measure::trial::{Background, TrialRig};
use crate::measure::workload::Tools;
use crate::measure::{Observer, RunError};
use crate::model::configuration::Configuration;
use crate::model::platform::PlatformId;
use crate::model::record::{Role, TrialRecord};
use crate::model::run::RunId;
use crate::model::units::Nanos;
use crate::platform::{Context, Error, Platform, ResourceCost, Settings};
use crate::store::PlatformEntry;

/// What a rig is assembled from.
#[derive(Debug)]
pub(crate) struct RigSpec<'a> {
    pub(crate) configuration: Configuration,
    /// The settings of an arm of a comparison; `None` for a run.
    pub(crate) arm: Option<&'a Settings>,
    pub(crate) topology: Arc<Topology>,
    pub(crate) folders: &'a Folders,
    pub(crate) interrupt: &'a Interrupt,
}

/// Platforms, load generators and a plan, opened for one run id.
#[derive(Debug)]
pub(crate) struct Rig {
    // Fields are dropped from top to bottom: the platforms remove what they made before the ledger is swept.
    platforms: Vec<Box<dyn Platform>>,
    entries: Vec<PlatformEntry>,
    tools: Tools,
    context: Context,
    configuration: Configuration,
    topology: Arc<Topology>,
    folders: Folders,
    plan: Plan,
    ledger: RunLedger,
}

impl Rig {
    /// Opens the platforms that can run here and plans their trials.
    pub(crate) fn assemble(spec: RigSpec<'_>, ledger: RunLedger) -> Self {
        let RigSpec { configuration, arm, topology, folders, interrupt } = spec;
        let context = Context::new(Arc::clone(ledger.get()), interrupt.clone());
        let context = match arm {
            Some(settings) => context.with_settings(settings),
            None => context,
        };
        let tools = Tools::new(context.clone());
        let (platforms, entries, host_support) =
            host_support::host_support(&configuration, &context, &topology, &tools);
        let plan = plan::build(&configuration, &host_support);
        let folders = folders.clone();
        Self { platforms, entries, tools, context, configuration, topology, folders, plan, ledger }
    }

    /// The same rig without references and placebos, which a comparison does not need.
    pub(crate) fn without_references(mut self) -> Self {
        self.plan.trials.retain(|trial| trial.role == Role::Measured);
        self
    }

    /// The same rig with each platform replaced by what `replace` makes of it: a hook for tests.
    pub(crate) fn with_platforms(mut self, replace: impl Fn(&Context, Box<dyn Platform>) -> Box<dyn Platform>) -> Self {
        let platforms = std::mem::take(&mut self.platforms);
        self.platforms = platforms.into_iter().map(|platform| replace(&self.context, platform)).collect();
        self
    }

    pub(crate) fn run_id(&self) -> &RunId {
        self.ledger.get().run()
    }

    pub(crate) fn ledger(&self) -> &RunLedger {
        &self.ledger
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The platforms that can run here.
    pub(crate) fn entries(&self) -> &[PlatformEntry] {
        &self.entries
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.topology
    }

    pub(crate) fn folders(&self) -> &Folders {
        &self.folders
    }

    /// What one instance on each platform costs the host.
    pub(crate) fn resource_costs(&self) -> Vec<ResourceCost> {
        self.platforms.iter().map(|platform| platform.resource_cost()).collect()
    }

    /// The present instant on the clock of the first platform; zero without a platform.
    pub(crate) fn now(&self) -> Nanos {
        self.platforms.first().map_or(Nanos(0), |platform| platform.clock().now())
    }

    /// Builds the guests and gives them to the platforms. `background` counts the background instances.
    ///
    /// # Errors
    /// When one of our own guests cannot be built, a platform cannot go on, or the user stops it.
    pub(crate) fn prepare(
        &self,
        background: &Arc<AtomicU32>,
        observer: &mut dyn Observer,
    ) -> Result<PreparedRig<'_>, RunError> {
        let guests = Guests::prepare(&self.plan, &self.platforms, &self.context.settings, &self.folders, observer)?;
        Ok(PreparedRig { rig: self, guests, background: Background::new(Arc::clone(background)) })
    }

    /// Lets the platforms go, then sweeps by the ledger: whatever the sweep finds is a leak.
    pub(crate) fn close(mut self, problems: &mut Vec<String>) -> Leftovers {
        self.platforms.clear();
        self.ledger.close(problems)
    }

    fn platform(&self, id: &PlatformId) -> Result<&dyn Platform, Error> {
        let platform = self.platforms.iter().find(|platform| platform.id() == id);
        platform.map(AsRef::as_ref).ok_or_else(|| Error::Fatal(format!("platform {id} is planned but not open")))
    }
}

/// A rig whose platforms have their guests.
#[derive(Debug)]
pub(crate) struct PreparedRig<'r> {
    rig: &'r Rig,
    guests: Guests,
    background: Background,
}

impl<'r> PreparedRig<'r> {
    pub(crate) fn rig(&self) -> &'r Rig {
        self.rig
    }

    /// The guests that were built.
    pub(crate) fn images(&self) -> &[Image] {
        self.guests.images()
    }

    /// The digests of what platforms boot, where that is more than a guest's image: by `qemu:linux/nginx`.
    pub(crate) fn boot_artifacts(&self) -> BTreeMap<String, String> {
        self.guests.boot_artifacts(&self.rig.platforms)
    }

    /// A line for each guest that is missing.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.guests.warnings()
    }

    /// Runs one trial. `cleared` is the outcome of removing what other rigs had in the background.
    ///
    /// # Errors
    /// When there is no record: the user stops the run, or it cannot go on.
    pub(crate) fn run(
        &mut self,
        trial: &PlannedTrial,
        sampler: Option<&Sampler>,
        cleared: Result<(), Error>,
    ) -> Result<TrialRecord, Error> {
        let cleared = cleared.and_then(|()| self.clear_other_platforms(&trial.platform));
        let rig = TrialRig {
            platform: self.rig.platform(&trial.platform)?,
            ledger: self.rig.ledger.get(),
            images: self.guests.images(),
            missing_guests: &self.guests.missing(&trial.platform),
            host_generator: &self.rig.tools,
            configuration: &self.rig.configuration,
            topology: &self.rig.topology,
            proc: Path::new("/proc"),
            sampler,
        };
        record::run(&rig, &mut self.background, trial, cleared)
    }

    /// Ends the background instances, if there are any.
    ///
    /// # Errors
    /// When an instance cannot be removed.
    pub(crate) fn clear(&mut self) -> Result<(), Error> {
        match self.background.platform().cloned() {
            Some(id) if !self.background.members().is_empty() => self.background.clear(self.rig.platform(&id)?),
            _ => Ok(()),
        }
    }

    fn clear_other_platforms(&mut self, platform: &PlatformId) -> Result<(), Error> {
        match self.background.platform() {
            Some(before) if before != platform => self.clear(),
            _ => Ok(()),
        }
    }
}
