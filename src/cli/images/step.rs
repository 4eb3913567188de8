//! One command of a recipe, with a time limit. All that it prints goes to a log, which is kept and named when it fails.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// How much of a failed command's output is shown: lines.
const SHOWN: usize = 15;

/// What a command that was told to end may take for it.
const END: Duration = Duration::from_secs(10);

/// A command of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// Where it runs; here when there is none.
    pub(super) folder: Option<PathBuf>,
    /// What it finds in its environment beside what is there.
    pub(super) environment: Vec<(String, String)>,
    /// Its log; without one, what it prints is only in the error.
    pub(super) log: Option<PathBuf>,
    /// When it is given up on.
    pub(super) limit: Duration,
}

impl Step {
    /// A short command without a log.
    pub(super) fn brief(command: impl IntoIterator<Item = impl Into<String>>, limit: Duration) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self { command, folder: None, environment: Vec::new(), log: None, limit }
    }

    /// Runs it to its end and returns what it printed. It stays in this process's group, so that Ctrl-C ends it, too.
    ///
    /// # Errors
    /// When it cannot be started, fails (with the end of its output), or has not ended by the limit, which ends it.
    pub(super) fn run(&self) -> anyhow::Result<String> {
        let (program, arguments) = self.command.split_first().context("an empty command")?;
        let mut output = self.output()?;
        let mut command = Command::new(program);
        command.args(arguments).env("LC_ALL", "C").envs(self.environment.iter().cloned()).stdin(Stdio::null());
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let mut child = command
            .stdout(output.try_clone()?)
            .stderr(output.try_clone()?)
            .spawn()
            .with_context(|| format!("start `{}`", self.command.join(" ")))?;
        let ended = end_within(&mut child, self.limit)?;
        let text = text_of(&mut output)?;
        match ended {
            Some(status) if status.success() => Ok(text),
            Some(status) => bail!("`{}` failed: {status}{}", self.shown(), self.told(&text)),
            None => bail!("`{}` had not ended after {} s{}", self.shown(), self.limit.as_secs(), self.told(&text)),
        }
    }

    fn output(&self) -> anyhow::Result<File> {
        let Some(path) = &self.log else { return tempfile::tempfile().context("make a file for the output") };
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        file.with_context(|| format!("make {}", path.display()))
    }

    /// Enough of a long command to know it by.
    fn shown(&self) -> String {
        let said = self.command.join(" ");
        match said.char_indices().nth(160) {
            Some((end, _)) => format!("{}…", &said[..end]),
            None => said,
        }
    }

    fn told(&self, text: &str) -> String {
        let log = self.log.as_ref().map(|log| format!("; the whole log is {}", log.display())).unwrap_or_default();
        format!("{log}\n{}", end_of(text))
    }
}

/// How it ended, unless that took longer; then it is told to, which lets `make` end what it started, and ended.
fn end_within(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let pid = Pid::from_child(child);
    if waited(pid, limit)? {
        return Ok(Some(child.wait()?));
    }
    let _ = kill_process(pid, Signal::TERM);
    if !waited(pid, END)? {
        let _ = child.kill();
    }
    child.wait()?;
    Ok(None)
}

fn waited(pid: Pid, limit: Duration) -> anyhow::Result<bool> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&Timespec::try_from(limit)?))? > 0)
}

/// All of a file that was written through another handle.
pub(super) fn text_of(output: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a text, indented.
fn end_of(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN)..].iter().map(|line| format!("     {line}\n")).collect()
}

/// The last line of a text that is not empty: where most programs say why they failed.
pub(super) fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn what_a_step_prints_is_returned_and_logged() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        let step = Step { log: Some(log.clone()), ..Step::brief(["printf", "a b"], SOON) };
        assert_eq!(step.run().unwrap(), "a b");
        assert_eq!(fs::read_to_string(log).unwrap(), "a b");
    }

    #[test]
    fn a_failure_names_its_log_and_shows_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("x.log");
        let step = Step { log: Some(log.clone()), ..Step::brief(["ls", "/no-such-folder"], SOON) };
        let told = step.run().unwrap_err().to_string();
        assert!(told.starts_with("`ls /no-such-folder` failed: exit status: 2; the whole log is "), "{told}");
        assert!(told.contains(&log.display().to_string()) && told.contains("No such file"), "{told}");
    }

    #[test]
    fn a_step_that_hangs_is_ended_at_its_limit() {
        let told = Step::brief(["sleep", "600"], Duration::from_millis(50)).run().unwrap_err().to_string();
        assert!(told.starts_with("`sleep 600` had not ended after 0 s"), "{told}");
    }
}
