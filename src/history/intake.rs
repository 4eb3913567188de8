//! From a session to the lines that a history keeps of it.
//!
//! Pure. The ratio of an ab session is the session's own; that of a run is made here, against the first run of its kind.

use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::entry::short;
use super::host::{hexadecimal, in_words};
use super::{Anchor, Entry, HostKey, Kind, SCHEMA};
use crate::host::facts::HostFacts;
use crate::platform::Accelerator;
use crate::regression::{Comparison, Line, Side, Verdict};
use crate::run::RunId;
use crate::stats::{Estimate, Interval, Level, Sample, median, shift};
use crate::store::{Case, Experiment, Metric, Outcome, Role, RunOutcome, StoredRun, TrialRecord};
use crate::units::Direction;

/// Why a session is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{session} is not taken: {reason}")]
pub struct Refused {
    /// Which one.
    pub session: RunId,
    /// Why, and the cure.
    pub reason: String,
}

/// An ab session as a history needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct AbSession {
    /// Its id.
    pub session: RunId,
    /// When it began, RFC 3339 in UTC.
    pub time: String,
    /// The version of Featherweight that measured.
    pub version: String,
    /// The host.
    pub host: HostFacts,
    /// What was measured.
    pub experiment: Experiment,
    /// What came out.
    pub comparison: Comparison,
    /// What ran in arm B.
    pub subject: Subject,
}

/// What is known of arm B beyond its name and facts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// What made its guests execute.
    pub accelerator: Option<Accelerator>,
    /// SHA-256 of its guests by program.
    pub images: BTreeMap<String, String>,
    /// Its times are a virtual clock's.
    pub simulated: bool,
}

impl AbSession {
    /// The machine, and one line a metric that has a better and a worse.
    ///
    /// # Errors
    /// When the host is not known, or the arms cannot be held against each other.
    pub fn entries(&self) -> Result<(HostKey, Vec<Entry>), Refused> {
        let refused = |reason: String| Refused { session: self.session.clone(), reason };
        let host = HostKey::of(&self.host).ok_or_else(|| refused(UNKNOWN_HOST.to_owned()))?;
        if let Some(why) = self.comparison.not_comparable.first() {
            return Err(refused(format!("its arms are not comparable, because {why}")));
        }
        let anchor = Anchor {
            id: digest(&self.comparison.a, self.host.kernel.as_deref()),
            name: self.comparison.a.name.clone(),
        };
        let lines = self.comparison.lines.iter().filter(|line| line.direction != Direction::Neutral);
        Ok((host.clone(), lines.filter_map(|line| self.entry(line, &host, &anchor)).collect()))
    }

    fn entry(&self, line: &Line, host: &HostKey, anchor: &Anchor) -> Option<Entry> {
        let b = line.b.as_ref().filter(|b| b.median.is_finite())?;
        let (side, facts) = (&self.comparison.b, &self.host);
        let of_guest = line.case.split('/').find_map(|word| self.subject.images.get(word));
        Some(Entry {
            schema: SCHEMA,
            session: self.session.clone(),
            kind: Kind::Ab,
            time: self.time.clone(),
            host: host.clone(),
            machine: in_words(facts),
            kernel: facts.kernel.clone(),
            version: self.version.clone(),
            revision: side.facts.get("revision").or(facts.revision.as_ref()).cloned(),
            platform: without_programs(&side.name),
            versions: side.facts.iter().filter(|(name, _)| !is_elsewhere(name)).map(owned).collect(),
            accelerator: self.subject.accelerator,
            image: of_guest.cloned(),
            experiment: self.experiment,
            case: line.case.clone(),
            metric: line.metric.clone(),
            unit: line.unit,
            direction: line.direction,
            trials: b.count,
            median: b.median,
            ratio: line.ruling.shift.and_then(ratio),
            anchor: anchor.clone(),
            verdict: Some(line.ruling.verdict),
            simulated: self.subject.simulated,
            values: Vec::new(),
        })
    }
}

/// Whether an entry has a field for that fact of a side.
fn is_elsewhere(name: &str) -> bool {
    let guest = name.starts_with("image ") || name.starts_with("made ");
    guest || ["kernel", "revision", "Featherweight", "accelerator"].contains(&name)
}

