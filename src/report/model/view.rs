//! One run's results of one workload on one accelerator: what a section is about.

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
    /// What makes its guests execute.
    pub accelerator: Accelerator,
    /// The measured guest or server, as a case names it; empty when the run has no trial.
    pub workload: String,
    /// Its cases.
    pub cases: Vec<CaseResult>,
    /// What tells it from the run's other views, for links and files; empty when there is no other.
    pub mark: String,
    /// Whether its heading names the workload.
    pub heading: Heading,
    /// How many runs of the same experiment stand before it in the report.
    pub earlier: usize,
}

/// What a section's heading says beside the experiment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heading {
    /// Nothing: the experiment's usual guest, and no other.
    Experiment,
    /// The workload's name.
    Workload,
}

impl<'a> View<'a> {
    /// The views of a run: one for every workload and accelerator in it, at least one.
    pub fn split(run: &'a StoredRun) -> Vec<View<'a>> {
        let mut kinds: BTreeSet<(String, Accelerator)> = run.trials.iter().map(|t| kind(&t.case)).collect();
        if kinds.is_empty() {
            kinds.insert((String::new(), Accelerator::None));
        }
        let cases = tally(run);
        let of = |(workload, accelerator): &(String, Accelerator)| View {
            run,
            accelerator: *accelerator,
            workload: workload.clone(),
            cases: cases.iter().filter(|c| kind(&c.case) == (workload.clone(), *accelerator)).cloned().collect(),
            mark: mark(&kinds, workload, *accelerator),
            heading: heading(run.file.experiment(), &kinds, workload),
            earlier: 0,
        };
        let mut views: Vec<View<'a>> = kinds.iter().map(of).collect();
        // The programs that do nothing are what servers are compared with.
        views.sort_by_key(|view| !["hello", "sleep"].contains(&view.workload.as_str()));
        views
    }

    /// The name of a part of the section in links and files; of the section itself for an empty `part`.
    pub fn id(&self, part: &str) -> String {
        let part = if part.is_empty() { String::new() } else { format!("-{part}") };
        let again = if self.earlier == 0 { String::new() } else { format!("-{}", self.earlier + 1) };
        format!("{}{again}{}{part}", self.run.file.experiment(), self.mark)
    }

    /// The platforms in the order in which they were asked for.
    pub fn platforms(&self) -> Vec<PlatformId> {
        let here = |platform: &PlatformId| self.cases.iter().any(|c| c.case.platform == *platform);
        self.order().into_iter().filter(here).collect()
    }

    /// A platform's place among all of the run: the same in every section, whoever is missing there.
    pub fn slot(&self, platform: &PlatformId) -> usize {
        self.order().iter().position(|p| p == platform).unwrap_or(0)
    }

    fn order(&self) -> Vec<PlatformId> {
        let asked = self.run.file.configuration.platforms.iter();
        let mut order: Vec<PlatformId> = Vec::new();
        for platform in asked.chain(self.cases.iter().map(|c| &c.case.platform)) {
            if !order.contains(platform) {
                order.push(platform.clone());
            }
        }
        order
    }

    /// The trials behind its cases.
    pub fn trials(&self) -> impl Iterator<Item = &'a TrialRecord> + '_ {
        self.run.trials.iter().filter(|t| self.is_about(&t.case))
    }

    /// Whether a case, of whichever run, is one that this view would hold.
    pub fn is_about(&self, case: &Case) -> bool {
        let same = case.workload.name() == self.workload && case.accelerator == self.accelerator;
        same && case.experiment == self.run.file.experiment()
    }

    /// The measured cases of a platform that `wanted` accepts.
    pub fn measured<'v>(
        &'v self,
        platform: &'v PlatformId,
        wanted: impl Fn(&Case) -> bool + 'v,
    ) -> impl Iterator<Item = &'v CaseResult> + 'v {
        self.cases.iter().filter(move |c| c.role == Role::Measured && c.case.platform == *platform && wanted(&c.case))
    }

    /// A platform's measured case with one victim and nothing beside it.
    pub fn first(&self, platform: &PlatformId) -> Option<&CaseResult> {
        let alone = |c: &&CaseResult| c.role == Role::Measured && c.case.background == 0 && c.case.victims <= 1;
        self.cases.iter().filter(alone).find(|c| c.case.platform == *platform)
    }

    /// Whether a platform's times are a virtual clock's.
    pub fn simulated(&self, platform: &PlatformId) -> bool {
        self.run.file.platforms.iter().any(|p| p.id == *platform && p.capabilities.simulated)
    }

    /// A platform's name, loud where its times are no measurements.
    pub fn name(&self, platform: &PlatformId) -> String {
        if self.simulated(platform) { format!("{platform} (SIMULATED)") } else { platform.to_string() }
    }

    /// A section's title: workload and accelerator are named where there is a choice.
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
