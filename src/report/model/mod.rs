//! What the report says, as data: the page, the terminal and `summary.json` only show it.
//!
//! Pure: stored runs in, a [`Report`] out. Invariants: runs, workloads and accelerators are never mixed in one table or figure;
//! every number has its unit, its count of trials and its spread; what is missing stays missing.

mod accelerator;
mod beside;
mod boot;
mod facts;
mod footprint;
mod isolation;
mod ladder;
mod overview;
mod parallel;
mod scalability;
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
    /// What a reader must know before any number: simulated platforms, partial runs, noise, unreadable folders.
    pub notices: Vec<Notice>,
    /// What was found, in plain words.
    pub findings: Vec<Finding>,
    /// The measurements.
    pub sections: Vec<Section>,
    /// The runs they come from.
    pub runs: Vec<RunHead>,
    /// The machines they ran on; runs of the same machine share one.
    pub hosts: Vec<Host>,
}

/// Something that a reader must know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// How grave it is.
    pub tone: Tone,
    /// What it is, in a word or two.
    pub head: String,
    /// What it is.
    pub text: String,
}

/// A sentence of the summary.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Where the numbers behind it are.
    pub section: String,
    /// What is compared, in a word.
    pub topic: String,
    /// The sentence.
    pub text: String,
    /// Its times are a virtual clock's.
    pub simulated: bool,
}

/// The results of one run with one workload on one accelerator.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Its name in links.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What was measured and how, in a few sentences.
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
    /// A figure of the host's state, folded away at first.
    Context(Figure),
    /// A remark.
    Remark {
        /// What it says.
        text: String,
    },
}

impl Report {
    /// The report over `runs`; where two measured the same workload in the same experiment, the first of them speaks.
    /// `warnings` tell what could not be read.
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
    let earlier = |i: usize| runs[..i].iter().filter(|r| r.file.experiment() == runs[i].file.experiment()).count();
    let same = |i: usize| runs[..i].iter().filter(move |r| r.file.measures_the_same(&runs[i].file));
    let told = |i: usize, view: &View<'_>| same(i).any(|r| r.trials.iter().any(|t| view.is_about(&t.case)));
    let of = |(i, run)| {
        let views = View::split(run).into_iter().filter(move |view| !told(i, view));
        views.map(move |view| View { earlier: earlier(i), ..view })
    };
    runs.iter().enumerate().flat_map(of).collect()
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
    accelerator::tell(view, section)
}

#[cfg(test)]
mod tests;
