//! The content of the report, as data: the page and the terminal only show it.
//!
//! Pure: stored runs in, a [`Report`] out. Invariants: no table or figure mixes runs, workloads or accelerators; every
//! number has its unit, its count of trials and its spread; a missing value stays missing.

mod accelerator;
mod boot;
mod facts;
mod footprint;
mod host;
mod isolation;
mod ladder;
mod overview;
mod parallel;
mod scalability;
mod statements;
mod table;
mod tally;
pub mod text;
mod victim;
mod view;

use serde::Serialize;

pub use facts::{Failure, Host, RunHead};
pub use table::{Cell, Column, Table, Tone};
pub use tally::{Against, Base, CaseResult, MetricResult, tally};
pub use view::{Heading, View};

use crate::model::record::Experiment;
use crate::report::figures::Figure;
use crate::report::published::Published;
use crate::store::StoredRun;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Warnings before any number: simulated platforms, partial runs, noise, unreadable folders.
    pub notices: Vec<Notice>,
    /// The results in sentences.
    pub findings: Vec<Finding>,
    /// The measurements.
    pub sections: Vec<Section>,
    /// The runs of the measurements.
    pub runs: Vec<RunHead>,
    /// The machines of the runs; runs of the same machine share one.
    pub hosts: Vec<Host>,
}

/// Something that the reader must know before using the numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// Its severity.
    pub tone: Tone,
    /// Its heading, a word or two.
    pub head: String,
    /// Its explanation.
    pub text: String,
}

/// A sentence of the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The id of the section with its numbers.
    pub section: String,
    /// Its topic, in a word.
    pub topic: String,
    /// The sentence.
    pub text: String,
    /// Whether its times come from a virtual clock.
    pub simulated: bool,
}

/// The results of one run with one workload on one accelerator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Its name in links.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What was measured and how.
    pub intro: String,
    /// Its tables and figures.
    pub blocks: Vec<Block>,
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Block {
    /// A table.
    Table(Table),
    /// A figure.
    Figure(Figure),
    /// A figure of secondary interest, collapsed at first.
    Context(Figure),
    /// A remark.
    Remark {
        /// The sentence.
        text: String,
    },
}

impl Report {
    /// The report over `runs`. If several runs measured the same workload in the same experiment, the first one is shown.
    /// `warnings` are the reasons why other runs could not be read.
    pub fn of(runs: &[StoredRun], warnings: &[String]) -> Report {
        let published = Published::load();
        let views = views(runs);
        let parts: Vec<(Section, Vec<Finding>)> = views.iter().map(|view| section(view, &published)).collect();
        let (sections, findings): (Vec<Section>, Vec<Vec<Finding>>) = parts.into_iter().unzip();
        Report {
            notices: facts::notices(runs, warnings),
            findings: findings.into_iter().flatten().collect(),
            sections,
            runs: runs.iter().map(facts::run_head).collect(),
            hosts: facts::hosts(runs),
        }
    }

    /// Every figure in the order of the page.
    pub fn figures(&self) -> impl Iterator<Item = &Figure> {
        self.sections.iter().flat_map(|s| &s.blocks).filter_map(|block| match block {
            Block::Figure(figure) | Block::Context(figure) => Some(figure),
            _ => None,
        })
    }
}

fn views(runs: &[StoredRun]) -> Vec<View<'_>> {
    let mut views = Vec::new();
    for (i, run) in runs.iter().enumerate() {
        let before = &runs[..i];
        let earlier = before.iter().filter(|r| r.file.experiment() == run.file.experiment()).count();
        let is_new = |view: &View<'_>| !before.iter().any(|earlier| has_measured(earlier, view));
        views.extend(View::split(run).into_iter().filter(is_new).map(|view| View { earlier, ..view }));
    }
    views
}

/// Whether an earlier run of the report has trials of the view's cases.
fn has_measured(earlier: &StoredRun, view: &View<'_>) -> bool {
    earlier.file.measures_the_same(&view.run.file) && earlier.trials.iter().any(|t| view.is_about(&t.case))
}

/// One section with its findings.
pub fn section(view: &View<'_>, published: &Published) -> (Section, Vec<Finding>) {
    let published = &accelerator::comparable(view, published);
    let section = match view.run.file.experiment() {
        Experiment::Boot => boot::section(view, published),
        Experiment::Footprint => footprint::section(view, published),
        Experiment::Scalability => scalability::section(view, published),
        Experiment::Isolation => isolation::section(view, published),
    };
    accelerator::label(view, section)
}

#[cfg(test)]
mod tests;
