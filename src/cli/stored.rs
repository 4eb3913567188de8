//! The stored runs that a chore works on.

use std::path::{Path, PathBuf};

use crate::compare::live::{list_sessions, session_folder};
use crate::host::folders::Folders;
use crate::report::{self, Latest, NoSuchRun};
use crate::store::{StoredRun, own_runs, run_folder};

use crate::cli::exit::BadInput;

/// The run that the user names.
///
/// # Errors
/// When there is none, with what is accepted.
pub fn named(runs: &Path, name: &str) -> anyhow::Result<StoredRun> {
    report::find(runs, name).map_err(|why| match why {
        NoSuchRun::Empty(_) => nothing(why),
        NoSuchRun::Unreadable(e) => {
            let accepted = format!("a run's id under {}, its folder, or `last`", runs.display());
            BadInput(format!("RUN {name}: {e}; accepted: {accepted}")).into()
        }
    })
}

/// The latest run of every experiment. What cannot be read is told.
///
/// # Errors
/// When there is not one.
pub fn latest(runs: &Path) -> anyhow::Result<Latest> {
    let latest = report::latest(runs);
    latest.warnings.iter().for_each(|warning| eprintln!("not read: {warning}"));
    match latest.runs.is_empty() {
        true => Err(nothing(NoSuchRun::Empty(runs.to_owned()))),
        false => Ok(latest),
    }
}

/// The folders of all runs and ab sessions, oldest first.
pub fn everything(folders: &Folders) -> Vec<PathBuf> {
    let mut all: Vec<_> = own_runs(&folders.runs()).chain(list_sessions(&folders.comparisons())).collect();
    all.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    all
}

/// The folder of the run or ab session that `name` means: `last`, an id, or a path. `None` where there is no last one.
pub fn folder(folders: &Folders, name: &str) -> Option<PathBuf> {
    let session = session_folder(&folders.comparisons(), name);
    match name {
        "last" => everything(folders).pop(),
        _ if session.is_dir() => Some(session),
        name => Some(run_folder(&folders.runs(), name)),
    }
}

/// The error for a folder that holds nothing yet.
pub fn nothing_in(folder: &Path) -> anyhow::Error {
    anyhow::Error::new(NoSuchRun::Empty(folder.to_owned()))
}

fn nothing(why: NoSuchRun) -> anyhow::Error {
    anyhow::Error::new(why).context("nothing to show yet: `cargo bench` makes runs")
}

#[cfg(test)]
mod tests {
    use crate::model::exit::Exit;

    use super::*;
    use crate::cli::exit;

    #[test]
    fn no_run_at_all_and_a_wrong_name_are_told_apart() {
        let runs = tempfile::tempdir().unwrap();
        assert_eq!(exit::of(&latest(runs.path()).unwrap_err()), Exit::NothingRan);
        assert_eq!(exit::of(&named(runs.path(), "last").unwrap_err()), Exit::NothingRan);
        let wrong = named(runs.path(), "tuesday").unwrap_err();
        assert_eq!(exit::of(&wrong), Exit::BadInput);
        assert!(format!("{wrong:#}").starts_with("RUN tuesday: failed to read tuesday/run.json: "), "{wrong:#}");
    }
}
