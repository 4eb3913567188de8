//! The job `publish`: the history goes to its branch, and a change becomes an issue.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::alert::{self, Action};
use super::git::{BRANCH, Remote};
use super::{ALERT_KEY, ALERT_TEXT};
use crate::cli::gate::api::{Api, Method};
use crate::cli::gate::runner::Runner;
use crate::cli::gate::workflow::print;

/// Publishes the history in `folder`.
///
/// # Errors
/// When git fails, GitHub refuses, or a file cannot be read or written.
pub(super) fn publish(folder: &Path, runner: &Runner) -> anyhow::Result<()> {
    push(folder, &Remote::new(runner)?)?;
    let text = read_or_empty(&folder.join(ALERT_TEXT))?;
    if text.is_empty() {
        return Ok(());
    }
    let token = runner.token.as_deref().context("GATE_TOKEN is not set")?;
    let key = fs::read(folder.join(ALERT_KEY)).with_context(|| format!("failed to read {ALERT_KEY}"))?;
    print(&tell(&Api::new(&runner.github, token)?, &key, &text)?);
    Ok(())
}

fn push(folder: &Path, remote: &Remote) -> anyhow::Result<()> {
    let branch = tempfile::tempdir().context("failed to create a temporary folder")?;
    remote.check_out(branch.path())?;
    for file in files_of_history(folder)? {
        add_lines(&file, branch.path())?;
    }
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d");
    let is_new = remote.push(branch.path(), &format!("history: add the night of {date}"))?;
    match is_new {
        true => print(&format!("pushed the history to the branch {BRANCH}")),
        false => print("the history is unchanged"),
    }
    Ok(())
}

/// One file per machine. A night may have none.
fn files_of_history(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|it| it == "jsonl")).collect();
    files.sort();
    Ok(files)
}

/// Adds the new lines of a file to the one of the same name on the branch. No line is lost, whichever night is published
/// again.
fn add_lines(file: &Path, branch: &Path) -> anyhow::Result<()> {
    let kept = branch.join(file.file_name().context("a file has a name")?);
    let merged = merge(&read_or_empty(&kept)?, &read_or_empty(file)?);
    fs::write(&kept, merged).with_context(|| format!("failed to write {}", kept.display()))
}

/// The lines of both texts, each once, in their order.
fn merge(kept: &str, new: &str) -> String {
    let mut seen = HashSet::new();
    let lines = kept.lines().chain(new.lines()).filter(|line| seen.insert(*line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The text of a file; empty when there is no such file.
fn read_or_empty(path: &Path) -> anyhow::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.with_context(|| format!("failed to read {}", path.display())),
    }
}

/// Creates or updates the issue. One that somebody closed stays closed for the same change.
fn tell(api: &Api, key: &[u8], text: &str) -> anyhow::Result<String> {
    let marker = alert::key_marker(key);
    let issue = alert::issue(&marker, text);
    let open = api.find_marked("issues?state=open&", alert::MARKER)?;
    let closed = api.find_marked("issues?state=closed&", &marker)?;
    let number = |entry: Option<crate::cli::gate::api::Entry>| entry.and_then(|entry| entry.number);
    match Action::new(number(open), number(closed)) {
        Action::Update(number) => {
            api.send(Method::Patch, &format!("issues/{number}"), &issue)?;
            Ok(format!("updated issue {number}"))
        }
        Action::LeaveClosed(number) => Ok(format!("issue {number} about the same change is closed")),
        Action::Create => {
            api.send(Method::Post, "issues", &issue)?;
            Ok("created an issue".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::first_night("", "1\n", "1\n")]
    #[case::next_night("1\n2\n", "1\n2\n3\n", "1\n2\n3\n")]
    #[case::an_earlier_night_again("1\n2\n3", "2\n", "1\n2\n3\n")]
    #[case::nothing("", "", "")]
    fn lines_are_only_ever_added(#[case] kept: &str, #[case] new: &str, #[case] expected: &str) {
        assert_eq!(merge(kept, new), expected);
    }

    #[test]
    fn only_files_of_the_history_are_published() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.jsonl", "alert.md", "a.jsonl"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let expected = ["a.jsonl", "b.jsonl"].map(|name| folder.path().join(name));
        assert_eq!(files_of_history(folder.path()).unwrap(), expected);
    }
}
