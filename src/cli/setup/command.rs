//! One command with a time limit. Its output is shown only when it fails.

use std::fs::File;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// How much of a failed command's output is shown: lines.
const SHOWN: usize = 15;

/// What package managers are told, so that none of them asks or restarts services.
const QUIET: &[(&str, &str)] =
    &[("DEBIAN_FRONTEND", "noninteractive"), ("NEEDRESTART_SUSPEND", "1"), ("LC_ALL", "C.UTF-8")];

/// Runs the command to its end and returns what it printed. It has a process group of its own: Ctrl-C ends setup
/// between two steps, and no package manager half-way through one.
///
/// # Errors
/// When it cannot be started, fails (with the end of its output), or has not ended by the limit, which ends it.
pub(super) fn run(command: &[String], limit: Duration) -> anyhow::Result<String> {
    let (program, arguments) = command.split_first().context("an empty command")?;
    let said = command.join(" ");
    let mut output = tempfile::tempfile().context("make a file for the output")?;
    let mut child = Command::new(program)
        .args(arguments)
        .envs(QUIET.iter().copied())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()
        .with_context(|| format!("start `{said}`"))?;
    let in_time = ended_within(&child, limit);
    if !matches!(in_time, Ok(true)) {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    let status = child.wait()?;
    let text = text_of(&mut output)?;
    match (in_time?, status.success()) {
        (true, true) => Ok(text),
        (true, false) => bail!("`{said}` failed: {status}\n{}", end_of(&text)),
        (false, _) => bail!("`{said}` had not ended after {} s and was stopped\n{}", limit.as_secs(), end_of(&text)),
    }
}

fn ended_within(child: &Child, limit: Duration) -> anyhow::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&Timespec::try_from(limit)?))? > 0)
}

fn text_of(output: &mut File) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last lines of a text, indented.
pub(super) fn end_of(text: &str) -> String {
    let lines: Vec<_> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(SHOWN)..].iter().map(|line| format!("     {line}\n")).collect()
}

/// The last line of a text that is not empty: where most programs say why they failed.
pub(super) fn last_line(text: &str) -> String {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("without a message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_words(words: &[&str], limit: Duration) -> anyhow::Result<String> {
        run(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), limit)
    }

    const SOON: Duration = Duration::from_secs(30);

    #[test]
    fn what_a_command_prints_is_returned() {
        assert_eq!(run_words(&["printf", "a b"], SOON).unwrap(), "a b");
    }

    #[test]
    fn a_failure_names_the_command_and_shows_its_output() {
        let told = format!("{:#}", run_words(&["ls", "/no-such-folder"], SOON).unwrap_err());
        assert!(told.starts_with("`ls /no-such-folder` failed: exit status: 2"), "{told}");
        assert!(told.contains("No such file"), "{told}");
        let told = format!("{:#}", run_words(&["no-such-program-of-ours"], SOON).unwrap_err());
        assert!(told.starts_with("start `no-such-program-of-ours`: "), "{told}");
    }

    #[test]
    fn a_command_that_hangs_is_stopped_at_the_limit() {
        let told = format!("{:#}", run_words(&["sleep", "600"], Duration::from_millis(50)).unwrap_err());
        assert!(told.contains("had not ended after 0 s and was stopped"), "{told}");
    }

    #[test]
    fn only_the_end_of_a_long_output_is_shown() {
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        assert_eq!(end_of(&long).lines().count(), SHOWN);
        assert!(end_of(&long).ends_with("line 99\n") && end_of("").is_empty());
        assert_eq!(last_line("a\n b \n\n"), "b");
    }
}
