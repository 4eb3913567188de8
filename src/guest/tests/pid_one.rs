//! As the first process of a pid namespace, where a signal's default action does not end a program.

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
    /// `None` without the right to make a pid namespace.
    fn launch(program: Program, arguments: &[&str]) -> Option<Self> {
        Self::launch_binary(&binary(program), arguments)
    }

    /// As [`First::launch`], of any program.
    pub(super) fn launch_binary(path: &Path, arguments: &[&str]) -> Option<Self> {
        if !Uid::effective().is_root() {
            println!("skipped: only root makes pid namespaces");
            return None;
        }
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        let words = [path.as_c_str().to_owned()].into_iter();
        let words: Vec<CString> = words.chain(arguments.iter().map(|a| CString::new(*a).unwrap())).collect();
        let (reader, writer) = pipe2(OFlag::O_CLOEXEC).unwrap();
        let pid = first_process(&path, &words, &writer);
        Some(Self { pid, lines: BufReader::new(File::from(reader)) })
    }

    pub(super) fn line(&mut self) -> Option<GuestLine> {
        let mut text = String::new();
        (self.lines.read_line(&mut text).unwrap() > 0).then(|| GuestLine::parse(&text))
    }

    /// Its remaining lines and its exit status.
    pub(super) fn finish(mut self) -> (Vec<GuestLine>, i32) {
        let lines = std::iter::from_fn(|| self.line()).collect();
        match waitpid(self.pid, None).unwrap() {
            WaitStatus::Exited(_, code) => (lines, code),
            other => panic!("unexpected end {other:?}"),
        }
    }
}

fn first_process(path: &CString, words: &[CString], stdout: &OwnedFd) -> Pid {
    let mut stack = vec![0; 256 << 10];
    let words: Vec<_> = words.iter().map(|word| word.as_ptr()).chain([std::ptr::null()]).collect();
    // SAFETY: the words are C strings that outlive the call, their list ends with a null pointer, and neither call
    // allocates, so that a lock that another thread held when the memory was copied does no harm.
    let child = || unsafe {
        libc::dup2(stdout.as_raw_fd(), libc::STDOUT_FILENO);
        libc::execv(path.as_ptr(), words.as_ptr()) as isize
    };
    // SAFETY: the memory is not shared (no CLONE_VM), so the child has its own copy of the stack and of all it uses.
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
fn the_probe_knows_that_it_is_the_first() {
    let Some(guest) = First::launch(Program::Probe, &["do=where"]) else { return };
    let (lines, code) = guest.finish();
    let pid = lines.iter().find_map(|line| match line {
        GuestLine::Result(result) => result.get("pid").and_then(Value::as_u64),
        _ => None,
    });
    assert_eq!((pid, code), (Some(1), 0));
}
