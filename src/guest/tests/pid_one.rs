//! Tests of guest programs as the first process of a PID namespace, where the default action of a signal does not end a
//! program.

use std::ffi::CString;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sched::{CloneFlags, clone};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, Uid, pipe2};
use serde_json::Value;

use super::launch::binary;
use crate::guest::GuestLine;
use crate::model::program::Program;

pub(super) struct First {
    pub(super) pid: Pid,
    lines: BufReader<File>,
}

impl First {
    /// Launches a program; returns `None` if this user may not create a PID namespace.
    fn launch(program: Program, arguments: &[&str]) -> Option<Self> {
        Self::launch_binary(&binary(program), arguments)
    }

    /// Launches any binary like [`First::launch`].
    pub(super) fn launch_binary(path: &Path, arguments: &[&str]) -> Option<Self> {
        if !Uid::effective().is_root() {
            println!("skipped: only root may create PID namespaces");
            return None;
        }
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let mut command = vec![path.clone()];
        command.extend(arguments.iter().map(|argument| CString::new(*argument).unwrap()));
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let pid = first_process(&path, &command, &writer);
        Some(Self { pid, lines: BufReader::new(File::from(reader)) })
    }

    pub(super) fn line(&mut self) -> Option<GuestLine> {
        let mut text = String::new();
        (self.lines.read_line(&mut text).unwrap() > 0).then(|| GuestLine::parse(&text))
    }

    /// Returns the remaining lines and the exit code.
    pub(super) fn finish(mut self) -> (Vec<GuestLine>, i32) {
        let lines = std::iter::from_fn(|| self.line()).collect();
        match waitpid(self.pid, None).unwrap() {
            WaitStatus::Exited(_, code) => (lines, code),
            other => panic!("unexpected end {other:?}"),
        }
    }
}

fn first_process(path: &CString, command: &[CString], stdout: &OwnedFd) -> Pid {
    let mut stack = vec![0; 256 << 10];
    let pointers: Vec<_> = command.iter().map(|argument| argument.as_ptr()).chain([std::ptr::null()]).collect();
    // SAFETY: the arguments are C strings that outlive the call, and their list ends with a null pointer. Neither call
    // allocates, so a lock that another thread held when the memory was copied does no harm.
    let child = || unsafe {
        libc::dup2(stdout.as_raw_fd(), libc::STDOUT_FILENO);
        libc::execv(path.as_ptr(), pointers.as_ptr()) as isize
    };
    // SAFETY: the memory is not shared (no CLONE_VM), so the child has its own copy of the stack and all other data.
    unsafe { clone(Box::new(child), &mut stack, CloneFlags::CLONE_NEWPID, Some(libc::SIGCHLD)) }.unwrap()
}

#[test]
fn the_deadline_ends_it() {
    let Some(guest) = First::launch(Program::Fork, &["deadline=2"]) else { return };
    let (lines, code) = guest.finish();
    assert_eq!(lines[..2], [GuestLine::Main, GuestLine::Ready]);
    assert!(matches!(lines.last(), Some(GuestLine::Ops(_))), "{lines:?}");
    assert_eq!(code, 124);
}

#[test]
fn a_signal_from_outside_ends_it() {
    let Some(mut guest) = First::launch(Program::Sleep, &["deadline=30"]) else { return };
    assert_eq!([guest.line(), guest.line()], [Some(GuestLine::Main), Some(GuestLine::Ready)]);
    kill(guest.pid, Signal::SIGTERM).unwrap();
    assert_eq!(guest.finish(), (vec![], 143));
}

#[test]
fn the_probe_reports_that_it_is_the_first_process() {
    let Some(guest) = First::launch(Program::Probe, &["do=where"]) else { return };
    let (lines, code) = guest.finish();
    let pid = lines.iter().find_map(|line| match line {
        GuestLine::Result(result) => result.get("pid").and_then(Value::as_u64),
        _ => None,
    });
    assert_eq!((pid, code), (Some(1), 0));
}
