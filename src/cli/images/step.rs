//! A command of a recipe, with a time limit. Its output goes to a log; errors name it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::cli::program_output::{end_of, text_of};

/// How long a command may take to end after SIGTERM.
const GRACE_PERIOD: Duration = Duration::from_secs(10);

/// A command of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// The program and its arguments.
    pub(super) command: Vec<String>,
    /// The working directory; the current one if `None`.
    pub(super) folder: Option<PathBuf>,
    /// Additional environment variables.
    pub(super) environment: Vec<(String, String)>,
    /// The log; without one, only an error contains the output.
    pub(super) log: Option<PathBuf>,
    /// The time limit.
    pub(super) limit: Duration,
}

impl Step {
    /// Describes a command without a log.
    pub(super) fn brief(command: impl IntoIterator<Item = impl Into<String>>, limit: Duration) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self { command, folder: None, environment: Vec::new(), log: None, limit }
    }

    /// Runs the command and returns its output. The command stays in this process group, so that Ctrl-C also ends it.
    ///
    /// # Errors
    /// When the command cannot be started, fails, or times out, which ends it. The error contains the end of the
    /// output.
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
            .with_context(|| format!("failed to start `{}`", self.command.join(" ")))?;
        let ended = end_within(&mut child, self.limit)?;
        let text = text_of(&mut output)?;
        match ended {
            Some(status) if status.success() => Ok(text),
            Some(status) => bail!("`{}` failed: {status}{}", self.shown(), self.log_and_end(&text)),
            None => bail!("`{}` timed out after {} s{}", self.shown(), self.limit.as_secs(), self.log_and_end(&text)),
        }
    }

    fn output(&self) -> anyhow::Result<File> {
        let Some(path) = &self.log else {
            return tempfile::tempfile().context("failed to create a file for the output");
        };
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).open(path);
        file.with_context(|| format!("failed to create {}", path.display()))
    }

    /// Shortens a long command.
    fn shown(&self) -> String {
        let text = self.command.join(" ");
        match text.char_indices().nth(160) {
            Some((end, _)) => format!("{}…", &text[..end]),
            None => text,
        }
    }

    fn log_and_end(&self, text: &str) -> String {
        let log = self.log.as_ref().map(|log| format!("; the log is {}", log.display())).unwrap_or_default();
        format!("{log}\n{}", end_of(text))
    }
}

/// Waits for the exit status; after `limit`, ends the command and returns `None`. SIGTERM comes first, so that `make`
/// can end its children.
fn end_within(child: &mut Child, limit: Duration) -> anyhow::Result<Option<ExitStatus>> {
    let pid = Pid::from_child(child);
    if exits_within(pid, limit)? {
        return Ok(Some(child.wait()?));
    }
    let _ = kill_process(pid, Signal::TERM);
    if !exits_within(pid, GRACE_PERIOD)? {
        let _ = child.kill();
    }
    child.wait()?;
    Ok(None)
}

fn exits_within(pid: Pid, limit: Duration) -> anyhow::Result<bool> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&Timespec::try_from(limit)?))? > 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn the_output_of_a_step_is_returned_and_logged() {
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
        let message = step.run().unwrap_err().to_string();
        assert!(message.starts_with("`ls /no-such-folder` failed: exit status: 2; the log is "), "{message}");
        assert!(message.contains(&log.display().to_string()) && message.contains("No such file"), "{message}");
    }

    #[test]
    fn a_step_that_hangs_times_out() {
        let message = Step::brief(["sleep", "600"], Duration::from_millis(50)).run().unwrap_err().to_string();
        assert!(message.starts_with("`sleep 600` timed out after 0 s"), "{message}");
    }
}
