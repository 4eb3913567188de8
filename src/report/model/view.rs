//! A view: one run's results of one workload on one accelerator. Every view has a section.

use std::collections::BTreeSet;

use crate::model::platform::{Accelerator, PlatformId};
use crate::model::record::{Case, Experiment, Role, TrialRecord};
use crate::store::StoredRun;

use super::tally::{CaseResult, tally};
use super::victim::name;

/// A run's results of one workload on one accelerator.
#[derive(Debug)]
pub struct View<'a> {
    /// The run.
    pub run: &'a StoredRun,
    /// The accelerator of its guests.
    pub accelerator: Accelerator,
    /// The measured guest program, by its name in cases; empty if the run has no trial.
    pub workload: String,
    /// Its cases.
    pub cases: Vec<CaseResult>,
    /// What distinguishes it from the run's other views in links and files; empty if there are no others.
    pub mark: String,
    /// Whether its heading names the workload.
    pub heading: Heading,
    /// The number of runs of the same experiment before it in the report.
    pub earlier: usize,
}

/// What a section's heading names in addition to the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    /// Nothing: the run has only the experiment's usual guest.
    Experiment,
    /// The workload's name.
    Workload,
}

impl<'a> View<'a> {
    /// The views of a run: one for every workload and accelerator, at least one.
    pub fn split(run: &'a StoredRun) -> Vec<View<'a>> {
        let mut kinds: BTreeSet<(String, Accelerator)> = run.trials.iter().map(|t| kind(&t.case)).collect();
        if kinds.is_empty() {
            kinds.insert((String::new(), Accelerator::None));
        }
        let cases = tally(run);
        let view = |(workload, accelerator): &(String, Accelerator)| View {
            run,
            accelerator: *accelerator,
            workload: workload.clone(),
            cases: cases.iter().filter(|c| kind(&c.case) == (workload.clone(), *accelerator)).cloned().collect(),
            mark: mark(&kinds, workload, *accelerator),
            heading: heading(run.file.experiment(), &kinds, workload),
            earlier: 0,
        };
        let mut views: Vec<View<'a>> = kinds.iter().map(view).collect();
        // Servers are compared with the programs that do nothing, so these come first.
        views.sort_by_key(|view| !["hello", "sleep"].contains(&view.workload.as_str()));
        views
    }

    /// The id of a part of the section in links and files; of the section itself for an empty `part`.
    pub fn id(&self, part: &str) -> String {
        let part = if part.is_empty() { String::new() } else { format!("-{part}") };
        let again = if self.earlier == 0 { String::new() } else { format!("-{}", self.earlier + 1) };
        format!("{}{again}{}{part}", self.run.file.experiment(), self.mark)
    }

    /// Its platforms in the order of the request.
    pub fn platforms(&self) -> Vec<PlatformId> {
        let has_cases = |platform: &PlatformId| self.cases.iter().any(|c| c.case.platform == *platform);
        self.order().into_iter().filter(has_cases).collect()
    }

    /// A platform's index among all platforms of the run. It is the same in every section.
    pub fn slot(&self, platform: &PlatformId) -> usize {
        self.order().iter().position(|p| p == platform).unwrap_or(0)
    }

    fn order(&self) -> Vec<PlatformId> {
        let requested = self.run.file.configuration.platforms.iter();
        let mut order: Vec<PlatformId> = Vec::new();
        for platform in requested.chain(self.cases.iter().map(|c| &c.case.platform)) {
            if !order.contains(platform) {
                order.push(platform.clone());
            }
        }
        order
    }

    /// The trials of its cases.
    pub fn trials(&self) -> impl Iterator<Item = &'a TrialRecord> + '_ {
        self.run.trials.iter().filter(|t| self.is_about(&t.case))
    }

    /// Whether a case, possibly of another run, fits into this view.
    pub fn is_about(&self, case: &Case) -> bool {
        let same = case.workload.name() == self.workload && case.accelerator == self.accelerator;
        same && case.experiment == self.run.file.experiment()
    }

    /// The measured cases of a platform that `accepts` accepts.
    pub fn measured<'v>(
        &'v self,
        platform: &'v PlatformId,
        accepts: impl Fn(&Case) -> bool + 'v,
    ) -> impl Iterator<Item = &'v CaseResult> + 'v {
        self.cases.iter().filter(move |c| c.role == Role::Measured && c.case.platform == *platform && accepts(&c.case))
    }

    /// A platform's measured case with one victim and no background.
    pub fn first(&self, platform: &PlatformId) -> Option<&CaseResult> {
        let alone = |c: &&CaseResult| c.role == Role::Measured && c.case.background == 0 && c.case.victims <= 1;
        self.cases.iter().filter(alone).find(|c| c.case.platform == *platform)
    }

    /// Whether a platform's times come from a virtual clock.
    pub fn simulated(&self, platform: &PlatformId) -> bool {
        self.run.file.platforms.iter().any(|p| p.id == *platform && p.capabilities.simulated)
    }

    /// A platform's name, marked if its times are simulated.
    pub fn name(&self, platform: &PlatformId) -> String {
        if self.simulated(platform) { format!("{platform} (SIMULATED)") } else { platform.to_string() }
    }

    /// A title with the workload, if the heading names it, and the accelerator, if there is one.
    pub fn title(&self, title: &str) -> String {
        let title = match self.heading {
            Heading::Experiment => title.to_owned(),
            Heading::Workload => format!("{title}: {}", name(&self.workload)),
        };
        match self.accelerator {
            Accelerator::None => title,
            other => format!("{title} ({other})"),
        }
    }
}

fn kind(case: &Case) -> (String, Accelerator) {
    (case.workload.to_string(), case.accelerator)
}

fn mark(kinds: &BTreeSet<(String, Accelerator)>, workload: &str, accelerator: Accelerator) -> String {
    let mut mark = String::new();
    if kinds.iter().any(|(w, _)| w != workload) {
        mark += &format!("-{workload}");
    }
    if kinds.iter().any(|(_, a)| *a != accelerator) {
        mark += &format!("-{accelerator}");
    }
    mark
}

fn heading(experiment: Experiment, kinds: &BTreeSet<(String, Accelerator)>, workload: &str) -> Heading {
    let usual = match experiment {
        Experiment::Boot => workload == "hello",
        Experiment::Footprint => workload == "sleep",
        Experiment::Scalability | Experiment::Isolation => false,
    };
    let alone = kinds.iter().all(|(w, _)| w == workload);
    if workload.is_empty() || (usual && alone) { Heading::Experiment } else { Heading::Workload }
}
