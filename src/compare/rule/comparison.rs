//! Two sides held against each other, metric by metric: what is printed, stored and turned into an exit code.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Decision, Verdict};
use crate::model::exit::Exit;
use crate::model::units::{Direction, Nanos, Unit};
use crate::stats::Summary;

/// The outcome of `cargo xtask ab` or `cargo xtask compare`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// What B is compared with.
    pub a: Side,
    /// What is asked about.
    pub b: Side,
    /// What a reader must know before any line: how strong the claim is, what was measured when.
    pub notes: Vec<String>,
    /// Why the sides cannot be held against each other at all; then there are no lines.
    pub not_comparable: Vec<String>,
    /// One line a metric of a case, in the order of the cases.
    pub lines: Vec<Line>,
    /// How long the measuring took; `None` for stored runs.
    pub took: Option<Nanos>,
}

/// One side of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Side {
    /// What the user called it: `docker:runc`, a run's id, a baseline's name.
    pub name: String,
    /// What tells it from the other, by name: version, revision, digest, kernel.
    pub facts: BTreeMap<String, String>,
}

/// One metric of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The case without what the sides differ in: `boot/hello/0`.
    pub case: String,
    /// The metric.
    pub metric: String,
    /// The unit of the summaries.
    pub unit: Unit,
    /// Which way it improves.
    pub direction: Direction,
    /// A's trials; `None` without a good one.
    pub a: Option<Summary>,
    /// B's trials.
    pub b: Option<Summary>,
    /// What is said of them.
    #[serde(rename = "ruling")]
    pub decision: Decision,
}

impl Comparison {
    /// The exit code of a comparison of stored runs. A case that A has and B lost is a failure: nobody knows whether it
    /// is slower.
    pub fn exit(&self) -> Exit {
        match self {
            c if !c.not_comparable.is_empty() => Exit::BadInput,
            c if c.has_regressed() => Exit::Regression,
            c if !c.lost().is_empty() => Exit::Failure,
            c if c.says_nothing() => Exit::NothingRan,
            _ => Exit::Fine,
        }
    }

    /// Whether one metric of one case has regressed: exit code 1.
    pub fn has_regressed(&self) -> bool {
        self.lines.iter().any(|line| line.decision.verdict == Verdict::Regressed)
    }

    /// Whether not one line has a shift that can be used: each is INVALID, SKIPPED or without numbers.
    pub fn says_nothing(&self) -> bool {
        let is_of_use = |decision: &Decision| {
            decision.shift.is_some() && !matches!(decision.verdict, Verdict::Invalid | Verdict::Skipped)
        };
        !self.lines.iter().any(|line| is_of_use(&line.decision))
    }

    /// Whether nothing could be measured at all.
    pub fn is_skipped(&self) -> bool {
        self.lines.iter().all(|line| line.decision.verdict == Verdict::Skipped)
    }

    /// The cases of which A has a number and B has none.
    pub fn lost(&self) -> Vec<&str> {
        let mut cases: BTreeMap<&str, (bool, bool)> = BTreeMap::new();
        for line in &self.lines {
            let has = cases.entry(&line.case).or_default();
            *has = (has.0 || line.a.is_some(), has.1 || line.b.is_some());
        }
        cases.into_iter().filter(|(_, has)| *has == (true, false)).map(|(case, _)| case).collect()
    }

    /// The cases in which an arm failed, each with the reason: `boot/hello/0: b: not one good trial: ...`.
    pub fn failures(&self) -> BTreeSet<String> {
        let failed = self.lines.iter().filter(|line| line.decision.failed);
        failed.map(|line| format!("{}: {}", line.case, line.decision.reason.as_deref().unwrap_or_default())).collect()
    }
}
