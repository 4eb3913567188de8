//! One line of a history: one metric of one case in one session.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::HostKey;
use crate::compare::rule::Verdict;
use crate::model::names::named_enum;
use crate::model::platform::Accelerator;
use crate::model::record::Experiment;
use crate::model::run::RunId;
use crate::model::units::{Direction, Unit};
use crate::stats::Estimate;

/// The schema of lines written by this version. Newer schemas are rejected.
pub const SCHEMA: u32 = 1;

named_enum! {
    /// The kind of a session.
    pub enum SessionKind ("session kind") {
        /// Two arms measured in turn. The ratio is B to A at the same time, so the host's drift cancels.
        Ab = "ab",
        /// A single run, compared with an earlier one. This is weaker, since the host's state is in the ratio.
        Run = "run",
    }
}

/// What a ratio refers to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Anchor {
    /// The identity: for an ab session a digest of arm A's name and facts, for a run the anchor's run id.
    pub id: String,
    /// The name for readers.
    pub name: String,
}

/// One metric of one case in one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The session.
    pub session: RunId,
    /// The kind of the session.
    pub kind: SessionKind,
    /// When it began, RFC 3339 in UTC.
    pub time: String,
    /// The machine.
    pub host: HostKey,
    /// The machine in words.
    pub machine: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// A digest of all facts of the machine that a comparison depends on, including its settings; empty in lines of older
    /// versions.
    #[serde(default)]
    pub facts: String,
    /// The version of Featherweight that measured.
    pub version: String,
    /// The git revision of the measured guests, or else of the project.
    pub revision: Option<String>,
    /// The platform, or arm B as the user wrote it.
    pub platform: String,
    /// The versions of its programs, by name.
    pub versions: BTreeMap<String, String>,
    /// The accelerator; `None` if unknown.
    pub accelerator: Option<Accelerator>,
    /// SHA-256 of the measured guest; `None` if unknown.
    pub image: Option<String>,
    /// The experiment.
    pub experiment: Experiment,
    /// The case without its platform: `boot/hello/0`.
    pub case: String,
    /// The parameters that differ from the defaults, by the names of the options: `rows`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The metric.
    pub metric: String,
    /// The unit.
    pub unit: Unit,
    /// The direction of an improvement.
    pub direction: Direction,
    /// The number of successful trials.
    pub trials: usize,
    /// The median of the trials, in the unit.
    pub median: f64,
    /// How much worse than the anchor: 1.05 is 5 % worse, whichever direction is an improvement. `None` if unknown.
    pub ratio: Option<Estimate>,
    /// The anchor of the ratio.
    pub anchor: Anchor,
    /// The session's verdict. A run has one only if its host was too noisy.
    pub verdict: Option<Verdict>,
    /// Whether its times come from a virtual clock.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// The values of the trials, if this is the anchor of other runs: its folder may be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
}

/// The identity of an entry, which is unique in a history.
pub(super) type Identity<'a> = (&'a HostKey, &'a RunId, Experiment, &'a str, &'a str, &'a str);

impl Entry {
    /// The entry's identity.
    pub(super) fn identity(&self) -> Identity<'_> {
        (&self.host, &self.session, self.experiment, &self.platform, &self.case, &self.metric)
    }

    /// Whether it is the anchor of others.
    pub fn is_anchor(&self) -> bool {
        !self.values.is_empty()
    }

    /// The ratio; `None` for an invalid or skipped session.
    pub fn sound_ratio(&self) -> Option<f64> {
        let sound = !matches!(self.verdict, Some(Verdict::Invalid | Verdict::Skipped));
        self.ratio.as_ref().filter(|_| sound).map(|ratio| ratio.value)
    }

    /// Whether the two machines have known differences that affect a comparison.
    pub(super) fn facts_differ(&self, other: &Entry) -> bool {
        !self.facts.is_empty() && !other.facts.is_empty() && self.facts != other.facts
    }

    /// The parameters that differ from the defaults: ` (rows 5000)`.
    pub(super) fn parameters_in_words(&self) -> String {
        let all: Vec<String> = self.parameters.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
    }

    /// The day on which it began: `2026-11-21`.
    pub fn day(&self) -> &str {
        self.time.get(..10).unwrap_or(&self.time)
    }

    /// The short revision, or `unknown`.
    pub fn commit(&self) -> &str {
        self.revision.as_deref().map_or("unknown", short)
    }

    /// The first invalid number, if there is one.
    pub(super) fn fault(&self) -> Option<String> {
        let numbers = self.ratio.iter().flat_map(|ratio| {
            let ends = ratio.interval.map(|interval| [interval.low, interval.high]);
            ends.into_iter().flatten().chain([ratio.value])
        });
        let bad = numbers.chain(self.values.iter().copied()).find(|value| !(value.is_finite() && *value > 0.0));
        match (bad, self.median.is_finite()) {
            (Some(value), _) => Some(format!("invalid number {value}; expected one above zero")),
            (None, false) => Some(format!("invalid median {}", self.median)),
            (None, true) => None,
        }
    }
}

/// The first twelve digits of a digest or revision.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
