//! Observers of runs and sessions: a progress bar on a terminal, plain lines elsewhere. Both write to standard error.

mod bar;
mod estimate;
mod lines;
mod standing;

use std::io::IsTerminal;

pub use estimate::in_words;

use crate::measure::Observer;
use crate::model::record::TrialRecord;
use crate::store::RunOutcome;

/// The observer that suits standard error.
pub fn for_stderr() -> Box<dyn Observer> {
    match std::io::stderr().is_terminal() {
        true => Box::new(bar::Bar::new()),
        false => Box::new(lines::Lines::new()),
    }
}

fn reason(record: &TrialRecord) -> &str {
    record.reason.as_deref().unwrap_or("no reason given")
}

/// How to continue a run; `None` for a complete one.
fn run_advice(outcome: RunOutcome) -> Option<String> {
    (outcome != RunOutcome::Complete).then(|| format!("the run is {outcome}; continue with --resume last"))
}

/// How to continue a session; `None` for a complete one.
fn session_advice(outcome: RunOutcome, dir: &std::path::Path) -> Option<String> {
    let advice = || format!("the session is {outcome}; continue with --resume {}", dir.display());
    (outcome != RunOutcome::Complete).then(advice)
}
