//! Runs a tool to its end, or kills it at the deadline or when the user stops the run.
//!
//! Invariant: when [`Job::run`] returns, the tool has ended and is reaped.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, kill_process, pidfd_open};

use crate::host::interrupt::Interrupt;
use crate::model::run::{RUN_VARIABLE, RunId};

/// The most output of a tool that is read.
const MOST_OUTPUT: u64 = 1 << 20;

/// A tool to run. It inherits the CPUs and the network namespace of the calling thread.
#[derive(Debug)]
pub(super) struct Job<'a> {
    /// The tool.
    pub(super) program: &'a Path,
    /// Its arguments.
    pub(super) arguments: &'a [String],
    /// The run that it belongs to, for its environment.
    pub(super) run: &'a RunId,
    /// The longest time that it may take.
    pub(super) deadline: Duration,
    /// Ends it early.
    pub(super) interrupt: &'a Interrupt,
}

/// A tool that has ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// How it ended.
    pub(super) ending: Ending,
    /// Its standard output.
    pub(super) output: String,
    /// Its standard error.
    pub(super) errors: String,
    /// The CPU time of all its threads.
    pub(super) cpu: Duration,
    /// From just before its start to its end.
    pub(super) wall: Duration,
}

/// How a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// By itself.
    Exit(ExitStatus),
    /// It was killed at the deadline.
    Deadline,
    /// It was killed because the user asked to stop.
    Interrupted,
}

impl Job<'_> {
    /// Runs the tool to its end.
    ///
    /// # Errors
    /// When it cannot be started or awaited.
    pub(super) fn run(&self) -> io::Result<Ended> {
        // In memory instead of pipes, so that a tool that prints much never waits for the harness.
        let [mut output, mut errors] = [memory("output")?, memory("errors")?];
        let begun = Instant::now();
        let child = self.start(&output, &errors)?;
        let waited = self.wait(&child);
        if !matches!(waited, Ok(None)) {
            kill(&child);
        }
        let (status, cpu) = reap(&child)?;
        let wall = begun.elapsed();
        let ending = waited?.unwrap_or(Ending::Exit(status));
        Ok(Ended { ending, output: content(&mut output)?, errors: content(&mut errors)?, cpu, wall })
    }

    /// Starts the tool in a process group of its own: Ctrl-C reaches only the harness, which kills the tool.
    fn start(&self, output: &File, errors: &File) -> io::Result<Child> {
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .env("LC_ALL", "C")
            .env(RUN_VARIABLE, self.run.as_str())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(errors.try_clone()?);
        // A tool may run forever without its server, and the harness may be killed.
        // SAFETY: prctl(2) is one system call, which neither allocates nor locks.
        unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
        command.spawn()
    }

    /// Waits for the end of the tool; `None` when it ended by itself.
    fn wait(&self, child: &Child) -> io::Result<Option<Ending>> {
        let handle = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
        let give_up = Instant::now() + self.deadline;
        loop {
            let left = give_up.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
            let interrupt = self.interrupt.fd();
            let mut watched = [
                PollFd::from_borrowed_fd(handle.as_fd(), PollFlags::IN),
                PollFd::from_borrowed_fd(interrupt, PollFlags::IN),
            ];
            match poll(&mut watched, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            let [ended, interrupted] = watched.map(|fd| !fd.revents().is_empty());
            match (ended, interrupted) {
                (true, _) => return Ok(None),
                (_, true) => return Ok(Some(Ending::Interrupted)),
                _ if left.is_zero() => return Ok(Some(Ending::Deadline)),
                _ => {}
            }
        }
    }
}

fn memory(name: &str) -> io::Result<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

fn content(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(MOST_OUTPUT).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Kills by number, which belongs to the child until it is reaped. There may be no handle, if opening one failed.
fn kill(child: &Child) {
    // It fails only when the child has ended.
    let _ = kill_process(Pid::from_child(child), rustix::process::Signal::KILL);
}

/// Waits for the end of the child; returns its exit status and its CPU time.
fn reap(child: &Child) -> io::Result<(ExitStatus, Duration)> {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    loop {
        // SAFETY: both pointers are to memory of the right type that outlives the call; all zero is a valid `rusage`.
        let reaped = unsafe { libc::wait4(child.id() as libc::pid_t, &raw mut status, 0, usage.as_mut_ptr()) };
        let error = io::Error::last_os_error();
        if reaped >= 0 {
            break;
        } else if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: it was zeroed, and filled by wait4(2).
    let usage = unsafe { usage.assume_init() };
    Ok((ExitStatus::from_raw(status), time(usage.ru_utime) + time(usage.ru_stime)))
}

fn time(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::tools::find;

    fn run(program: &str, arguments: &[&str], deadline: Duration, interrupt: &Interrupt) -> Ended {
        let program = find(program).unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Job { program: &program, arguments: &arguments, run: &RunId::generate(), deadline, interrupt }.run().unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_tool_is_run_to_its_end_with_the_mark_of_the_run() {
        let ended = run("env", &[], LONG, &Interrupt::new().unwrap());
        assert!(matches!(ended.ending, Ending::Exit(status) if status.success()));
        assert!(ended.output.lines().any(|line| line.starts_with("FEATHERWEIGHT_RUN=2")), "{}", ended.output);
        let ended = run("ls", &["/no-such-file"], LONG, &Interrupt::new().unwrap());
        assert!(matches!(ended.ending, Ending::Exit(status) if !status.success()));
        assert!(ended.output.is_empty() && ended.errors.contains("no-such-file"), "{ended:?}");
    }

    #[test]
    fn its_cpu_time_is_its_own() {
        let ended =
            run("dd", &["if=/dev/zero", "of=/dev/null", "bs=1M", "count=2000"], LONG, &Interrupt::new().unwrap());
        assert!(ended.cpu > Duration::ZERO && ended.cpu <= ended.wall + Duration::from_millis(50), "{ended:?}");
    }

    #[test]
    fn it_is_ended_at_the_deadline_and_when_the_user_asks() {
        let interrupt = Interrupt::new().unwrap();
        assert_eq!(run("sleep", &["600"], Duration::from_millis(20), &interrupt).ending, Ending::Deadline);
        interrupt.raise();
        assert_eq!(run("sleep", &["600"], LONG, &interrupt).ending, Ending::Interrupted);
    }
}
