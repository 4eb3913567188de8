//! `cargo xtask clean`: removes the leftovers of crashed runs.
//!
//! Invariant: it removes only what is in a dead run's ledger or carries its id, and leaves a live run alone.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::host::folders::Folders;
use crate::host::ledger::{self, Leftovers, Resource, RunState};
use crate::model::exit::Exit;
use crate::model::run::RunId;
use anyhow::Context;

/// Remove the leftovers of crashed runs
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Leftovers are processes, control groups, mounts, folders and kernel settings, and the containers, \
        networks and images of engines. A run records each in its ledger before it creates it. Live runs and stored \
        results stay.\n\n\
        Examples:\n  \
        cargo xtask clean --dry-run  List the leftovers\n  \
        cargo xtask clean            Remove them\n\n\
        Exit codes:\n  \
        0  nothing is left\n  \
        4  something could not be removed or, with --dry-run, would be removed"
)]
pub struct Clean {
    /// List the leftovers without removing them
    #[arg(long)]
    dry_run: bool,
}

/// Whether to remove leftovers or only to list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Remove,
    List,
}

impl Clean {
    /// Removes or lists the leftovers.
    ///
    /// # Errors
    /// When the state folder cannot be read, or standard output cannot be written.
    pub fn run(self) -> anyhow::Result<Exit> {
        let folders = Folders::from_env();
        let mode = if self.dry_run { Mode::List } else { Mode::Remove };
        let mut out = io::stdout().lock();
        list_checkouts(&folders.output.join("revisions"), &mut out)?;
        clean(&folders.state, mode, &mut out)
    }
}

/// Lists the checkouts for `guests=REVISION`. They are kept for reuse, and the user may have changed them.
fn list_checkouts(folder: &Path, out: &mut impl Write) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    let mut checkouts: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    checkouts.sort();
    checkouts.iter().try_for_each(|path| {
        let path = path.display();
        writeln!(out, "kept the checkout {path}\nhelp: to remove it, run `git worktree remove --force {path}`")
    })
}

fn clean(state: &Path, mode: Mode, out: &mut impl Write) -> anyhow::Result<Exit> {
    let runs = ledger::list(state).with_context(|| format!("failed to read {}", state.display()))?;
    let mut left = 0;
    for (run, _) in runs.iter().filter(|(_, state)| *state == RunState::Alive) {
        writeln!(out, "run {run}: in progress, left alone")?;
    }
    for (run, _) in runs.iter().filter(|(_, state)| *state == RunState::Dead) {
        left += match mode {
            Mode::List => list(state, run, out)?,
            Mode::Remove => remove(state, run, out)?,
        };
    }
    if runs.iter().all(|(_, state)| *state == RunState::Alive) {
        writeln!(out, "nothing to clean in {}", state.display())?;
    }
    Ok(if left == 0 { Exit::Fine } else { Exit::Failure })
}

/// Lists what a dead run left behind. Returns how many runs would be removed.
fn list(state: &Path, run: &RunId, out: &mut impl Write) -> anyhow::Result<usize> {
    writeln!(out, "run {run}: dead; would be removed: its processes, {}", state.join(run.name()).display())?;
    for leftover in present(state, run) {
        writeln!(out, "  {leftover}")?;
    }
    Ok(1)
}

/// Removes a dead run. Returns how many runs are left: none, or this one.
fn remove(state: &Path, run: &RunId, out: &mut impl Write) -> anyhow::Result<usize> {
    let leftovers = present(state, run);
    match ledger::reap(state, run, crate::platform::reap_engines) {
        Ok(left) => {
            writeln!(out, "run {run}: {}", in_words(&left))?;
            leftovers.iter().try_for_each(|leftover| writeln!(out, "  {leftover}"))?;
            Ok(0)
        }
        Err(e) => {
            writeln!(out, "run {run}: failed to remove everything: {e}")?;
            Ok(1)
        }
    }
}

/// The resources in the run's ledger that exist.
fn present(state: &Path, run: &RunId) -> Vec<String> {
    let resources = ledger::resources(state, run).unwrap_or_default();
    let describe = |resource: Resource| match resource {
        Resource::Process { .. } => None,
        Resource::Cgroup { path } => path.exists().then(|| format!("control group {}", path.display())),
        Resource::Dir { path } => path.exists().then(|| format!("folder {}", path.display())),
        Resource::Setting(change) => Some(format!("kernel setting {}", change.path.display())),
        Resource::Container { .. } | Resource::Network { .. } | Resource::Image { .. } => None,
    };
    let in_engines = in_engines(&resources);
    resources.into_iter().filter_map(describe).chain(in_engines).collect()
}

