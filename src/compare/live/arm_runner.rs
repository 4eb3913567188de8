//! One arm of a session: a rig with a run id of its own.

use std::fmt;
use std::sync::Arc;

use super::ArmId;
use super::case::planned_name;
use crate::compare::rule::Stage;
use crate::host::Topology;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::measure::RunError;
use crate::measure::plan::PlannedTrial;
use crate::measure::rig::{Rig, RigSpec, RunLedger};
use crate::model::configuration::{Configuration, Design};
use crate::platform::arm::Arm;
use crate::platform::{Context, Platform};
use crate::store::PlatformEntry;

/// An arm that is open and planned.
#[derive(Debug)]
pub(super) struct ArmRunner {
    pub(super) id: ArmId,
    pub(super) rig: Rig,
}

/// What arms are opened with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opening<'a> {
    pub(super) configuration: &'a Configuration,
    pub(super) topology: &'a Arc<Topology>,
    pub(super) folders: &'a Folders,
    pub(super) interrupt: &'a Interrupt,
    pub(super) hook: &'a TestHook,
    pub(super) stage: Stage,
}

/// Replaces the platform of an arm in tests.
#[derive(Clone)]
pub(super) struct TestHook(pub(super) Arc<ReplacePlatform>);

type ReplacePlatform = dyn Fn(ArmId, Stage, &Context, Box<dyn Platform>) -> Box<dyn Platform> + Send + Sync;

impl Default for TestHook {
    fn default() -> Self {
        Self(Arc::new(|_, _, _, platform| platform))
    }
}

impl fmt::Debug for TestHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestHook")
    }
}

impl ArmRunner {
    /// Opens an arm and plans each case once. Changes nothing on the host but the ledger.
    ///
    /// # Errors
    /// When its ledger cannot be written.
    pub(super) fn open(id: ArmId, arm: &Arm, opening: &Opening<'_>) -> Result<Self, RunError> {
        let configuration = Configuration {
            platforms: vec![arm.platform.clone()],
            runs: 1,
            filter: None,
            design: each_case_once(&opening.configuration.design),
            ..opening.configuration.clone()
        };
        let spec = RigSpec {
            configuration,
            arm: Some(&arm.settings),
            topology: Arc::clone(opening.topology),
            folders: opening.folders,
            interrupt: opening.interrupt,
        };
        let rig = Rig::assemble(spec, RunLedger::for_new_run(opening.folders)?).without_references();
        let replace = |context: &Context, platform| (opening.hook.0)(id, opening.stage, context, platform);
        Ok(Self { id, rig: rig.with_platforms(replace) })
    }

    /// The cases that it can measure.
    pub(super) fn planned(&self) -> &[PlannedTrial] {
        &self.rig.plan().trials
    }

    /// The case of that name.
    pub(super) fn find(&self, name: &str) -> Option<&PlannedTrial> {
        self.planned().iter().find(|trial| planned_name(trial) == name)
    }

    /// Why it cannot measure some cases.
    pub(super) fn skips(&self) -> Vec<String> {
        self.rig.plan().skips.iter().map(|skip| skip.reason.clone()).collect()
    }

    /// Its platform on this host; `None` where it cannot run.
    pub(super) fn entry(&self) -> Option<&PlatformEntry> {
        self.rig.entries().first()
    }
}

/// The same design with one boot at each level.
fn each_case_once(design: &Design) -> Design {
    match design {
        Design::Boot { ladder, .. } => Design::Boot { ladder: ladder.clone(), boots: 1 },
        other => other.clone(),
    }
}
