//! Which runs a report is about.

use std::path::{Path, PathBuf};

use crate::model::record::{Case, Experiment};
use crate::store::{ReadError, StoredRun, list_runs, own_runs, read_run, run_folder};

/// The latest readable runs: of every experiment, and of every workload and accelerator in it.
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

/// The latest readable run of every experiment under `runs`, and before it those that measured a workload, or on an
/// accelerator, that no later one has. An unreadable folder becomes a warning.
pub fn latest(runs: &Path) -> Latest {
    let mut latest = Latest::default();
    for dir in list_runs(runs).into_iter().rev() {
        match read_run(&dir) {
            Err(e) => latest.warnings.push(e.to_string()),
            Ok(run) if run.file.confirms.is_none() && is_news(&run, &latest.runs) => latest.runs.push(run),
            Ok(_) => {}
        }
    }
    let place = |e: Experiment| Experiment::ALL.iter().position(|a| *a == e);
    latest.runs.sort_by_key(|r| place(r.file.experiment()));
    latest
}

/// Whether `run` tells something that the `later` ones do not.
fn is_news(run: &StoredRun, later: &[StoredRun]) -> bool {
    let later: Vec<&StoredRun> = later.iter().filter(|r| r.file.measures_the_same(&run.file)).collect();
    let alike = |a: &Case, b: &Case| (&a.workload, a.accelerator) == (&b.workload, b.accelerator);
    let measured = |case: &Case| later.iter().flat_map(|r| &r.trials).any(|t| alike(&t.case, case));
    later.is_empty() || run.trials.iter().any(|t| !measured(&t.case))
}

/// The run that `name` means: `last`, a run's id under `runs`, or the path of its folder.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn find(runs: &Path, name: &str) -> Result<StoredRun, NoSuchRun> {
    let dir = match name {
        "last" => own_runs(runs).next_back().ok_or_else(|| NoSuchRun::Empty(runs.to_owned()))?,
        name => run_folder(runs, name),
    };
    Ok(read_run(&dir)?)
}
