//! Runs a command with a time limit. Only an error contains its output.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::cli::program_output::{end_of, text_of};

/// Environment variables that keep package managers from asking questions and restarting services.
const NONINTERACTIVE: &[(&str, &str)] =
    &[("DEBIAN_FRONTEND", "noninteractive"), ("NEEDRESTART_SUSPEND", "1"), ("LC_ALL", "C.UTF-8")];

/// Runs the command and returns its output. The command has its own process group, so that Ctrl-C stops setup between
/// two steps instead of a package manager in the middle of its work.
///
/// # Errors
/// When the command cannot be started, fails, or times out, which ends it. The error contains the end of the output.
pub(super) fn run(command: &[String], limit: Duration) -> anyhow::Result<String> {
    let (program, arguments) = command.split_first().context("an empty command")?;
    let line = command.join(" ");
    let mut output = tempfile::tempfile().context("failed to create a file for the output")?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(NONINTERACTIVE.iter().copied())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()
        .with_context(|| format!("failed to start `{line}`"))?;
    let in_time = exits_within(&child, limit);
    if !matches!(in_time, Ok(true)) {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait()?;
    let text = text_of(&mut output)?;
    match (in_time?, status.success()) {
        (true, true) => Ok(text),
        (true, false) => bail!("`{line}` failed: {status}\n{}", end_of(&text)),
        (false, _) => bail!("`{line}` timed out after {} s\n{}", limit.as_secs(), end_of(&text)),
    }
}

fn exits_within(child: &Child, limit: Duration) -> anyhow::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&Timespec::try_from(limit)?))? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_command(command: &[&str], limit: Duration) -> anyhow::Result<String> {
        run(&command.iter().map(|&argument| argument.to_owned()).collect::<Vec<_>>(), limit)
    }

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn the_output_of_a_command_is_returned() {
        assert_eq!(run_command(&["printf", "a b"], SOON).unwrap(), "a b");
    }

    #[test]
    fn a_failure_names_the_command_and_shows_its_output() {
        let message = format!("{:#}", run_command(&["ls", "/no-such-folder"], SOON).unwrap_err());
        assert!(message.starts_with("`ls /no-such-folder` failed: exit status: 2"), "{message}");
        assert!(message.contains("No such file"), "{message}");
        let message = format!("{:#}", run_command(&["no-such-program-of-ours"], SOON).unwrap_err());
        assert!(message.starts_with("failed to start `no-such-program-of-ours`: "), "{message}");
    }

    #[test]
    fn a_command_that_hangs_times_out() {
        let message = format!("{:#}", run_command(&["sleep", "600"], Duration::from_millis(50)).unwrap_err());
        assert!(message.contains("timed out after 0 s"), "{message}");
    }
}