/// An arm's name without the paths of its programs, which are among its versions: the next one goes on with its track.
fn without_programs(name: &str) -> String {
    let is_program = |piece: &&str| PROGRAMS.iter().any(|key| piece.split_once('=').is_some_and(|(k, _)| k == *key));
    match name.contains(",,") {
        // A comma that is meant: it is not worth taking apart.
        true => name.to_owned(),
        false => name.split(',').filter(|piece| !is_program(piece)).collect::<Vec<_>>().join(","),
    }
}

/// The settings of an arm that name a program by its path.
pub(super) const PROGRAMS: [&str; 2] = ["runtime", "qemu"];

const UNKNOWN_HOST: &str = "its host's facts were not recorded, so that it is comparable with nothing";

fn owned((name, value): (&String, &String)) -> (String, String) {
    (name.clone(), value.clone())
}

/// Tells one arm A from another. The kernel is both arms', and so is the harness: guests of another revision are in the name.
fn digest(side: &Side, kernel: Option<&str>) -> String {
    let of_kernel = |value: &str| kernel.is_some_and(|kernel| value.contains(kernel));
    let is_shared = |name: &str| ["kernel", "revision", "Featherweight"].contains(&name);
    let facts = side.facts.iter().filter(|(name, value)| !is_shared(name) && !of_kernel(value));
    let text: String = facts.map(|(name, value)| format!("{name}={value}\n")).collect();
    hexadecimal(&Sha256::digest(format!("{}\n{text}", side.name))[..6])
}

/// A shift on the scale of logarithms as a ratio; `None` where that overflows.
fn ratio(shift: Estimate) -> Option<Estimate> {
    let good = |value: &f64| value.is_finite() && *value > 0.0;
    let of = |i: Interval| Interval { low: i.low.exp(), high: i.high.exp(), level: i.level };
    let interval = shift.interval.map(of).filter(|i| good(&i.low) && good(&i.high));
    Some(Estimate { value: Some(shift.value.exp()).filter(good)?, interval })
}

/// One line for each metric of each case of `run`, held against the first run among `earlier`, which are that machine's;
/// where there is none, the run becomes it.
pub(super) fn of_run(run: &StoredRun, host: &HostKey, earlier: &[Entry]) -> Vec<Entry> {
    let facts = facts(&run.file.host);
    let mut trials: BTreeMap<(&Case, Role), Vec<&TrialRecord>> = BTreeMap::new();
    for trial in run.trials.iter().filter(|trial| trial.outcome == Outcome::Ok) {
        trials.entry((&trial.case, trial.role)).or_default().push(trial);
    }
    let mut entries = Vec::new();
    for ((case, role), trials) in trials {
        // Trials of one case have the same metrics; the first one names them.
        for metric in trials[0].metrics.iter().filter(|metric| metric.direction != Direction::Neutral) {
            let values = trials.iter().filter_map(|trial| trial.metric(&metric.name)).collect();
            entries.extend(Measured { run, host, facts: &facts, case, role, metric }.entry(values, earlier));
        }
    }
    entries
}

/// The machine that `run` was made on, where a history can take it.
///
/// # Errors
/// When the run is not complete, or its host is not known.
pub(super) fn host_of(run: &StoredRun) -> Result<HostKey, Refused> {
    let refused = |reason: String| Refused { session: run.file.run.clone(), reason };
    if run.file.outcome != RunOutcome::Complete {
        return Err(refused(format!(
            "the run is {}; continue it with --resume {} first",
            run.file.outcome, run.file.run
        )));
    }
    HostKey::of(&facts(&run.file.host)).ok_or_else(|| refused(UNKNOWN_HOST.to_owned()))
}

/// A host's facts as runs and sessions store them; one that is not understood is an unknown one.
pub(super) fn facts(host: &BTreeMap<String, Value>) -> HostFacts {
    let read = |object| serde_json::from_value::<HostFacts>(Value::Object(object));
    let fact = |(name, value): (&String, &Value)| (name.clone(), value.clone());
    let understood = host.iter().map(fact).filter(|fact| read([fact.clone()].into_iter().collect()).is_ok());
    read(understood.collect()).unwrap_or_default()
}

/// One metric of one case of a run.
struct Measured<'a> {
    run: &'a StoredRun,
    host: &'a HostKey,
    facts: &'a HostFacts,
    case: &'a Case,
    role: Role,
    metric: &'a Metric,
}

