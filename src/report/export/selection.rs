//! The selection that is exported: the metrics of every case, each case once.
//!
//! Invariant: only successful trials have values; simulated cases are left out or marked in their names; of two cases with
//! the same name, that of the newer run is exported.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::model::configuration::Configuration;
use crate::model::platform::Accelerator;
use crate::model::record::{Case, CaseName, Metric, Outcome, Role, TrialRecord};
use crate::model::run::RunId;
use crate::model::units::{Direction, Unit};
use crate::stats::{Sample, Summary, summarize};
use crate::store::{RunFile, RunOutcome, StoredRun};

/// The treatment of platforms whose times come from a virtual clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Simulated {
    /// They are left out.
    LeftOut,
    /// They are exported with a mark in the case's name.
    Marked,
}

/// Cases to export.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Selection<'a> {
    /// The cases, ordered.
    pub cases: Vec<CaseSeries<'a>>,
    /// The cases of the runs that are not exported.
    pub left_out: Vec<LeftOut>,
}

/// One case with the metrics of its successful trials.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseSeries<'a> {
    /// Its name, as in filters: `boot/youki/hello/0`, `isolation/youki/sqlite/same-core/prime`.
    pub name: String,
    /// Its run.
    pub run: &'a RunFile,
    /// The case.
    pub case: &'a Case,
    /// The role of its trials.
    pub role: Role,
    /// Whether its times come from a virtual clock.
    pub simulated: bool,
    /// The number of trials by outcome.
    pub outcomes: BTreeMap<&'static str, usize>,
    /// Its metrics, in the order of the records.
    pub metrics: Vec<Series<'a>>,
}

/// One metric of one case.
#[derive(Debug, Clone, PartialEq)]
pub struct Series<'a> {
    /// Its name.
    pub name: &'a str,
    /// The unit of its values.
    pub unit: Unit,
    /// The direction of an improvement.
    pub direction: Direction,
    /// One value per successful trial, in the order of the records; never empty.
    pub values: Vec<f64>,
    /// The summary of the values.
    pub summary: Summary,
}

/// Something that is missing in an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// A case, or a metric of one.
    pub what: String,
    /// The reason.
    pub why: String,
}

impl<'a> Selection<'a> {
    /// Everything in `runs`.
    pub fn of(runs: &'a [StoredRun], simulated: Simulated) -> Self {
        let mut newest_first: Vec<&StoredRun> = runs.iter().collect();
        newest_first.sort_by(|a, b| b.file.run.cmp(&a.file.run));
        let (mut selection, mut names) = (Self::default(), BTreeMap::new());
        for case in newest_first.into_iter().flat_map(cases) {
            match refusal(&case, simulated, &mut names) {
                Some(why) => selection.left_out.push(LeftOut { what: case.name, why }),
                None => selection.cases.push(case),
            }
        }
        selection.cases.sort_by(|a, b| (a.case, a.role, &a.name).cmp(&(b.case, b.role, &b.name)));
        selection
    }

    /// Keeps the metrics with these names. Returns the names that no case has.
    pub fn keep_metrics(&mut self, names: &[String]) -> Vec<String> {
        let is_known = |name: &&String| self.cases.iter().flat_map(|c| &c.metrics).any(|m| m.name == **name);
        let unknown = names.iter().filter(|name| !is_known(name)).cloned().collect();
        for case in &mut self.cases {
            case.metrics.retain(|m| names.iter().any(|name| name == m.name));
        }
        unknown
    }

    /// The runs of its cases, oldest first.
    pub fn runs(&self) -> Vec<&'a RunFile> {
        let mut runs: Vec<&RunFile> = self.cases.iter().map(|case| case.run).collect();
        runs.sort_by(|a, b| a.run.cmp(&b.run));
        runs.dedup_by(|a, b| a.run == b.run);
        runs
    }

    /// Warnings about the runs.
    pub fn cautions(&self) -> Vec<String> {
        self.runs().into_iter().flat_map(cautions).collect()
    }

    /// Splits the metrics into those that `refuse` accepts and the refused ones with their reasons.
    pub(super) fn sift(
        &self,
        refuse: impl Fn(&CaseSeries<'_>, &Series<'_>) -> Option<String>,
    ) -> (Vec<(&CaseSeries<'a>, &Series<'a>)>, Vec<LeftOut>) {
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for (case, metric) in self.cases.iter().flat_map(|case| case.metrics.iter().map(move |m| (case, m))) {
            match refuse(case, metric) {
                Some(why) => left_out.push(LeftOut { what: format!("{} {}", case.name, metric.name), why }),
                None => kept.push((case, metric)),
            }
        }
        (kept, left_out)
    }
}

/// The reason why a case is not exported. Without one, the case claims its name.
fn refusal<'a>(case: &CaseSeries<'a>, simulated: Simulated, names: &mut BTreeMap<String, &'a RunId>) -> Option<String> {
    if case.simulated && simulated == Simulated::LeftOut {
        return Some("simulated, not measured; `--simulated` exports it with a mark".into());
    }
    match names.entry(case.name.clone()) {
        Entry::Occupied(other) => Some(format!("run {} has a case with the same name", other.get())),
        Entry::Vacant(entry) => {
            entry.insert(&case.run.run);
            case.metrics.is_empty().then(|| "no successful trials".into())
        }
    }
}

fn cautions(run: &RunFile) -> Vec<String> {
    let noise = run.noise.iter().flat_map(|noise| &noise.invalid);
    let invalid = noise.map(|why| format!("run {} is INVALID: {why}", run.run));
    let partial = (run.outcome != RunOutcome::Complete).then(|| format!("run {} is {}", run.run, run.outcome));
    invalid.chain(partial).collect()
}

