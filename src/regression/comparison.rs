//! Two sides held against each other, metric by metric: what is printed, stored and turned into an exit code.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Ruling, Verdict};
use crate::stats::Summary;
use crate::units::{Direction, Nanos, Unit};

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
    pub ruling: Ruling,
}

impl Comparison {
    /// Whether one metric of one case has regressed: exit code 1.
    pub fn has_regressed(&self) -> bool {
        self.lines.iter().any(|line| line.ruling.verdict == Verdict::Regressed)
    }

    /// Whether anything was measured: exit code 3 without.
    pub fn says_nothing(&self) -> bool {
        self.lines.iter().all(|line| line.ruling.verdict == Verdict::Skipped)
    }
}
