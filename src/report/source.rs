//! Which runs a report is about.

use std::path::{Path, PathBuf};

use crate::store::{Experiment, ReadError, StoredRun, list_runs, read_run, run_folder};

/// The latest readable run of every experiment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Latest {
    /// The runs, in the order of [`Experiment::ALL`].
    pub runs: Vec<StoredRun>,
    /// What could not be read, and why.
    pub warnings: Vec<String>,
}

/// Why a run cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum NoSuchRun {
    /// No run is stored.
    #[error("{0} holds no run")]
    Empty(PathBuf),
    /// It is there and cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
}

/// The latest readable run of every experiment under `runs`. An unreadable folder becomes a warning.
pub fn latest(runs: &Path) -> Latest {
    let mut latest = Latest::default();
    for dir in list_runs(runs).into_iter().rev() {
        match read_run(&dir) {
            Err(e) => latest.warnings.push(e.to_string()),
            Ok(run) if latest.runs.iter().any(|r| r.file.experiment() == run.file.experiment()) => {}
            Ok(run) => latest.runs.push(run),
        }
    }
    let place = |e: Experiment| Experiment::ALL.iter().position(|a| *a == e);
    latest.runs.sort_by_key(|r| place(r.file.experiment()));
    latest
}

/// The run that `name` means: `last`, a run's id under `runs`, or the path of its folder.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn find(runs: &Path, name: &str) -> Result<StoredRun, NoSuchRun> {
    let dir = match name {
        "last" => list_runs(runs).pop().ok_or_else(|| NoSuchRun::Empty(runs.to_owned()))?,
        name => run_folder(runs, name),
    };
    Ok(read_run(&dir)?)
}
