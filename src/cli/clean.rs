//! `cargo xtask clean`: removes whatever crashed runs left.
//!
//! Invariant: only what stands in a dead run's ledger, or carries its id, is touched. A live run is left alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::host::folders::Folders;
use crate::host::ledger::{self, Leftovers, Resource, RunState};
use crate::model::exit::Exit;
use crate::model::run::RunId;
use anyhow::Context;

/// Remove what crashed runs left on this host; live runs and everything else are left alone
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A run writes down what it makes before it makes it: processes, control groups, mounts, folders, \
                        kernel settings, and containers, networks and images of engines. Stored results are no \
                        leftovers: they stay.\n\n\
                        Exit codes: 0 nothing is left; 4 something could not be removed or, with --dry-run, something \
                        would be."
)]
pub struct Clean {
    /// List what would be removed and remove nothing
    #[arg(long)]
    dry_run: bool,
}

/// Whether to remove or only to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Remove,
    Tell,
}

impl Clean {
    /// Does what the options say.
    ///
    /// # Errors
    /// When the state folder cannot be read, or nothing can be printed.
    /// Runs the command.
    ///
    /// # Errors
    /// Fails with a message for the user; [`crate::cli::exit::of`] gives its exit code.
    pub fn run(self) -> anyhow::Result<Exit> {
        let folders = Folders::from_env();
        let mode = if self.dry_run { Mode::Tell } else { Mode::Remove };
        let mut out = io::stdout().lock();
        tell_revisions(&folders.output.join("revisions"), &mut out)?;
        clean(&folders.state, mode, &mut out)
    }
}

/// Prints what is checked out for `guests=REVISION`: it is used again, and somebody may have changed it.
fn tell_revisions(folder: &Path, out: &mut impl Write) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let mut checkouts: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    checkouts.sort();
    let cure = "kept to be used again; to remove it: git worktree remove --force";
    checkouts.iter().try_for_each(|path| writeln!(out, "checkout of a revision, {cure} {}", path.display()))
}

fn clean(state: &Path, mode: Mode, out: &mut impl Write) -> anyhow::Result<Exit> {
    let runs = ledger::list(state).with_context(|| format!("read {}", state.display()))?;
    let mut left = 0;
    for (run, _) in runs.iter().filter(|(_, state)| *state == RunState::Alive) {
        writeln!(out, "run {run}: in progress, left alone")?;
    }
    for (run, _) in runs.iter().filter(|(_, state)| *state == RunState::Dead) {
        left += match mode {
            Mode::Tell => tell(state, run, out)?,
            Mode::Remove => remove(state, run, out)?,
        };
    }
    if runs.iter().all(|(_, state)| *state == RunState::Alive) {
        writeln!(out, "nothing to clean in {}", state.display())?;
    }
    Ok(if left == 0 { Exit::Fine } else { Exit::Failure })
}

/// Prints what is there of a dead run. Returns how many runs that is.
fn tell(state: &Path, run: &RunId, out: &mut impl Write) -> anyhow::Result<usize> {
    writeln!(out, "run {run}: dead; would be removed: its processes, {}", state.join(run.name()).display())?;
    for thing in present(state, run) {
        writeln!(out, "  {thing}")?;
    }
    Ok(1)
}

/// Removes a dead run. Returns how many runs stay: none, or this one.
fn remove(state: &Path, run: &RunId, out: &mut impl Write) -> anyhow::Result<usize> {
    let there = present(state, run);
    match ledger::reap(state, run, crate::platform::reap_engines) {
        Ok(left) => {
            writeln!(out, "run {run}: {}", in_words(&left))?;
            there.iter().try_for_each(|thing| writeln!(out, "  {thing}"))?;
            Ok(0)
        }
        Err(e) => {
            writeln!(out, "run {run}: not removed entirely: {e}")?;
            Ok(1)
        }
    }
}

/// What stands in the run's ledger and is there.
fn present(state: &Path, run: &RunId) -> Vec<String> {
    let resources = ledger::resources(state, run).unwrap_or_default();
    let named = |resource: Resource| match resource {
        Resource::Process { .. } => None,
        Resource::Cgroup { path } => path.exists().then(|| format!("control group {}", path.display())),
        Resource::Dir { path } => path.exists().then(|| format!("folder {}", path.display())),
        Resource::Setting(change) => Some(format!("kernel setting {}", change.path.display())),
        Resource::Container { .. } | Resource::Network { .. } | Resource::Image { .. } => None,
    };
    let by_engines = of_engines(&resources);
    resources.into_iter().filter_map(named).chain(by_engines).collect()
}

