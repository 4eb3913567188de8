//! The stored runs that a chore works on.

use std::path::Path;

use featherweight::report::{self, Latest, NoSuchRun};
use featherweight::store::StoredRun;

use crate::exit::BadInput;

/// The run that the user names.
///
/// # Errors
/// When there is none, with what is accepted.
pub(crate) fn named(runs: &Path, name: &str) -> anyhow::Result<StoredRun> {
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
pub(crate) fn latest(runs: &Path) -> anyhow::Result<Latest> {
    let latest = report::latest(runs);
    latest.warnings.iter().for_each(|warning| eprintln!("not read: {warning}"));
    match latest.runs.is_empty() {
        true => Err(nothing(NoSuchRun::Empty(runs.to_owned()))),
        false => Ok(latest),
    }
}

/// The error for a folder that holds nothing yet.
pub(crate) fn nothing_in(folder: &Path) -> anyhow::Error {
    anyhow::Error::new(NoSuchRun::Empty(folder.to_owned()))
}

fn nothing(why: NoSuchRun) -> anyhow::Error {
    anyhow::Error::new(why).context("nothing to show yet: `cargo bench` makes runs")
}

#[cfg(test)]
mod tests {
    use featherweight::cli::Exit;

    use super::*;
    use crate::exit;

    #[test]
    fn no_run_at_all_and_a_wrong_name_are_told_apart() {
        let runs = tempfile::tempdir().unwrap();
        assert_eq!(exit::of(&latest(runs.path()).unwrap_err()), Exit::NothingRan);
        assert_eq!(exit::of(&named(runs.path(), "last").unwrap_err()), Exit::NothingRan);
        let wrong = named(runs.path(), "tuesday").unwrap_err();
        assert_eq!(exit::of(&wrong), Exit::BadInput);
        assert!(format!("{wrong:#}").starts_with("RUN tuesday: tuesday/run.json holds no run"), "{wrong:#}");
    }
}
