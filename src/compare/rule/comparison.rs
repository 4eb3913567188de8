//! The comparison of two sides, metric by metric: what is printed, stored and turned into an exit code.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Decision, Verdict};
use crate::model::exit::Exit;
use crate::model::units::{Direction, Nanos, Unit};
use crate::stats::Summary;

/// The outcome of `cargo xtask ab` or `cargo xtask compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The side to compare with.
    pub a: Side,
    /// The side in question.
    pub b: Side,
    /// Notes on the whole comparison: how strong its claim is, when the sides were measured.
    pub notes: Vec<String>,
    /// Why the sides cannot be compared; then there are no lines.
    pub not_comparable: Vec<String>,
    /// One line for each metric of each case, in the order of the cases.
    pub lines: Vec<Line>,
    /// The time that the measurement took; `None` for stored runs.
    pub took: Option<Nanos>,
}

/// One side of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// The name that the user gave it: `docker:runc`, a run's id, a baseline's name.
    pub name: String,
    /// Facts that may differ between the sides: version, revision, digest, kernel.
    pub facts: BTreeMap<String, String>,
}

/// One metric of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The name of the case, without what the sides differ in: `boot/hello/0`.
    pub case: String,
    /// The metric.
    pub metric: String,
    /// The unit of the summaries.
    pub unit: Unit,
    /// The direction of an improvement.
    pub direction: Direction,
    /// A's trials; `None` without a successful one.
    pub a: Option<Summary>,
    /// B's trials.
    pub b: Option<Summary>,
    /// The decision.
    #[serde(rename = "ruling")]
    pub decision: Decision,
}

impl Comparison {
    /// The exit code of a comparison of stored runs. A case that A has and B lost is a failure, since its speed is unknown.
    pub fn exit(&self) -> Exit {
        match self {
            c if !c.not_comparable.is_empty() => Exit::BadInput,
            c if c.has_regressed() => Exit::Regression,
            c if !c.lost().is_empty() => Exit::Failure,
            c if c.says_nothing() => Exit::NothingRan,
            _ => Exit::Fine,
        }
    }

    /// Whether a metric of a case has regressed: exit code 1.
    pub fn has_regressed(&self) -> bool {
        self.lines.iter().any(|line| line.decision.verdict == Verdict::Regressed)
    }

    /// Whether no line has a usable shift: each is INVALID, SKIPPED or without numbers.
    pub fn says_nothing(&self) -> bool {
        let is_usable = |decision: &Decision| {
            decision.shift.is_some() && !matches!(decision.verdict, Verdict::Invalid | Verdict::Skipped)
        };
        !self.lines.iter().any(|line| is_usable(&line.decision))
    }

    /// Whether every line is SKIPPED.
    pub fn is_skipped(&self) -> bool {
        self.lines.iter().all(|line| line.decision.verdict == Verdict::Skipped)
    }

    /// The cases with values in A and none in B.
    pub fn lost(&self) -> Vec<&str> {
        let mut cases: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
        for line in &self.lines {
            let has = cases.entry(&line.case).or_default();
            *has = (has.0 || line.a.is_some(), has.1 || line.b.is_some());
        }
        cases.into_iter().filter(|(_, has)| *has == (true, false)).map(|(case, _)| case).collect()
    }

    /// The cases in which an arm failed, each with the reason: `boot/hello/0: b: no successful trials: …`.
    pub fn failures(&self) -> BTreeSet<String> {
        let failed = self.lines.iter().filter(|line| line.decision.failed);
        failed.map(|line| format!("{}: {}", line.case, line.decision.reason.as_deref().unwrap_or_default())).collect()
    }
}
