//! Tests of the attackers: they count their operations and stay within their limits.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sys::resource::{Resource, setrlimit};
use nix::unistd::Uid;
use rstest::rstest;

use super::launch::{Guest, binary, dir, names, run};
use crate::guest::GuestLine;
use crate::model::program::Program;

#[rstest]
#[case(Program::Prime, &[])]
#[case(Program::Stream, &["bytes=1048576"])]
#[case(Program::Open, &[])]
#[case(Program::Read, &[])]
#[case(Program::Write, &[])]
#[case(Program::Stat, &[])]
#[case(Program::Fork, &[])]
fn an_attacker_counts_its_operations_at_most_once_a_second(#[case] program: Program, #[case] arguments: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let dir = dir(folder.path());
    let (lines, code) = run(program, &[&["deadline=3", &dir], arguments].concat());
    assert_eq!(code, Some(124), "{lines:?}");
    assert_eq!(lines[..3], [GuestLine::Main, GuestLine::Ready, GuestLine::Ops(1)], "the first report comes at once");
    let ops: Vec<u64> = lines[2..].iter().map(|line| ops_of(line).unwrap()).collect();
    assert!(ops.is_sorted_by(|one, next| one < next), "{ops:?}");
    // One report at once, and one after each of the three seconds.
    assert!((2..=4).contains(&ops.len()), "{ops:?}");
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

fn ops_of(line: &GuestLine) -> Option<u64> {
    match line {
        GuestLine::Ops(ops) => Some(*ops),
        _ => None,
    }
}

#[test]
fn the_fork_attacker_never_has_more_than_one_child() {
    let mut guest = Guest::launch(Program::Fork, &[]);
    guest.wait_ready();
    let pid = guest.pid();
    let path = format!("/proc/{pid}/task/{pid}/children");
    if fs::read_to_string(&path).is_err() {
        println!("skipped: this kernel has no {path}");
        return;
    }
    let reader = std::thread::spawn(move || {
        // The second line comes after one second of forking.
        let ops = [guest.line(), guest.line()].map(|line| ops_of(&line.unwrap()).unwrap());
        guest.terminate();
        (ops, guest.finish())
    });
    let mut most = 0;
    while !reader.is_finished() {
        let children = fs::read_to_string(&path).unwrap_or_default();
        most = most.max(children.split_whitespace().count());
    }
    let (ops, (_, status)) = reader.join().unwrap();
    assert!(ops[1] > ops[0]);
    assert_eq!(most, 1);
    assert_eq!(status.code(), Some(143));
}

#[test]
fn a_failed_fork_is_an_error() {
    // Use another folder, because the user below may not have access to the folder of the build.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let copy = folder.path().join("fork");
    // Let another process copy: a child forked meanwhile would inherit a copy open for writing, which cannot be
    // executed.
    assert!(Command::new("cp").arg(binary(Program::Fork)).arg(&copy).status().unwrap().success());
    let mut command = Command::new(copy);
    command.arg("deadline=30");
    if Uid::effective().is_root() {
        command.uid(65534); // the limit on processes does not apply to root
    }
    // SAFETY: the closure makes one system call, which is safe after fork, and touches no memory of the parent.
    unsafe { command.pre_exec(|| Ok(setrlimit(Resource::RLIMIT_NPROC, 0, 0)?)) };
    let (lines, status) = Guest::start(command).finish();
    let error = GuestLine::Error("fork: Resource temporarily unavailable".into());
    assert_eq!(lines, [GuestLine::Main, GuestLine::Ready, error]);
    assert_eq!(status.code(), Some(1));
}
