//! Baselines: runs kept under a name, as criterion keeps them, in `baselines/NAME/EXPERIMENT/`.
//!
//! A baseline is a copy of the run's description and trials, since runs may be deleted. Invariant: a name never leads out
//! of its folder, and never looks like a run's id.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::model::record::Experiment;
use crate::model::run::RunId;
use crate::store::{RUN_FILE, TRIALS_FILE};

/// The name of a saved baseline.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaselineName(String);

/// An invalid name for a baseline.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid baseline name `{0}`; expected up to 64 letters, digits, `.`, `_` and `-`, beginning with a letter or digit, and neither `last` nor a run's id"
)]
pub struct BadName(String);

/// The longest name, which suits every file system.
const LONGEST: usize = 64;

impl FromStr for BaselineName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let is_a_run = text == "last" || text.get(..20).is_some_and(|head| head.parse::<RunId>().is_ok());
        match begins && text.len() <= LONGEST && text.chars().all(fits) && !is_a_run {
            true => Ok(Self(text.to_owned())),
            false => Err(BadName(text.to_owned())),
        }
    }
}

impl std::fmt::Display for BaselineName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// The folder of a baseline's run of that experiment, whether it exists or not.
pub fn folder(baselines: &Path, name: &BaselineName, experiment: Experiment) -> PathBuf {
    baselines.join(&name.0).join(experiment.name())
}

/// The experiments that a baseline has.
pub fn experiments(baselines: &Path, name: &BaselineName) -> Vec<Experiment> {
    let has = |experiment: &Experiment| folder(baselines, name, *experiment).join(RUN_FILE).is_file();
    Experiment::ALL.iter().copied().filter(has).collect()
}

/// The names of all baselines, sorted.
pub fn names(baselines: &Path) -> Vec<BaselineName> {
    let Ok(entries) = fs::read_dir(baselines) else { return Vec::new() };
    let name = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse::<BaselineName>().ok();
    let mut all: Vec<BaselineName> =
        entries.filter_map(name).filter(|name| !experiments(baselines, name).is_empty()).collect();
    all.sort();
    all
}

/// Saves the run in the folder `run` as a baseline and replaces an earlier one. The description is removed first and
/// written last, so an interruption leaves no baseline rather than half of one.
///
/// # Errors
/// When it cannot be read or written.
pub fn save(baselines: &Path, name: &BaselineName, experiment: Experiment, run: &Path) -> io::Result<PathBuf> {
    let to = folder(baselines, name, experiment);
    fs::create_dir_all(&to)?;
    match fs::remove_file(to.join(RUN_FILE)) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    for file in [TRIALS_FILE, RUN_FILE] {
        let draft = to.join(format!("{file}.new"));
        fs::copy(run.join(file), &draft)?;
        fs::File::open(&draft)?.sync_all()?;
        fs::rename(draft, to.join(file))?;
    }
    Ok(to)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::store::testing::{record, run_file};
    use crate::store::{Writer, read_run};

    #[rstest]
    #[case("main", true)]
    #[case("v1.2_x-3", true)]
    #[case("2026", true)]
    #[case("", false)]
    #[case("last", false)]
    #[case("..", false)]
    #[case(".hidden", false)]
    #[case("-x", false)]
    #[case("a/b", false)]
    #[case("a b", false)]
    #[case("größer", false)]
    #[case("20261121-084514-3f9a", false)]
    #[case("20261121-084514-3f9a-boot", false)]
    fn a_name_stays_in_its_folder_and_is_no_runs(#[case] text: &str, #[case] accepted: bool) {
        assert_eq!(text.parse::<BaselineName>().is_ok(), accepted);
        assert!("a".repeat(65).parse::<BaselineName>().is_err());
    }

    #[test]
    fn a_baseline_outlives_its_run_and_a_later_one_takes_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (baselines, run) = (dir.path().join("baselines"), dir.path().join("run"));
        let name: BaselineName = "main".parse().unwrap();
        for trials in [3, 1] {
            let mut writer = Writer::open(&run).unwrap();
            writer.describe(&run_file()).unwrap();
            (0..trials).for_each(|order| writer.append(&record(order)).unwrap());
            save(&baselines, &name, Experiment::Boot, &run).unwrap();
            fs::remove_dir_all(&run).unwrap();
            let kept = read_run(&folder(&baselines, &name, Experiment::Boot)).unwrap();
            assert_eq!(kept.trials.len() as u64, trials);
        }
        assert_eq!((names(&baselines), experiments(&baselines, &name)), (vec![name], vec![Experiment::Boot]));
    }

    #[test]
    fn what_cannot_be_copied_leaves_no_half_of_a_baseline() {
        let dir = tempfile::tempdir().unwrap();
        let name: BaselineName = "main".parse().unwrap();
        assert!(save(dir.path(), &name, Experiment::Boot, &dir.path().join("no run")).is_err());
        assert!(names(dir.path()).is_empty());
    }
}
