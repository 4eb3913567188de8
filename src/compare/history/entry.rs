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

/// The schema of lines written by this version. A newer one is refused by name.
pub const SCHEMA: u32 = 1;

named_enum! {
    /// What a session was.
    pub enum SessionKind ("session kind") {
        /// Two arms measured in turn: the ratio is B to A of the same minutes, so that the host's drift cancels.
        Ab = "ab",
        /// A run of its own, held against an earlier one: weaker, since the host's state is in the ratio.
        Run = "run",
    }
}

/// What a ratio is against.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Anchor {
    /// Tells it from others: of an ab session arm A's name and facts as a digest, of a run the anchor's run.
    pub id: String,
    /// What a reader calls it.
    pub name: String,
}

/// One metric of one case in one session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The session.
    pub session: RunId,
    /// What it was.
    pub kind: SessionKind,
    /// When it began, RFC 3339 in UTC.
    pub time: String,
    /// The machine.
    pub host: HostKey,
    /// The machine in words.
    pub machine: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// A digest of all facts of the machine that a comparison depends on, its settings among them; empty in lines of
    /// versions that had none.
    #[serde(default)]
    pub facts: String,
    /// The version of Featherweight that measured.
    pub version: String,
    /// The project's git revision, or that of the measured guests where it is another.
    pub revision: Option<String>,
    /// What is asked about: the platform, or arm B as it was given.
    pub platform: String,
    /// The versions of what does the work there, by name.
    pub versions: BTreeMap<String, String>,
    /// What made the guest execute; `None` where it is not known.
    pub accelerator: Option<Accelerator>,
    /// SHA-256 of the measured guest; `None` where it is not known.
    pub image: Option<String>,
    /// What was measured.
    pub experiment: Experiment,
    /// The case without its platform: `boot/hello/0`.
    pub case: String,
    /// How it was measured where that is not the usual way, by the names of the options: `rows`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, String>,
    /// The metric.
    pub metric: String,
    /// Its unit.
    pub unit: Unit,
    /// Which way it improves.
    pub direction: Direction,
    /// How many good trials.
    pub trials: usize,
    /// Their median, in the unit.
    pub median: f64,
    /// How much worse than the anchor: 1.05 is 5 % worse, whichever way the metric improves. `None` where it cannot be told.
    pub ratio: Option<Estimate>,
    /// What that is against.
    pub anchor: Anchor,
    /// What the session itself said; a run says nothing, unless that its host was too noisy.
    pub verdict: Option<Verdict>,
    /// Its times are a virtual clock's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub simulated: bool,
    /// The trials themselves, of a run that others are held against: its folder may be gone by then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
}

/// What there is once in a history.
pub(super) type Identity<'a> = (&'a HostKey, &'a RunId, Experiment, &'a str, &'a str, &'a str);

impl Entry {
    /// What tells it from every other one.
    pub(super) fn identity(&self) -> Identity<'_> {
        (&self.host, &self.session, self.experiment, &self.platform, &self.case, &self.metric)
    }

    /// Whether others are held against it.
    pub fn is_anchor(&self) -> bool {
        !self.values.is_empty()
    }

    /// The ratio, where it may be used: a session that contradicts itself has none.
    pub fn sound_ratio(&self) -> Option<f64> {
        let sound = !matches!(self.verdict, Some(Verdict::Invalid | Verdict::Skipped));
        self.ratio.as_ref().filter(|_| sound).map(|ratio| ratio.value)
    }

    /// Whether the two machines are known to differ in something that a comparison depends on.
    pub(super) fn facts_differ(&self, other: &Entry) -> bool {
        !self.facts.is_empty() && !other.facts.is_empty() && self.facts != other.facts
    }

    /// How it was measured where that is not the usual way: ` (rows 5000)`.
    pub(super) fn asked(&self) -> String {
        let all: Vec<String> = self.parameters.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
    }

    /// The day it began, as a reader wants it.
    pub fn day(&self) -> &str {
        self.time.get(..10).unwrap_or(&self.time)
    }

    /// The revision in short, or that it is not known.
    pub fn commit(&self) -> &str {
        self.revision.as_deref().map_or("unknown", short)
    }

    /// What is wrong with its numbers, if anything.
    pub(super) fn fault(&self) -> Option<String> {
        let numbers = self.ratio.iter().flat_map(|ratio| {
            let ends = ratio.interval.map(|interval| [interval.low, interval.high]);
            ends.into_iter().flatten().chain([ratio.value])
        });
        let bad = numbers.chain(self.values.iter().copied()).find(|value| !(value.is_finite() && *value > 0.0));
        match (bad, self.median.is_finite()) {
            (Some(value), _) => Some(format!("{value} is no ratio and no measured value")),
            (None, false) => Some(format!("{} is no median", self.median)),
            (None, true) => None,
        }
    }
}

/// The first twelve digits of a digest or revision.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
