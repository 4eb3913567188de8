//! Tests of arguments, deadlines and signals, and of the programs other than attackers.

use std::process::Command;
use std::time::{Duration, Instant};

use rstest::rstest;

use super::launch::{Guest, binary, dir, names, run};
use crate::guest::GuestLine;
use crate::model::program::Program;

#[test]
fn hello_prints_its_line_and_exits() {
    assert_eq!(run(Program::Hello, &[]), (vec![GuestLine::Main], Some(0)));
}

#[rstest]
#[case(Program::Hello, "color=red", "unknown key")]
#[case(Program::Hello, "deadline", "unknown key")]
#[case(Program::Sleep, "deadline=0", "not a number from 1 to 31622400")]
#[case(Program::Sleep, "deadline=1s", "not a number from 1 to 31622400")]
#[case(Program::Sleep, "deadline=-1", "not a number from 1 to 31622400")]
#[case(Program::Stat, "dir=", "no value")]
#[case(Program::Stream, "bytes=99999999999999999999999", "not a number from 8 to 9223372036854775807")]
#[case(Program::Sqlite, "rows=0", "not a number from 1 to 1000000000")]
#[case(Program::Hello, "busy=0", "not a number from 1 to 3600000000000")]
#[case(Program::Sleep, "busy=-1", "not a number from 1 to 3600000000000")]
#[case(Program::Hello, "busy=3600000000001", "not a number from 1 to 3600000000000")]
#[case(Program::Sqlite, "busy=5%", "not a number from 1 to 3600000000000")]
#[case(Program::Probe, "code=256", "not a number from 0 to 255")]
fn an_invalid_argument_is_reported_before_any_work(
    #[case] program: Program,
    #[case] argument: &str,
    #[case] why: &str,
) {
    let error = GuestLine::Error(format!("argument `{argument}`: {why}"));
    assert_eq!(run(program, &[argument]), (vec![GuestLine::Main, error], Some(2)));
}

#[test]
fn sleep_sleeps_until_its_deadline() {
    assert_eq!(run(Program::Sleep, &["deadline=1"]), (vec![GuestLine::Main, GuestLine::Ready], Some(124)));
}

#[test]
fn a_signal_ends_sleep() {
    let mut guest = Guest::launch(Program::Sleep, &[]);
    guest.wait_ready();
    guest.terminate();
    let (lines, status) = guest.finish();
    assert_eq!((lines, status.code()), (vec![], Some(143)));
}

#[test]
fn sqlite_inserts_its_rows_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let (lines, code) = run(Program::Sqlite, &["rows=100", &dir(folder.path())]);
    assert_eq!(code, Some(0), "{lines:?}");
    let [GuestLine::Main, GuestLine::Ready, GuestLine::Result(result)] = &lines[..] else {
        panic!("unexpected lines {lines:?}");
    };
    assert_eq!(result["rows"], 100);
    assert!(result["insert_ns"].as_u64().unwrap() > 0);
    assert!(result["sqlite"].as_str().unwrap().starts_with("3."));
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

/// Much longer than the programs take otherwise.
const BUSY: Duration = Duration::from_millis(300);

#[rstest]
#[case(Program::Hello)]
#[case(Program::Sleep)]
fn a_busy_program_prints_its_first_line_later(#[case] program: Program) {
    let began = Instant::now();
    let mut guest = Guest::launch(program, &[&format!("busy={}", BUSY.as_nanos())]);
    assert_eq!(guest.line(), Some(GuestLine::Main));
    assert!(began.elapsed() >= BUSY, "{:?}", began.elapsed());
}

#[test]
fn sqlite_is_busy_while_it_inserts_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let busy = format!("busy={}", BUSY.as_nanos());
    let took = |arguments: &[&str]| {
        let (lines, code) = run(Program::Sqlite, &[&[&dir(folder.path()) as &str, "rows=7"], arguments].concat());
        let Some(GuestLine::Result(result)) = lines.get(2) else { panic!("{code:?} {lines:?}") };
        Duration::from_nanos(result["insert_ns"].as_u64().unwrap())
    };
    assert!(took(&[&busy]) >= BUSY);
    let mut guest = Guest::launch(Program::Sqlite, &[&dir(folder.path()), "rows=7", "busy=20000000000"]);
    let began = Instant::now();
    guest.wait_ready();
    assert!(began.elapsed() < Duration::from_secs(20), "it is ready before it is busy");
}

#[test]
fn sqlite_that_is_ended_early_removes_its_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut guest = Guest::launch(Program::Sqlite, &["rows=1000000000", &dir(folder.path())]);
    guest.wait_ready();
    assert!(!names(folder.path()).is_empty());
    guest.terminate();
    let (lines, status) = guest.finish();
    assert_eq!((lines, status.code()), (vec![], Some(143)));
    assert_eq!(names(folder.path()), Vec::<String>::new());
}

#[rstest]
#[case(Program::Sqlite)]
#[case(Program::Open)]
#[case(Program::Write)]
fn a_missing_folder_is_an_error(#[case] program: Program) {
    let error = GuestLine::Error("/no/such/folder: No such file or directory".into());
    assert_eq!(run(program, &["dir=/no/such/folder"]), (vec![GuestLine::Main, error], Some(1)));
}

#[test]
fn a_line_is_one_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(binary(Program::Sqlite));
    command.args(["rows=10", "deadline=30", &dir(folder.path())]);
    let writes = Guest::separate_writes(command);
    assert_eq!(writes.len(), 3);
    assert!(writes.iter().all(|write| write.ends_with('\n') && write.matches('\n').count() == 1), "{writes:?}");
}
