//! The runs of a report.

use std::path::{Path, PathBuf};

use crate::model::record::{Case, Experiment};
use crate::store::{ReadError, StoredRun, list_runs, own_runs, read_run, run_folder};

/// The latest readable runs of every experiment, workload and accelerator.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latest {
    /// The runs, in the order of [`Experiment::ALL`].
    pub runs: Vec<StoredRun>,
    /// The runs that could not be read, with the reasons.
    pub warnings: Vec<String>,
}

/// A run that cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum NoSuchRun {
    /// No run is stored.
    #[error("no run is stored in {0}")]
    Empty(PathBuf),
    /// The run exists but cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
}

/// The latest readable run of every experiment under `runs`, and earlier runs with a workload or an accelerator that no
/// later one has. An unreadable folder becomes a warning.
pub fn latest(runs: &Path) -> Latest {
    let mut latest = Latest::default();
    for dir in list_runs(runs).into_iter().rev() {
        match read_run(&dir) {
            Err(e) => latest.warnings.push(e.to_string()),
            Ok(run) if run.file.confirms.is_none() && has_new_cases(&run, &latest.runs) => latest.runs.push(run),
            Ok(_) => {}
        }
    }
    let position = |e: Experiment| Experiment::ALL.iter().position(|a| *a == e);
    latest.runs.sort_by_key(|r| position(r.file.experiment()));
    latest
}

/// Whether `run` has a workload or an accelerator that the `later` runs do not have.
fn has_new_cases(run: &StoredRun, later: &[StoredRun]) -> bool {
    let later: Vec<&StoredRun> = later.iter().filter(|r| r.file.measures_the_same(&run.file)).collect();
    let same_kind = |a: &Case, b: &Case| (&a.workload, a.accelerator) == (&b.workload, b.accelerator);
    let measured = |case: &Case| later.iter().flat_map(|r| &r.trials).any(|t| same_kind(&t.case, case));
    later.is_empty() || run.trials.iter().any(|t| !measured(&t.case))
}

/// Finds a run by its `name`: `last`, an id under `runs`, or the path of its folder.
///
/// # Errors
/// When there is no such run, or it cannot be read.
pub fn find(runs: &Path, name: &str) -> Result<StoredRun, NoSuchRun> {
    let dir = match name {
        "last" => own_runs(runs).next_back().ok_or_else(|| NoSuchRun::Empty(runs.to_owned()))?,
        name => run_folder(runs, name),
    };
    Ok(read_run(&dir)?)
}
