//! Finds the stored runs and ab sessions that a command works on.

use std::path::{Path, PathBuf};

use crate::compare::live::{list_sessions, session_folder};
use crate::host::folders::Folders;
use crate::host::output;
use crate::report::{self, Latest, NoSuchRun};
use crate::store::{StoredRun, own_runs, run_folder};

use crate::cli::exit::{BadInput, Nothing};

/// The run `name`: an id, a folder, or `last`.
///
/// # Errors
/// When there is no such run or it cannot be read.
pub(in crate::cli) fn named(runs: &Path, name: &str) -> anyhow::Result<StoredRun> {
    report::find(runs, name).map_err(|why| match why {
        NoSuchRun::Empty(_) => nothing(why),
        NoSuchRun::Unreadable(e) => {
            let expected = format!("expected a run's id under {}, its folder, or `last`", runs.display());
            BadInput::new(format!("run {name}"), format!("{e}; {expected}")).into()
        }
    })
}

/// The latest run of every experiment. Prints a warning for each unreadable run.
///
/// # Errors
/// When there is no readable run.
pub(in crate::cli) fn latest(runs: &Path) -> anyhow::Result<Latest> {
    let latest = report::latest(runs);
    latest.warnings.iter().for_each(|warning| output::err!("warning: skipped an unreadable run: {warning}"));
    match latest.runs.is_empty() {
        true => Err(nothing(NoSuchRun::Empty(runs.to_owned()))),
        false => Ok(latest),
    }
}

/// The folders of all runs and ab sessions, oldest first.
pub(in crate::cli) fn everything(folders: &Folders) -> Vec<PathBuf> {
    let mut all: Vec<_> = own_runs(&folders.runs()).chain(list_sessions(&folders.comparisons())).collect();
    all.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    all
}

/// The folder of the run or ab session `name`: `last`, an id, or a path. `None` if there is no last one.
pub fn folder(folders: &Folders, name: &str) -> Option<PathBuf> {
    let session = session_folder(&folders.comparisons(), name);
    match name {
        "last" => everything(folders).pop(),
        _ if session.is_dir() => Some(session),
        name => Some(run_folder(&folders.runs(), name)),
    }
}

fn nothing(why: NoSuchRun) -> anyhow::Error {
    Nothing(format!("{why}\nhelp: run `cargo bench` first")).into()
}

#[cfg(test)]
mod tests {
    use crate::model::exit::Exit;

    use super::*;
    use crate::cli::exit;

    #[test]
    fn no_run_and_a_wrong_name_have_different_exit_codes() {
        let runs = tempfile::tempdir().unwrap();
        assert_eq!(exit::code(&latest(runs.path()).unwrap_err()), Exit::NothingRan);
        assert_eq!(exit::code(&named(runs.path(), "last").unwrap_err()), Exit::NothingRan);
        let wrong = named(runs.path(), "tuesday").unwrap_err();
        assert_eq!(exit::code(&wrong), Exit::BadInput);
        assert!(format!("{wrong:#}").starts_with("run tuesday: failed to read tuesday/run.json: "), "{wrong:#}");
    }
}