impl Measured<'_> {
    /// `None` where there is nothing to hold against anything: no value, one that has no logarithm, or the first run of its kind
    /// being too noisy to be an anchor.
    fn entry(&self, values: Vec<f64>, earlier: &[Entry]) -> Option<Entry> {
        let sample = Sample::new(values.clone()).ok().filter(|sample| sample.min() > 0.0)?;
        let entry = self.bare(&sample);
        let noisy = self.run.file.noise.as_ref().is_some_and(|noise| !noise.invalid.is_empty());
        let verdict = noisy.then_some(Verdict::Invalid);
        let first = earlier.iter().filter(|other| other.is_anchor() && other.asks_the_same(&entry));
        match first.min_by(|a, b| a.session.cmp(&b.session)) {
            Some(anchor) => {
                let ratio = against(&Sample::new(anchor.values.clone()).ok()?, &sample, entry.direction);
                Some(Entry { ratio, anchor: anchor.anchor.clone(), verdict, ..entry })
            }
            None if noisy => None,
            None => Some(Entry { ratio: Some(Estimate { value: 1.0, interval: None }), values, ..entry }),
        }
    }

    fn bare(&self, sample: &Sample) -> Entry {
        let Measured { run, case, facts, metric, .. } = self;
        let platform = run.file.platforms.iter().find(|platform| platform.id == case.platform);
        let session = run.file.run.clone();
        Entry {
            schema: SCHEMA,
            kind: Kind::Run,
            time: run.file.started.clone(),
            host: self.host.clone(),
            machine: in_words(facts),
            kernel: facts.kernel.clone(),
            version: run.file.version.clone(),
            revision: facts.revision.clone(),
            platform: case.platform.to_string(),
            versions: platform.map(|p| (p.id.to_string(), p.facts.version.clone())).into_iter().collect(),
            accelerator: Some(case.accelerator),
            image: Some(case.image.clone()),
            experiment: case.experiment,
            case: case_name(case, self.role),
            metric: metric.name.clone(),
            unit: metric.unit,
            direction: metric.direction,
            trials: sample.count(),
            median: median(sample),
            ratio: None,
            anchor: Anchor { id: session.to_string(), name: format!("the run {session}") },
            verdict: None,
            simulated: platform.is_some_and(|p| p.capabilities.simulated),
            values: Vec::new(),
            session,
        }
    }
}

impl Entry {
    /// Whether a run's line may be held against this one.
    fn asks_the_same(&self, other: &Entry) -> bool {
        let what = |e: &Entry| (e.kind, e.experiment, e.unit, e.direction, e.accelerator);
        let names = |e: &Entry| [e.platform.clone(), e.case.clone(), e.metric.clone()];
        what(self) == what(other)
            && self.kernel == other.kernel
            && self.host == other.host
            && names(self) == names(other)
    }
}

/// How much worse `now` is than the anchor: Hodges-Lehmann on logarithms.
fn against(anchor: &Sample, now: &Sample, direction: Direction) -> Option<Estimate> {
    let logs = |sample: &Sample| Sample::new(sample.sorted().iter().map(|value| value.ln()).collect()).ok();
    let (anchor, now) = (logs(anchor)?, logs(now)?);
    ratio(match direction {
        Direction::Higher => shift(&now, &anchor, Level::P98),
        Direction::Lower | Direction::Neutral => shift(&anchor, &now, Level::P98),
    })
}

/// A case without its platform: `boot/hello/0`, `isolation/sqlite/same-thread/prime`.
fn case_name(case: &Case, role: Role) -> String {
    let rest = match case.experiment {
        Experiment::Isolation => {
            let neighbour = case.attacker.map_or(role.name(), |attacker| attacker.name());
            format!("{}/{neighbour}", case.placement)
        }
        Experiment::Scalability if case.victims > 1 => format!("{}-victims", case.victims),
        _ => case.background.to_string(),
    };
    format!("{}/{}/{rest}", case.experiment, case.workload)
}

/// The digest in short, for readers.
pub(super) fn digest_in_short(digest: Option<&String>) -> String {
    digest.map_or_else(|| "unknown".to_owned(), |digest| short(digest).to_owned())
}

#[cfg(test)]
mod tests;
