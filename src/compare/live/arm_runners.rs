//! The open arms of a session.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use super::arm_runner::{ArmRunner, Opening};
use super::case::planned_name;
use super::prepared_arms::PreparedArms;
use super::store::{Arms, SessionFile};
use super::{ArmId, block};
use crate::host::ledger::Leftovers;
use crate::measure::plan::Plan;
use crate::measure::{Observer, RunError};
use crate::model::run::RunId;
use crate::platform::ResourceCost;
use crate::platform::arm::Arm;

/// Every arm of a session, open and planned.
#[derive(Debug)]
pub(super) struct ArmRunners(Vec<ArmRunner>);

impl ArmRunners {
    /// Opens every arm, and A once more for the null control.
    ///
    /// # Errors
    /// When a ledger cannot be written.
    pub(super) fn open(arms: &Arms, null_control: bool, opening: &Opening<'_>) -> Result<Self, RunError> {
        let open = |&id: &ArmId| {
            let arm = if id == ArmId::B { &arms.b.arm } else { &arms.a.arm };
            ArmRunner::open(id, &without_unresolved_work(arm), opening)
        };
        block::arms(null_control).iter().map(open).collect::<Result<Vec<_>, _>>().map(Self)
    }

    /// Builds the guests of every arm and gives them to its platform.
    ///
    /// # Errors
    /// As [`crate::measure::rig::Rig::prepare`].
    pub(super) fn prepare(
        &self,
        background: &Arc<AtomicU32>,
        observer: &mut dyn Observer,
    ) -> Result<PreparedArms<'_>, RunError> {
        let rigs = self.0.iter().map(|arm| arm.rig.prepare(background, observer)).collect::<Result<Vec<_>, _>>()?;
        Ok(PreparedArms::new(self, rigs))
    }

    pub(super) fn all(&self) -> &[ArmRunner] {
        &self.0
    }

    /// The cases that either arm can run and whose name contains `word`, in the order of their plans.
    pub(super) fn names(&self, word: Option<&str>) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let names = self.0.iter().flat_map(ArmRunner::planned).map(planned_name);
        names.filter(|name| word.is_none_or(|word| name.contains(word)) && seen.insert(name.clone())).collect()
    }

    /// Why an arm cannot run the case; `None` where both can.
    pub(super) fn missing(&self, name: &str) -> Option<String> {
        let unable = self.0.iter().filter(|arm| arm.find(name).is_none() && arm.id != ArmId::Null);
        let why = |arm: &ArmRunner| match arm.skips().as_slice() {
            [] => format!("{} does not have this case", arm.id),
            reasons => format!("{}: {}", arm.id, reasons.join("; ")),
        };
        Some(unable.map(why).collect::<Vec<_>>().join("; ")).filter(|why| !why.is_empty())
    }

    /// The reasons why nothing can run.
    pub(super) fn skips(&self) -> Vec<(ArmId, String)> {
        self.0.iter().flat_map(|arm| arm.skips().into_iter().map(|why| (arm.id, why))).collect()
    }

    /// The run ids of the arms.
    pub(super) fn run_ids(&self) -> impl Iterator<Item = RunId> {
        self.0.iter().map(|arm| arm.rig.run_id().clone())
    }

    /// The trials of all arms as one plan.
    pub(super) fn plan(&self) -> Plan {
        Plan { trials: self.0.iter().flat_map(|arm| arm.planned().to_vec()).collect(), skips: Vec::new() }
    }

    /// What one instance of each arm costs the host.
    pub(super) fn resource_costs(&self) -> Vec<ResourceCost> {
        self.0.iter().flat_map(|arm| arm.rig.resource_costs()).collect()
    }

    /// Records the platforms of the arms.
    pub(super) fn describe(&self, file: &mut SessionFile) {
        for arm in self.0.iter().filter(|arm| arm.id != ArmId::Null) {
            file.arm_mut(arm.id).entry = arm.entry().cloned();
        }
    }

    /// Removes everything that the arms made; returns what their ledgers still found.
    pub(super) fn close(self, problems: &mut Vec<String>) -> Vec<Leftovers> {
        let left = self.0.into_iter().map(|arm| arm.rig.close(problems));
        left.filter(|left| *left != Leftovers::default()).collect()
    }
}

/// The arm without busy work whose time is not known yet.
fn without_unresolved_work(arm: &Arm) -> Arm {
    let mut arm = arm.clone();
    if arm.settings.is_unresolved() {
        arm.settings.inject = None;
    }
    arm
}
