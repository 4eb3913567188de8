//! Reading a run for its numbers alone: a case once, one value a trial and metric, no events, no samples.
//!
//! What a comparison reads may have a hundred thousand trials. Invariant: what [`super::read_run`] refuses for its
//! schema, its run or its damage is refused here, as far as the fields that are read go.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::reader::{Place, each_trial, read_run_file};
use super::{ReadError, RunFile};
use crate::model::record::{Case, Counts, Outcome, Role, SCHEMA};
use crate::model::units::{Direction, Unit};

/// A run's description and its numbers by case.
#[derive(Debug, Clone, PartialEq)]
pub struct RunValues {
    /// Its folder.
    pub dir: PathBuf,
    /// Its description.
    pub file: RunFile,
    /// Its cases in the order in which they first occur.
    pub cases: Vec<CaseValues>,
    /// What was passed over in reading: a torn last line.
    pub warnings: Vec<String>,
}

/// The trials of one case in one role.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseValues {
    /// The case.
    pub case: Case,
    /// What the trials are for.
    pub role: Role,
    /// What became of the trials.
    pub counts: Counts,
    /// Why the first of those that failed or were not run did so.
    pub reason: Option<String>,
    /// What the good trials measured; context that neither way is better is left out.
    pub metrics: Vec<MetricValues>,
}

/// One metric of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricValues {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// Which way it improves.
    pub direction: Direction,
    /// A repetition's number and its value, in the order of the file.
    pub values: Vec<(u32, f64)>,
}

/// The fields of a trial that are read.
#[derive(Deserialize)]
struct SlimRecord<'a> {
    schema: u32,
    #[serde(borrow)]
    run: Cow<'a, str>,
    trial: u32,
    role: Role,
    case: Case,
    #[serde(borrow)]
    metrics: Vec<SlimMetric<'a>>,
    #[serde(default)]
    flags: Vec<IgnoredAny>,
    outcome: Outcome,
    reason: Option<String>,
}

#[derive(Deserialize)]
struct SlimMetric<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    unit: Unit,
    direction: Direction,
    value: f64,
}

/// Reads the numbers of the run in the folder `dir`.
///
/// # Errors
/// As [`super::read_run`].
pub fn read_values(dir: &Path) -> Result<RunValues, ReadError> {
    let file = read_run_file(dir)?;
    let mut cases = Cases::default();
    let torn = each_trial(dir, |text, place: Place<'_>| {
        let record: SlimRecord<'_> = place.parse(text, SCHEMA, |record: &SlimRecord<'_>| record.schema)?;
        place.belongs(&record.run, &file.run)?;
        cases.take(record);
        Ok(())
    })?;
    Ok(RunValues { dir: dir.to_owned(), file, cases: cases.all, warnings: torn.into_iter().collect() })
}

/// The cases so far, and where each stands.
#[derive(Default)]
struct Cases {
    all: Vec<CaseValues>,
    places: HashMap<(Case, Role), usize>,
}

impl Cases {
    fn take(&mut self, record: SlimRecord<'_>) {
        let values = self.of(record.case, record.role);
        values.counts.take(record.outcome, !record.flags.is_empty());
        if record.outcome == Outcome::Ok {
            record.metrics.iter().for_each(|metric| values.push(record.trial, metric));
        } else if values.reason.is_none() {
            values.reason = record.reason;
        }
    }

    fn of(&mut self, case: Case, role: Role) -> &mut CaseValues {
        let key = (case, role);
        let place = match self.places.get(&key) {
            Some(&place) => place,
            None => {
                self.all.push(CaseValues::new(key.0.clone(), role));
                self.places.insert(key, self.all.len() - 1);
                self.all.len() - 1
            }
        };
        &mut self.all[place]
    }
}

impl CaseValues {
    fn new(case: Case, role: Role) -> Self {
        Self { case, role, counts: Counts::default(), reason: None, metrics: Vec::new() }
    }

    fn push(&mut self, trial: u32, metric: &SlimMetric<'_>) {
        if metric.direction == Direction::Neutral {
            return;
        }
        let same = |m: &MetricValues| {
            (m.name.as_str(), m.unit, m.direction) == (metric.name.as_ref(), metric.unit, metric.direction)
        };
        let value = (trial, metric.value);
        match self.metrics.iter_mut().find(|m| same(m)) {
            Some(found) => found.values.push(value),
            None => self.metrics.push(MetricValues {
                name: metric.name.clone().into_owned(),
                unit: metric.unit,
                direction: metric.direction,
                values: vec![value],
            }),
        }
    }

    /// The metric of that name.
    pub fn metric(&self, name: &str) -> Option<&MetricValues> {
        self.metrics.iter().find(|metric| metric.name == name)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::testing::{record, run_file};
    use super::super::{RUN_FILE, TRIALS_FILE, Writer};
    use super::*;
    use crate::model::record::TrialRecord;

    fn stored(records: &[TrialRecord]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(dir.path()).unwrap();
        writer.describe(&run_file()).unwrap();
        records.iter().for_each(|record| writer.append(record).unwrap());
        dir
    }

    #[test]
    fn values_stand_by_case_and_what_failed_is_counted() {
        let mut failed = TrialRecord { outcome: Outcome::Failed, reason: Some("no \"main\"".into()), ..record(2) };
        failed.metrics.clear();
        let flagged = TrialRecord { flags: vec!["shared a CPU".into()], ..record(3) };
        let mut other = record(4);
        other.case.background = 10;
        let run = read_values(stored(&[record(0), failed, flagged, other]).path()).unwrap();
        assert_eq!((run.file.clone(), run.cases.len()), (run_file(), 2));
        let case = &run.cases[0];
        assert_eq!((case.counts, case.counts.trials()), (Counts { ok: 2, flagged: 1, failed: 1, skipped: 0 }, 3));
        assert_eq!(case.reason.as_deref(), Some("no \"main\""));
        let values: Vec<f64> = case.metric("boot").unwrap().values.iter().map(|(_, value)| *value).collect();
        assert_eq!(values, [7_190_081.0, 7_190_084.0]);
        assert_eq!(run.cases[1].case.background, 10);
    }

    #[test]
    fn context_and_samples_are_not_kept() {
        let mut context = record(0);
        context.metrics[0].direction = Direction::Neutral;
        let run = read_values(stored(&[context]).path()).unwrap();
        assert_eq!((run.cases[0].counts.ok, run.cases[0].metrics.len()), (1, 0));
    }

    #[test]
    fn damage_is_told_as_in_reading_the_whole() {
        let dir = stored(&[record(0), record(1)]);
        let path = dir.path().join(TRIALS_FILE);
        let text = fs::read_to_string(&path).unwrap();
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            (read_values(dir.path()), super::super::read_run(dir.path()))
        };
        let (summary_reader, whole) = read(&text[..text.len() - 9]);
        assert_eq!(summary_reader.unwrap().warnings, whole.unwrap().warnings);
        let wrong = [
            text.replacen("\"schema\":1", "\"schema\":x", 1),
            text.replace("\"schema\":1", "\"schema\":7"),
            text.replace("-3f9a", "-0000"),
            text.replacen("boot", "b\u{0}", 1),
        ];
        for text in wrong {
            let (summary_reader, whole) = read(&text);
            assert_eq!(summary_reader.unwrap_err().to_string(), whole.unwrap_err().to_string());
        }
        fs::write(dir.path().join(RUN_FILE), "{}").unwrap();
        assert!(matches!(read_values(dir.path()), Err(ReadError::Damaged { .. })));
    }
}