/// The number of resources in each engine. Which of them still exist is known only when the engine removes them.
fn in_engines(resources: &[Resource]) -> Vec<String> {
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
    let words =
        |((engine, one, many), n)| format!("{} of the engine at {engine}, if they still exist", count(n, one, many));
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

    /// A state folder with a dead run that left a process and a folder, a live run, and a foreign file.
    struct Scene {
        state: TempDir,
        dead: RunId,
        left_dir: PathBuf,
        left_process: Child,
        alive: Ledger,
    }

    impl Scene {
        /// Reaping finds processes by their run's id, so every test has its own `dead` run.
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
        let (exit, text) = scene.clean(Mode::Remove);
        assert_eq!(exit, Exit::Fine, "{text}");
        assert!(text.contains("0002: in progress, left alone"), "{text}");
        assert!(text.contains("0001: ended 1 process; removed 0 control groups, 0 mounts, 1 folder"), "{text}");
        assert!(text.contains(&scene.left_dir.display().to_string()), "{text}");
        assert!(!scene.left_dir.exists() && !scene.state.path().join(scene.dead.name()).exists());
        assert!(!scene.left_process.wait().unwrap().success(), "killed");
        assert!(scene.alive.dir().is_dir() && scene.state.path().join("notes.txt").is_file());
        assert!(scene.left_dir.parent().unwrap().is_dir(), "the folder around a run's folder is not the run's");

        let (exit, text) = scene.clean(Mode::Remove);
        assert_eq!(exit, Exit::Fine);
        assert!(text.contains("nothing to clean"), "{text}");
        assert!(!scene.is_running());
    }

    #[test]
    fn a_dry_run_lists_and_removes_nothing() {
        let mut scene = Scene::new("20261121-084514-0004");
        let (exit, text) = scene.clean(Mode::List);
        assert_eq!(exit, Exit::Failure, "something would be removed");
        assert!(text.contains("0004: dead") && text.contains(&scene.left_dir.display().to_string()), "{text}");
        assert!(scene.is_running() && scene.left_dir.is_dir());
    }

    #[test]
    fn a_run_that_cannot_be_removed_entirely_is_a_failure_with_the_reason() {
        let state = tempfile::tempdir().unwrap();
        let run: RunId = "20261121-084514-0003".parse().unwrap();
        let ledger = Ledger::open(state.path(), &run, crate::platform::reap_engines).unwrap();
        ledger.record(&Resource::Dir { path: "/somebody/elses".into() }).unwrap();
        drop(ledger);
        let mut out = Vec::new();
        assert_eq!(clean(state.path(), Mode::Remove, &mut out).unwrap(), Exit::Failure);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("0003: failed to remove everything: /somebody/elses"), "{text}");
        assert!(state.path().join(run.name()).is_dir(), "its ledger stays");
    }

    #[test]
    fn an_unreachable_engine_is_a_failure_with_help_and_the_ledger_stays() {
        let state = tempfile::tempdir().unwrap();
        let run: RunId = "20261121-084514-0005".parse().unwrap();
        let ledger = Ledger::open(state.path(), &run, crate::platform::reap_engines).unwrap();
        for n in 0..2 {
            let (engine, name) = ("unix:///nowhere/engine.sock".to_owned(), format!("{}-{n}", run.name()));
            ledger.record(&Resource::Container { engine, name }).unwrap();
        }
        drop(ledger);
        let mut out = Vec::new();
        assert_eq!(clean(state.path(), Mode::List, &mut out).unwrap(), Exit::Failure);
        assert_eq!(clean(state.path(), Mode::Remove, &mut out).unwrap(), Exit::Failure);
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains("2 containers of the engine at unix:///nowhere/engine.sock, if they still exist"),
            "{text}"
        );
        assert!(text.contains("0005: failed to remove everything") && text.contains("start it: dockerd"), "{text}");
        assert!(state.path().join(run.name()).is_dir(), "its ledger stays");
    }

    #[test]
    fn engines_are_listed_only_if_they_had_something() {
        let left = Leftovers { containers: 2, images: 1, ..Leftovers::default() };
        assert!(in_words(&left).ends_with("0 folders, 2 containers, 1 image and its ledger"), "{}", in_words(&left));
        assert!(!in_words(&Leftovers::default()).contains("container"));
    }

    #[test]
    fn checkouts_of_revisions_are_listed_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("5ec9498")).unwrap();
        fs::write(folder.path().join(".lock"), "").unwrap();
        let mut out = Vec::new();
        list_checkouts(folder.path(), &mut out).unwrap();
        list_checkouts(&folder.path().join("nowhere"), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let path = folder.path().join("5ec9498");
        assert!(text.ends_with(&format!("git worktree remove --force {}`\n", path.display())), "{text}");
        assert!(text.lines().count() == 2 && path.is_dir());
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
