//! One run on one accelerator: what a section is about.

use crate::platform::{Accelerator, PlatformId};
use crate::store::{Case, Role, StoredRun};

use super::tally::{CaseResult, tally};

/// A run's results on one accelerator.
#[derive(Debug)]
pub struct View<'a> {
    /// The run.
    pub run: &'a StoredRun,
    /// What makes its guests execute.
    pub accelerator: Accelerator,
    /// Its cases.
    pub cases: Vec<CaseResult>,
    /// Whether the run has more than this accelerator.
    pub one_of_many: bool,
    /// The measured guest, where the run has several.
    pub workload: Option<String>,
    /// How many runs of the same experiment stand before it in the report.
    pub earlier: usize,
}

impl<'a> View<'a> {
    /// The views of a run: one for every accelerator in it and every measured guest on it, at least one.
    pub fn split(run: &'a StoredRun) -> Vec<View<'a>> {
        let cases = tally(run);
        let mut accelerators: Vec<Accelerator> = cases.iter().map(|c| c.case.accelerator).collect();
        accelerators.sort();
        accelerators.dedup();
        if accelerators.is_empty() {
            accelerators.push(Accelerator::None);
        }
        let one_of_many = accelerators.len() > 1;
        let of = |&accelerator: &Accelerator| {
            let mine = cases.iter().filter(|c| c.case.accelerator == accelerator).cloned().collect();
            let view = View { run, accelerator, cases: mine, one_of_many, workload: None, earlier: 0 };
            view.by_workload()
        };
        accelerators.iter().flat_map(of).collect()
    }

    /// One view for each of several measured guests, in the order in which they were asked for.
    fn by_workload(self) -> Vec<View<'a>> {
        let asked = self.run.file.configuration.measured().into_iter().map(|program| program.to_string());
        let of = |workload: String| {
            let mine: Vec<_> = self.cases.iter().filter(|c| c.case.workload == workload).cloned().collect();
            let Self { run, accelerator, one_of_many, earlier, .. } = self;
            View { run, accelerator, one_of_many, earlier, cases: mine, workload: Some(workload) }
        };
        let views: Vec<_> = asked.map(of).filter(|view| !view.cases.is_empty()).collect();
        if views.len() > 1 { views } else { vec![self] }
    }

    /// The name of a part of the section in links and files; of the section itself for an empty `part`.
    pub fn id(&self, part: &str) -> String {
        let accelerator = if self.one_of_many { format!("-{}", self.accelerator) } else { String::new() };
        let workload = self.workload.as_ref().map_or_else(String::new, |workload| format!("-{workload}"));
        let part = if part.is_empty() { String::new() } else { format!("-{part}") };
        let again = if self.earlier == 0 { String::new() } else { format!("-{}", self.earlier + 1) };
        format!("{}{again}{accelerator}{workload}{part}", self.run.file.experiment())
    }

    /// The platforms in the order in which they were asked for.
    pub fn platforms(&self) -> Vec<PlatformId> {
        let asked = self.run.file.configuration.platforms.iter();
        let mut platforms: Vec<PlatformId> = Vec::new();
        for platform in asked.chain(self.cases.iter().map(|c| &c.case.platform)) {
            if !platforms.contains(platform) && self.cases.iter().any(|c| c.case.platform == *platform) {
                platforms.push(platform.clone());
            }
        }
        platforms
    }

    /// The measured cases of a platform that `wanted` accepts.
    pub fn measured<'v>(
        &'v self,
        platform: &'v PlatformId,
        wanted: impl Fn(&Case) -> bool + 'v,
    ) -> impl Iterator<Item = &'v CaseResult> + 'v {
        self.cases.iter().filter(move |c| c.role == Role::Measured && c.case.platform == *platform && wanted(&c.case))
    }

    /// Whether a platform's times are a virtual clock's.
    pub fn simulated(&self, platform: &PlatformId) -> bool {
        self.run.file.platforms.iter().any(|p| p.id == *platform && p.capabilities.simulated)
    }

    /// A platform's name, loud where its times are no measurements.
    pub fn name(&self, platform: &PlatformId) -> String {
        if self.simulated(platform) { format!("{platform} (SIMULATED)") } else { platform.to_string() }
    }

    /// A section's title: the accelerator is named where there is one, the measured guest where there are several.
    pub fn title(&self, title: &str) -> String {
        let title = self.workload.as_ref().map_or_else(|| title.to_owned(), |workload| format!("{title}: {workload}"));
        match self.accelerator {
            Accelerator::None => title,
            other => format!("{title} ({other})"),
        }
    }
}
