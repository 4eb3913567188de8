//! The accelerator, which is named wherever a number depends on it.
//!
//! Invariant: numbers of emulated guests are never shown together with numbers that anyone measured on hardware.

use super::text::list;
use super::{Block, Finding, Notice, Section, Tone, View};
use crate::model::platform::Accelerator;
use crate::report::published::Published;
use crate::store::StoredRun;

/// The accelerator of emulated guests, with a warning.
const EMULATED: &str = "TCG, QEMU's emulation, whose numbers do not apply to hardware";

/// The published numbers that may be shown with the view's own.
pub(super) fn comparable(view: &View<'_>, published: &Published) -> Published {
    match view.accelerator {
        Accelerator::Tcg => Published {
            slowdowns: Vec::new(),
            ladders: Vec::new(),
            statements: Vec::new(),
            source: published.source.clone(),
        },
        Accelerator::None | Accelerator::Kvm => published.clone(),
    }
}

/// Adds the accelerator to every title, caption and note of the section's own numbers, and emulation to its findings.
pub(super) fn label(view: &View<'_>, (mut section, mut findings): (Section, Vec<Finding>)) -> (Section, Vec<Finding>) {
    let words = match view.accelerator {
        Accelerator::None => return (section, findings),
        Accelerator::Kvm => " Accelerator: KVM.".to_owned(),
        Accelerator::Tcg => format!(" Accelerator: {EMULATED}."),
    };
    section.intro += &words;
    for block in &mut section.blocks {
        let (title, note) = match block {
            Block::Figure(figure) | Block::Context(figure) => (&mut figure.title, &mut figure.caption),
            Block::Table(table) if !table.is_published() => (&mut table.title, &mut table.note),
            Block::Table(_) | Block::Remark { .. } => continue,
        };
        note.push_str(&words);
        let mark = format!(" ({})", view.accelerator);
        if !title.ends_with(&mark) {
            title.push_str(&mark);
        }
    }
    if view.accelerator == Accelerator::Tcg {
        for finding in &mut findings {
            finding.text += " Emulated (TCG).";
        }
    }
    (section, findings)
}

/// The notice with the emulated platforms.
pub(super) fn notice(runs: &[StoredRun]) -> Option<Notice> {
    let cases = runs.iter().flat_map(|run| &run.trials).map(|trial| &trial.case);
    let mut names: Vec<String> =
        cases.filter(|case| case.accelerator == Accelerator::Tcg).map(|case| case.platform.to_string()).collect();
    names.sort();
    names.dedup();
    (!names.is_empty()).then(|| Notice {
        tone: Tone::Warning,
        head: "Emulated".into(),
        text: format!("The guests of {} ran on {EMULATED}.", list(&names)),
    })
}
