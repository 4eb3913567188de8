//! Tests of the probe: it misbehaves as requested.

use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;

use serde_json::{Value, json};

use super::launch::{Guest, dir, names, run};
use crate::guest::GuestLine;
use crate::model::program::Program;

fn result(arguments: &[&str]) -> Value {
    let (lines, code) = run(Program::Probe, arguments);
    assert_eq!(code, Some(0), "{lines:?}");
    match &lines[..] {
        [GuestLine::Main, GuestLine::Result(result)] => result.clone(),
        _ => panic!("unexpected lines {lines:?}"),
    }
}

#[test]
fn it_exits_as_requested() {
    assert_eq!(run(Program::Probe, &["do=exit", "code=7"]), (vec![GuestLine::Main], Some(7)));
    assert_eq!(run(Program::Probe, &["do=silent"]), (vec![], Some(0)));
    let (lines, code) = run(Program::Probe, &["do=nothing"]);
    assert!(matches!(&lines[..], [GuestLine::Main, GuestLine::Error(_)]), "{lines:?}");
    assert_eq!(code, Some(2));
}

#[test]
fn it_hangs_through_a_signal_but_not_through_its_deadline() {
    let mut guest = Guest::launch(Program::Probe, &["do=hang", "deadline=1"]);
    guest.wait_ready();
    guest.terminate();
    let (lines, status) = guest.finish();
    assert_eq!((lines, status.code()), (vec![], Some(124)));
}

#[test]
fn it_crashes() {
    let (lines, status) = Guest::launch(Program::Probe, &["do=crash"]).finish();
    assert_eq!((lines, status.signal()), (vec![GuestLine::Main], Some(libc::SIGABRT)));
}

#[test]
fn it_floods() {
    let mut guest = Guest::launch(Program::Probe, &["do=flood"]);
    assert_eq!(guest.line(), Some(GuestLine::Main));
    for line in 0..10_000 {
        assert_eq!(guest.line(), Some(GuestLine::Other(format!("flood {line}"))));
    }
}

#[test]
fn it_takes_memory_and_processes() {
    assert_eq!(result(&["do=allocate", "bytes=1000000"]), json!({"allocated": 1_000_000}));
    assert_eq!(result(&["do=spawn", "count=5"]), json!({"spawned": 5, "errno": 0}));
}

#[test]
fn it_keeps_its_children_until_it_is_ended() {
    let mut guest = Guest::launch(Program::Probe, &["do=spawn", "count=2", "then=pause"]);
    assert_eq!(guest.line(), Some(GuestLine::Main));
    assert_eq!(guest.line(), Some(GuestLine::Result(json!({"spawned": 2, "errno": 0}))));
    guest.terminate();
    // The lines end only when no child holds the pipe anymore.
    let (lines, status) = guest.finish();
    assert_eq!((lines, status.code()), (vec![], Some(143)));
}

#[test]
fn it_reports_its_environment() {
    let folder = tempfile::tempdir().unwrap();
    let environment = result(&["do=where", &dir(folder.path())]);
    let status = procfs::process::Process::myself().unwrap().status().unwrap();
    let cpus: Vec<String> = status.cpus_allowed_list.unwrap().into_iter().map(range).collect();
    assert_eq!(environment["cpus"], cpus.join(","));
    assert_eq!(environment["dir_writable"], true);
    assert_eq!(environment["hostname"], nix::unistd::gethostname().unwrap().to_string_lossy().as_ref());
    assert_eq!(environment["uid"], nix::unistd::getuid().as_raw());
    assert_eq!(names(folder.path()), Vec::<String>::new());
    assert_eq!(result(&["do=where", "dir=/no/such/folder"])["dir_writable"], false);
}

#[test]
fn it_answers_every_connection() {
    let at = TcpListener::bind(("127.18.0.77", 0)).and_then(|free| free.local_addr()).unwrap();
    let arguments = ["do=serve".to_owned(), format!("listen={}", at.ip()), format!("port={}", at.port())];
    let mut guest = Guest::launch(Program::Probe, &arguments.each_ref().map(String::as_str));
    guest.wait_ready();
    for _ in 0..3 {
        let answer = TcpStream::connect(at).and_then(std::io::read_to_string).unwrap();
        assert!(answer.starts_with(&format!("probe on {} port {} since ", at.ip(), at.port())), "{answer}");
    }
    guest.terminate();
    assert_eq!(guest.finish().1.code(), Some(143));
}

#[test]
fn it_reports_why_it_cannot_listen() {
    for (argument, what) in [("listen=here", "here"), ("listen=192.0.2.1", "listen")] {
        let (lines, code) = run(Program::Probe, &["do=serve", argument]);
        assert!(matches!(&lines[..], [GuestLine::Main, GuestLine::Error(e)] if e.starts_with(what)), "{lines:?}");
        assert_eq!(code, Some(1));
    }
}

fn range((first, last): (u32, u32)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}