/// What was made through engines, counted. What of it is there, only the engine knows, which is asked when it is removed.
fn of_engines(resources: &[Resource]) -> Vec<String> {
    let mut counts = BTreeMap::<(&str, &str, &str), usize>::new();
    for resource in resources {
        let key = match resource {
            Resource::Container { engine, .. } => (engine.as_str(), "container", "containers"),
            Resource::Network { engine, .. } => (engine.as_str(), "network", "networks"),
            Resource::Image { engine, .. } => (engine.as_str(), "image", "images"),
            _ => continue,
        };
        *counts.entry(key).or_default() += 1;
    }
    let words = |((engine, one, many), n)| format!("{} of the engine at {engine}, if still there", count(n, one, many));
    counts.into_iter().map(words).collect()
}

fn in_words(left: &Leftovers) -> String {
    let engines = [
        (left.containers, "container", "containers"),
        (left.networks, "network", "networks"),
        (left.images, "image", "images"),
    ];
    let engines: String =
        engines.iter().filter(|it| it.0 > 0).map(|it| format!(", {}", count(it.0, it.1, it.2))).collect();
    format!(
        "ended {}; removed {}, {}, {}{engines} and its ledger",
        count(left.processes, "process", "processes"),
        count(left.cgroups, "control group", "control groups"),
        count(left.mounts, "mount", "mounts"),
        count(left.dirs, "folder", "folders"),
    )
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};

    use crate::host::ledger::Ledger;
    use crate::model::run::RUN_VARIABLE;
    use tempfile::TempDir;

    use super::*;

    /// A state folder with a dead run that left a process and a folder, a live run, and somebody else's file.
    struct Scene {
        state: TempDir,
        dead: RunId,
        left_dir: PathBuf,
        left_process: Child,
        alive: Ledger,
    }

    impl Scene {
        /// Reaping finds processes by their run's id alone, so that every test has a `dead` run of its own.
        fn new(dead: &str) -> Self {
            let state = tempfile::tempdir().unwrap();
            let dead: RunId = dead.parse().unwrap();
            let left_dir = state.path().join("elsewhere").join(dead.name());
            let ledger = Ledger::open(state.path(), &dead, crate::platform::reap_engines).unwrap();
            ledger.record(&Resource::Dir { path: left_dir.clone() }).unwrap();
            drop(ledger);
            fs::create_dir_all(&left_dir).unwrap();
            fs::write(state.path().join("notes.txt"), "not ours").unwrap();
            let left_process = Command::new("sleep").arg("60").env(RUN_VARIABLE, dead.as_str()).spawn().unwrap();
            let alive =
                Ledger::open(state.path(), &"20261121-084515-0002".parse().unwrap(), crate::platform::reap_engines)
                    .unwrap();
            Self { state, dead, left_dir, left_process, alive }
        }

        fn clean(&self, mode: Mode) -> (Exit, String) {
            let mut out = Vec::new();
            let exit = clean(self.state.path(), mode, &mut out).unwrap();
            (exit, String::from_utf8(out).unwrap())
        }

        fn is_running(&mut self) -> bool {
            self.left_process.try_wait().unwrap().is_none()
        }
    }

    impl Drop for Scene {
        fn drop(&mut self) {
            let _ = self.left_process.kill();
            let _ = self.left_process.wait();
        }
    }

    #[test]
    fn a_dead_run_is_removed_and_a_live_one_and_foreign_files_stay() {
        let mut scene = Scene::new("20261121-084514-0001");
        let (exit, told) = scene.clean(Mode::Remove);
        assert_eq!(exit, Exit::Fine, "{told}");
        assert!(told.contains("0002: in progress, left alone"), "{told}");
        assert!(told.contains("0001: ended 1 process; removed 0 control groups, 0 mounts, 1 folder"), "{told}");
        assert!(told.contains(&scene.left_dir.display().to_string()), "{told}");
        assert!(!scene.left_dir.exists() && !scene.state.path().join(scene.dead.name()).exists());
        assert!(!scene.left_process.wait().unwrap().success(), "killed");
        assert!(scene.alive.dir().is_dir() && scene.state.path().join("notes.txt").is_file());
        assert!(scene.left_dir.parent().unwrap().is_dir(), "the folder around a run's folder is not the run's");

        let (exit, told) = scene.clean(Mode::Remove);
        assert_eq!(exit, Exit::Fine);
        assert!(told.contains("nothing to clean"), "{told}");
        assert!(!scene.is_running());
    }

    #[test]
    fn a_dry_run_lists_and_removes_nothing() {
        let mut scene = Scene::new("20261121-084514-0004");
        let (exit, told) = scene.clean(Mode::Tell);
        assert_eq!(exit, Exit::Failure, "something would be removed");
        assert!(told.contains("0004: dead") && told.contains(&scene.left_dir.display().to_string()), "{told}");
        assert!(scene.is_running() && scene.left_dir.is_dir());
    }

    #[test]
    fn a_run_that_cannot_be_removed_entirely_is_trouble_with_the_reason() {
        let state = tempfile::tempdir().unwrap();
        let run: RunId = "20261121-084514-0003".parse().unwrap();
        let ledger = Ledger::open(state.path(), &run, crate::platform::reap_engines).unwrap();
        ledger.record(&Resource::Dir { path: "/somebody/elses".into() }).unwrap();
        drop(ledger);
        let mut out = Vec::new();
        assert_eq!(clean(state.path(), Mode::Remove, &mut out).unwrap(), Exit::Failure);
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("0003: not removed entirely: /somebody/elses"), "{told}");
        assert!(state.path().join(run.name()).is_dir(), "its ledger stays");
    }

    #[test]
    fn an_engine_that_cannot_be_reached_is_trouble_with_the_cure_and_the_ledger_stays() {
        let state = tempfile::tempdir().unwrap();
        let run: RunId = "20261121-084514-0005".parse().unwrap();
        let ledger = Ledger::open(state.path(), &run, crate::platform::reap_engines).unwrap();
        for n in 0..2 {
            let (engine, name) = ("unix:///nowhere/engine.sock".to_owned(), format!("{}-{n}", run.name()));
            ledger.record(&Resource::Container { engine, name }).unwrap();
        }
        drop(ledger);
        let mut out = Vec::new();
        assert_eq!(clean(state.path(), Mode::Tell, &mut out).unwrap(), Exit::Failure);
        assert_eq!(clean(state.path(), Mode::Remove, &mut out).unwrap(), Exit::Failure);
        let told = String::from_utf8(out).unwrap();
        assert!(told.contains("2 containers of the engine at unix:///nowhere/engine.sock, if still there"), "{told}");
        assert!(told.contains("0005: not removed entirely") && told.contains("start it: dockerd"), "{told}");
        assert!(state.path().join(run.name()).is_dir(), "its ledger stays");
    }

    #[test]
    fn what_engines_had_is_told_only_if_there_was_something() {
        let left = Leftovers { containers: 2, images: 1, ..Leftovers::default() };
        assert!(in_words(&left).ends_with("0 folders, 2 containers, 1 image and its ledger"), "{}", in_words(&left));
        assert!(!in_words(&Leftovers::default()).contains("container"));
    }

    #[test]
    fn checkouts_of_revisions_are_told_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("5ec9498")).unwrap();
        fs::write(folder.path().join(".lock"), "").unwrap();
        let mut out = Vec::new();
        tell_revisions(folder.path(), &mut out).unwrap();
        tell_revisions(&folder.path().join("nowhere"), &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let path = folder.path().join("5ec9498");
        assert!(told.ends_with(&format!("git worktree remove --force {}\n", path.display())), "{told}");
        assert!(told.lines().count() == 1 && path.is_dir());
    }

    #[test]
    fn no_state_folder_means_nothing_to_clean() {
        let mut out = Vec::new();
        let exit = clean(Path::new("/nowhere/at/all"), Mode::Remove, &mut out).unwrap();
        assert_eq!(
            (exit, String::from_utf8(out).unwrap().as_str()),
            (Exit::Fine, "nothing to clean in /nowhere/at/all\n")
        );
    }
}
