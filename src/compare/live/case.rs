//! The cases of a session. Their names leave out what the arms differ in.

use serde::{Deserialize, Serialize};

use super::metric::{JudgedMetric, MetricSelection, refused};
use crate::compare::rule::{Decision, Rule};
use crate::measure::plan::PlannedTrial;
use crate::model::record::{Case, CaseName, Role};
use crate::model::units::Nanos;

/// A case of a session, after both arms have run it once or one of them could not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseFile {
    /// The name: `boot/hello/0`.
    pub name: String,
    /// The rule for its blocks, which depends on the time of a trial.
    pub rule: Rule,
    /// The time of one trial, in the slower arm.
    pub trial: Nanos,
    /// The judged metrics.
    pub metrics: Vec<JudgedMetric>,
    /// Why it is not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Decision>,
}

impl CaseFile {
    /// A case that cannot be measured. It has a line for each selected metric, or for each headline.
    pub(super) fn refused(trial: &PlannedTrial, selection: &MetricSelection, rule: Rule, decision: Decision) -> Self {
        Self {
            name: planned_name(trial),
            rule,
            trial: Nanos(0),
            metrics: refused(selection, trial.experiment, trial.workload),
            refused: Some(decision),
        }
    }
}

/// The case of a planned trial.
pub(super) fn planned_name(trial: &PlannedTrial) -> String {
    trial.name().without_platform().to_string()
}

/// The name of the case of a stored trial.
pub(crate) fn name(case: &Case) -> String {
    CaseName::of(case, Role::Measured).without_platform().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attacker::Attacker;
    use crate::model::placement::Placement;
    use crate::model::platform::PlatformId;
    use crate::model::program::Program;
    use crate::model::record::Experiment;
    use crate::store::testing::record;

    #[test]
    fn a_planned_case_and_its_record_have_one_name() {
        let planned = PlannedTrial {
            order: 0,
            trial: 0,
            role: Role::Measured,
            experiment: Experiment::Isolation,
            platform: PlatformId::new("fake"),
            workload: Program::Sqlite,
            attacker: Some(Attacker::Open),
            placement: Placement::SameCore,
            background: 0,
            victims: 1,
            estimate: Nanos(0),
        };
        assert_eq!(planned_name(&planned), "isolation/sqlite/same-core/open");
        assert_eq!(planned.to_string(), "isolation/fake/sqlite/same-core/open");
        let stored = Case {
            experiment: Experiment::Isolation,
            workload: Program::Sqlite,
            attacker: Some(Attacker::Open),
            placement: Placement::SameCore,
            ..record(0).case
        };
        assert_eq!(name(&stored), planned_name(&planned));
        assert_eq!(name(&record(0).case), "boot/hello/0");
        let four = Case { experiment: Experiment::Scalability, victims: 4, ..stored };
        assert_eq!(name(&four), "scalability/sqlite/4-victims");
    }
}
