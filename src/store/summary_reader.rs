//! Reads only the values of a run's metrics, grouped by case. Comparisons use it for runs with up to a hundred thousand
//! trials.
//!
//! Events, samples and other fields of a trial are skipped. Invariant: it rejects the same runs as [`super::read_run`] with
//! the same errors, except for damage in skipped fields.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::reader::{Location, each_trial, read_run_file};
use super::{ReadError, RunFile};
use crate::model::record::{Case, Counts, Outcome, Role, SCHEMA};
use crate::model::units::{Direction, Unit};

/// The values of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunValues {
    /// The run's folder.
    pub dir: PathBuf,
    /// The run's description.
    pub file: RunFile,
    /// The values of each case in each role, in the order of their first trials.
    pub cases: Vec<CaseValues>,
    /// What was skipped: a torn last line.
    pub warnings: Vec<String>,
}

/// The values of one case in one role.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseValues {
    /// The case.
    pub case: Case,
    /// What the trials are for.
    pub role: Role,
    /// The outcomes of all trials.
    pub counts: Counts,
    /// The reason of the first trial that failed or was skipped.
    pub reason: Option<String>,
    /// The metrics of successful trials, without those whose direction is neutral.
    pub metrics: Vec<MetricValues>,
}

/// The values of one metric of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricValues {
    /// The metric's name.
    pub name: String,
    /// The unit of the values.
    pub unit: Unit,
    /// The direction in which the metric improves.
    pub direction: Direction,
    /// The number of the repetition and the value of each trial, in the order of the file.
    pub values: Vec<(u32, f64)>,
}

/// The fields of a trial that are read.
#[derive(Deserialize)]
struct TrialSummary<'a> {
    schema: u32,
    #[serde(borrow)]
    run: Cow<'a, str>,
    trial: u32,
    role: Role,
    case: Case,
    #[serde(borrow)]
    metrics: Vec<MetricSummary<'a>>,
    #[serde(default)]
    flags: Vec<IgnoredAny>,
    outcome: Outcome,
    reason: Option<String>,
}

/// The fields of a metric that are read.
#[derive(Deserialize)]
struct MetricSummary<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    unit: Unit,
    direction: Direction,
    value: f64,
}

/// Reads the values of the run in the folder `dir`.
///
/// # Errors
/// As [`super::read_run`].
pub fn read_values(dir: &Path) -> Result<RunValues, ReadError> {
    let file = read_run_file(dir)?;
    let mut cases = Cases::default();
    let torn = each_trial(dir, |text, location: Location<'_>| {
        let trial: TrialSummary<'_> = location.parse(text, SCHEMA, |trial: &TrialSummary<'_>| trial.schema)?;
        location.check_run(&trial.run, &file.run)?;
        cases.add(trial);
        Ok(())
    })?;
    Ok(RunValues { dir: dir.to_owned(), file, cases: cases.all, warnings: torn.into_iter().collect() })
}

/// The cases so far, with the index of each.
#[derive(Default)]
struct Cases {
    all: Vec<CaseValues>,
    indices: HashMap<(Case, Role), usize>,
}

impl Cases {
    fn add(&mut self, trial: TrialSummary<'_>) {
        let values = self.entry(trial.case, trial.role);
        values.counts.take(trial.outcome, !trial.flags.is_empty());
        if trial.outcome == Outcome::Ok {
            trial.metrics.iter().for_each(|metric| values.push(trial.trial, metric));
        } else if values.reason.is_none() {
            values.reason = trial.reason;
        }
    }

    /// The values of a case, added if they are new.
    fn entry(&mut self, case: Case, role: Role) -> &mut CaseValues {
        let key = (case, role);
        let index = match self.indices.get(&key) {
            Some(&index) => index,
            None => {
                self.all.push(CaseValues::new(key.0.clone(), role));
                self.indices.insert(key, self.all.len() - 1);
                self.all.len() - 1
            }
        };
        &mut self.all[index]
    }
}

impl CaseValues {
    fn new(case: Case, role: Role) -> Self {
        Self { case, role, counts: Counts::default(), reason: None, metrics: Vec::new() }
    }

    fn push(&mut self, trial: u32, metric: &MetricSummary<'_>) {
        if metric.direction == Direction::Neutral {
            return;
        }
        let is_same = |m: &MetricValues| {
            (m.name.as_str(), m.unit, m.direction) == (metric.name.as_ref(), metric.unit, metric.direction)
        };
        let value = (trial, metric.value);
        match self.metrics.iter_mut().find(|m| is_same(m)) {
            Some(metric) => metric.values.push(value),
            None => self.metrics.push(MetricValues {
                name: metric.name.clone().into_owned(),
                unit: metric.unit,
                direction: metric.direction,
                values: vec![value],
            }),
        }
    }

    /// The metric called `name`.
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
    fn values_are_grouped_by_case_and_failures_are_counted() {
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
    fn neutral_metrics_are_skipped() {
        let mut context = record(0);
        context.metrics[0].direction = Direction::Neutral;
        let run = read_values(stored(&[context]).path()).unwrap();
        assert_eq!((run.cases[0].counts.ok, run.cases[0].metrics.len()), (1, 0));
    }

    #[test]
    fn damaged_runs_are_rejected_with_the_errors_of_read_run() {
        let dir = stored(&[record(0), record(1)]);
        let path = dir.path().join(TRIALS_FILE);
        let text = fs::read_to_string(&path).unwrap();
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            (read_values(dir.path()), super::super::read_run(dir.path()))
        };
        let (values, run) = read(&text[..text.len() - 9]);
        assert_eq!(values.unwrap().warnings, run.unwrap().warnings);
        let damaged = [
            text.replacen("\"schema\":1", "\"schema\":x", 1),
            text.replace("\"schema\":1", "\"schema\":7"),
            text.replace("-3f9a", "-0000"),
            text.replacen("boot", "b\u{0}", 1),
        ];
        for text in damaged {
            let (values, run) = read(&text);
            assert_eq!(values.unwrap_err().to_string(), run.unwrap_err().to_string());
        }
        fs::write(dir.path().join(RUN_FILE), "{}").unwrap();
        assert!(matches!(read_values(dir.path()), Err(ReadError::Damaged { .. })));
    }
}
