//! The job `history`: the sessions of the night go into the history, and changes are measured again.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Deserialize;

use super::git::Remote;
use super::{ALERT_KEY, ALERT_TEXT, alert};
use crate::cli::exit::BadInput;
use crate::cli::gate::programs::Programs;
use crate::cli::gate::runner::Runner;
use crate::cli::gate::session::SESSION_FILE;
use crate::cli::gate::workflow::{Level, annotate, write_summary};

/// The title of annotations about the history.
const TITLE: &str = "Featherweight history";

/// The part of `cargo xtask history --format=json` that decides about an alert.
#[derive(Debug, Deserialize)]
struct Shown {
    alerts: Vec<String>,
}

/// Adds the sessions below `sessions` to the history in `folder`, and measures again what has changed.
///
/// # Errors
/// When no session could be added, a program fails, or a file cannot be read or written.
pub(super) fn add(sessions: &Path, folder: &Path, as_root: bool, runner: &Runner) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let folder = absolute(folder)?;
    Remote::new(runner)?.check_out(&folder)?;
    let history = History { programs: Programs::new(as_root, Some(&folder))?, folder };
    let mut added = 0;
    for session in sessions_below(sessions) {
        added += usize::from(history.add(&session)?);
    }
    if added == 0 {
        return Err(BadInput(format!("{}: no session could be added to the history", sessions.display())).into());
    }
    history.confirm()?;
    history.write_alert(runner)
}

/// The history's folder, and what changes it.
#[derive(Debug)]
struct History {
    programs: Programs,
    folder: PathBuf,
}

impl History {
    /// Adds a session. One that is refused does not keep the others out.
    fn add(&self, session: &Path) -> anyhow::Result<bool> {
        let path = absolute(session)?;
        let code = self.programs.run(&["history", "add", &self.dir(), &path.display().to_string()])?;
        if code != 0 {
            let text = format!("failed to add {} to the history; see the log", session.display());
            annotate(Level::Warning, TITLE, &text);
        }
        Ok(code == 0)
    }

    /// Measures again what has changed, here and now. The result goes into the history where this machine can measure it,
    /// and the alert shows the output in any case.
    fn confirm(&self) -> anyhow::Result<()> {
        let arguments = ["history", &self.dir(), "--confirm"];
        let code = self.programs.run_logged(&arguments, &self.folder.join("confirm.txt"))?;
        // Exit code 1 is an answer: the regression is confirmed.
        if ![0, 1].contains(&code) {
            annotate(Level::Warning, TITLE, &format!("the confirmation ended with exit code {code}; see the log"));
        }
        Ok(())
    }

    fn write_alert(&self, runner: &Runner) -> anyhow::Result<()> {
        let markdown = self.show("markdown")?;
        self.write("history.md", &markdown)?;
        write_summary(runner.step_summary.as_deref(), &markdown)?;
        let shown: Shown = serde_json::from_str(&self.show("json")?).context("failed to parse the history")?;
        let key = key(shown.alerts);
        self.write(ALERT_KEY, &key)?;
        if key.is_empty() {
            return Ok(());
        }
        let confirmation = fs::read(self.folder.join("confirm.txt")).context("failed to read confirm.txt")?;
        self.write(ALERT_TEXT, &alert::text(&markdown, &String::from_utf8_lossy(&confirmation)))
    }

    fn show(&self, format: &str) -> anyhow::Result<String> {
        match self.programs.read(&["history", &self.dir(), &format!("--format={format}")])? {
            (0, text) => Ok(text),
            (code, _) => bail!("`cargo xtask history --format={format}` failed with exit code {code}"),
        }
    }

    fn dir(&self) -> String {
        format!("--dir={}", self.folder.display())
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))
    }
}

/// The changes in a fixed order, so that the same changes have the same key.
fn key(mut alerts: Vec<String>) -> String {
    alerts.sort();
    alerts.iter().map(|alert| format!("{alert}\n")).collect()
}

/// The folders with a session, at any depth: an artifact has a folder of its own.
fn sessions_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(dir) = open.pop() {
        if dir.join(SESSION_FILE).is_file() {
            found.push(dir.clone());
        }
        let entries = fs::read_dir(&dir).into_iter().flatten().flatten();
        let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        open.extend(entries.filter(is_folder).map(|entry| entry.path()));
    }
    found.sort();
    found
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    path.canonicalize().with_context(|| format!("failed to find {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_changes_have_the_same_key() {
        let change = |name: &str| format!("{name}: change 1, worse");
        assert_eq!(key(vec![change("b"), change("a")]), "a: change 1, worse\nb: change 1, worse\n");
        assert_eq!(key(Vec::new()), "");
    }

    #[test]
    fn sessions_are_found_at_any_depth() {
        let folder = tempfile::tempdir().unwrap();
        for session in ["night on youki/b", "night on native/a", "c"] {
            let dir = folder.path().join(session);
            fs::create_dir_all(&dir).unwrap();
            fs::write(dir.join(SESSION_FILE), "{}").unwrap();
        }
        fs::create_dir(folder.path().join("empty")).unwrap();
        let expected = ["c", "night on native/a", "night on youki/b"].map(|name| folder.path().join(name));
        assert_eq!(sessions_below(folder.path()), expected);
        assert!(sessions_below(&folder.path().join("missing")).is_empty());
    }
}