fn cases(run: &StoredRun) -> impl Iterator<Item = CaseSeries<'_>> {
    let mut groups = BTreeMap::<(&Case, Role), Vec<&TrialRecord>>::new();
    run.trials.iter().for_each(|trial| groups.entry((&trial.case, trial.role)).or_default().push(trial));
    groups.into_iter().map(|((case, role), trials)| case_series(&run.file, case, role, &trials))
}

fn case_series<'a>(run: &'a RunFile, case: &'a Case, role: Role, trials: &[&'a TrialRecord]) -> CaseSeries<'a> {
    let simulated = run.platforms.iter().any(|p| p.id == case.platform && p.capabilities.simulated);
    let mut outcomes = BTreeMap::new();
    trials.iter().for_each(|trial| *outcomes.entry(trial.outcome.name()).or_default() += 1);
    let name = name(case, role, &run.configuration, simulated);
    CaseSeries { name, run, case, role, simulated, outcomes, metrics: metrics(trials) }
}

/// The name of the case in filters, and after it what filters do not distinguish.
fn name(case: &Case, role: Role, configuration: &Configuration, simulated: bool) -> String {
    let name = CaseName { minimum: configuration.is_minimum(), ..CaseName::of(case, role) };
    let accelerator = match case.accelerator {
        Accelerator::None => String::new(),
        accelerator => format!(" ({accelerator})"),
    };
    let simulated = if simulated { " (simulated)" } else { "" };
    format!("{name}{accelerator}{simulated}")
}

fn metrics<'a>(trials: &[&'a TrialRecord]) -> Vec<Series<'a>> {
    let mut all: Vec<(&Metric, Vec<f64>)> = Vec::new();
    for metric in trials.iter().filter(|trial| trial.outcome == Outcome::Ok).flat_map(|trial| &trial.metrics) {
        match all.iter_mut().find(|(first, _)| (&first.name, first.unit) == (&metric.name, metric.unit)) {
            Some((_, values)) => values.push(metric.value),
            None => all.push((metric, vec![metric.value])),
        }
    }
    all.into_iter().filter_map(|(metric, values)| series(metric, values)).collect()
}

fn series(Metric { name, unit, direction, .. }: &Metric, values: Vec<f64>) -> Option<Series<'_>> {
    let summary = summarize(&Sample::new(values.clone()).ok()?);
    Some(Series { name, unit: *unit, direction: *direction, values, summary })
}

impl Series<'_> {
    /// Its name with its unit, as in the columns of the CSV: `boot_ns`, `throughput_per_second`.
    pub fn name_with_unit(&self) -> String {
        super::csv::with_unit(self.name, self.unit)
    }

    /// The reason against a format for improvements, if neither direction is one.
    pub(super) fn context_refusal(&self) -> Option<String> {
        (self.direction == Direction::Neutral).then(|| "context: neither direction is better".into())
    }

    /// The reason against a format for times, if it is not one.
    pub(super) fn unit_refusal(&self) -> Option<String> {
        (self.unit != Unit::Nanos).then(|| "not a time: the format holds only times".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::record::Experiment;
    use crate::store::testing::{record, run_file};

    fn stored(trials: Vec<TrialRecord>) -> StoredRun {
        StoredRun { dir: "x".into(), file: run_file(), trials, warnings: Vec::new() }
    }

    #[test]
    fn a_failed_trial_is_counted_and_has_no_value() {
        let failed = TrialRecord { outcome: Outcome::Failed, ..record(9) };
        let runs = [stored(vec![record(0), failed, record(2)])];
        let case = &Selection::of(&runs, Simulated::LeftOut).cases[0];
        assert_eq!(case.name, "boot/fake/hello/0");
        assert_eq!(case.metrics[0].values, [7_190_081.0, 7_190_083.0]);
        assert_eq!(case.outcomes, BTreeMap::from([("failed", 1), ("ok", 2)]));
    }

    #[test]
    fn a_case_without_a_successful_trial_is_reported() {
        let runs = [stored(vec![TrialRecord { outcome: Outcome::Skipped, ..record(0) }])];
        let selection = Selection::of(&runs, Simulated::LeftOut);
        assert_eq!(
            selection.left_out,
            [LeftOut { what: "boot/fake/hello/0".into(), why: "no successful trials".into() }]
        );
    }

    #[test]
    fn the_newer_of_two_cases_with_the_same_name_is_exported() {
        let mut newer = stored(vec![TrialRecord { trial: 1, ..record(5) }]);
        newer.file.run = "20261122-000000-0001".parse().expect("an id");
        let runs = [stored(vec![record(0)]), newer];
        let selection = Selection::of(&runs, Simulated::LeftOut);
        assert_eq!(selection.cases[0].metrics[0].values, [7_190_086.0]);
        assert_eq!(selection.left_out[0].why, "run 20261122-000000-0001 has a case with the same name");
    }

    #[test]
    fn names_distinguish_what_must_not_be_mixed() {
        let case = Case { accelerator: Accelerator::Tcg, ..record(0).case };
        let configuration = run_file().configuration;
        assert_eq!(name(&case, Role::Measured, &configuration, true), "boot/fake/hello/0 (tcg) (simulated)");
        let isolation = Case { experiment: Experiment::Isolation, ..record(0).case };
        assert_eq!(name(&isolation, Role::Placebo, &configuration, false), "isolation/fake/hello/unpinned/placebo");
        let footprint = Case { experiment: Experiment::Footprint, ..record(0).case };
        let minimum = configuration.changed(|c| (c.experiment, c.minimum) = (Experiment::Footprint, true));
        assert_eq!(name(&footprint, Role::Measured, &minimum, false), "footprint/fake/hello/minimum");
    }
}
