//! The real tools against the real servers, on the loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::Uid;
use rstest::rstest;
use tempfile::TempDir;

use super::Tools;
use crate::guest::GuestLine;
use crate::guest::tests::launch::{Guest, dir, server};
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{self, Ledger, Resource};
use crate::host::placement::usable_cpus;
use crate::model::cpuset::CpuSet;
use crate::model::load::Load;
use crate::model::program::Program;
use crate::model::run::RunId;
use crate::platform::load_generator::{Drive, Driven, LoadGenerator};
use crate::platform::{Context, Endpoint, Error};

const LOAD: Load = Load { seconds: 1, connections: 4, threads: 14, requests: 20_000, clients: 4, pipeline: 16 };

const LONG: Duration = Duration::from_secs(60);

/// The tools of a run whose ledger is in `state`.
fn tools(state: &TempDir) -> (Tools, RunId, Interrupt) {
    let run = RunId::generate();
    let ledger = Arc::new(Ledger::open(state.path(), &run, crate::platform::reap_engines).unwrap());
    let interrupt = Interrupt::new().unwrap();
    (Tools::new(Context::new(ledger, interrupt.clone())), run, interrupt)
}

/// Whether the tool that drives `program` is installed; otherwise prints why the test is skipped.
fn can_drive(tools: &Tools, program: Program) -> bool {
    tools.check(program).inspect_err(|missing| println!("skipped: {missing}")).is_ok()
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// A server at `address` that is ready; `None` where it is not installed.
fn serve(program: Program, address: SocketAddr, folder: &TempDir) -> Option<Guest> {
    let mut command = Command::new(server(program)?.binary());
    command.args([format!("listen={}", address.ip()), format!("port={}", address.port()), dir(folder.path())]);
    command.arg("deadline=60");
    let mut guest = Guest::start(command);
    while guest.line().expect("it becomes ready") != GuestLine::Ready {}
    Some(guest)
}

fn drive_at(tools: &Tools, program: Program, address: SocketAddr, deadline: Duration) -> Result<Driven, Error> {
    let endpoint = Endpoint { address, netns: None };
    tools.drive(&Drive { program, endpoint: &endpoint, load: &LOAD, cpus: None, deadline })
}

fn value(driven: &Driven, name: &str) -> f64 {
    let metric = driven.metrics.iter().find(|metric| metric.name == name);
    metric.unwrap_or_else(|| panic!("no {name} in {driven:?}")).value
}

#[rstest]
#[case(Program::Nginx, &["throughput", "latency_p50", "latency_p99"])]
#[case(Program::Redis, &["throughput", "throughput_set", "throughput_get"])]
fn a_server_is_driven_for_real(#[case] program: Program, #[case] names: &[&str]) {
    let (state, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (tools, run, _) = tools(&state);
    let address = free_address();
    if !can_drive(&tools, program) {
        return;
    }
    let Some(_guest) = serve(program, address, &folder) else { return };
    let cpus = CpuSet::one(usable_cpus().unwrap().first().unwrap());
    let endpoint = Endpoint { address, netns: None };
    let drive = Drive { program, endpoint: &endpoint, load: &LOAD, cpus: Some(&cpus), deadline: LONG };
    let driven = tools.drive(&drive).unwrap();
    for name in names {
        assert!(value(&driven, name) > 0.0, "{driven:?}");
    }
    let busy = value(&driven, "client_cpu");
    assert!(busy > 0.0 && busy < 1.1, "it had one CPU: {driven:?}");
    let resources = ledger::resources(state.path(), &run).unwrap();
    assert!(matches!(&resources[..], [Resource::Process { name }] if name.starts_with(&run.name())), "{resources:?}");
}

#[rstest]
#[case(Program::Nginx)]
#[case(Program::Redis)]
fn where_nobody_listens_the_trial_fails_at_once(#[case] program: Program) {
    let state = tempfile::tempdir().unwrap();
    let (tools, ..) = tools(&state);
    let address = free_address();
    if can_drive(&tools, program) {
        let error = drive_at(&tools, program, address, LONG).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(&address.to_string()) && error.contains("Connection refused"), "{error}");
    }
}

#[test]
fn a_server_that_never_answers_fails_at_the_deadline() {
    let state = tempfile::tempdir().unwrap();
    let (tools, ..) = tools(&state);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    if can_drive(&tools, Program::Redis) {
        let deadline = Duration::from_millis(300);
        let error = drive_at(&tools, Program::Redis, silent.local_addr().unwrap(), deadline).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }), "{error}");
        assert!(error.to_string().contains("waited 300 ms for the end of redis-benchmark"), "{error}");
    }
}

#[test]
fn no_answer_at_all_is_no_throughput_of_nothing() {
    let state = tempfile::tempdir().unwrap();
    let (tools, ..) = tools(&state);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    if can_drive(&tools, Program::Nginx) {
        let error = drive_at(&tools, Program::Nginx, silent.local_addr().unwrap(), LONG).unwrap_err().to_string();
        assert!(error.contains("no request was answered"), "{error}");
    }
}

#[test]
fn the_user_may_stop_it() {
    let state = tempfile::tempdir().unwrap();
    let (tools, _, interrupt) = tools(&state);
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    if can_drive(&tools, Program::Redis) {
        interrupt.raise();
        let outcome = drive_at(&tools, Program::Redis, silent.local_addr().unwrap(), LONG);
        assert!(matches!(outcome, Err(Error::Interrupted)), "{outcome:?}");
    }
}

#[test]
fn what_serves_nothing_is_not_driven() {
    let state = tempfile::tempdir().unwrap();
    let (tools, ..) = tools(&state);
    assert!(tools.check(Program::Hello).is_err());
    assert!(drive_at(&tools, Program::Hello, free_address(), LONG).is_err());
}

/// Makes a network namespace with its loopback up and serves in it until the sender is dropped; its path.
fn serve_elsewhere(program: Program, address: SocketAddr, until: mpsc::Receiver<()>) -> Option<PathBuf> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let folder = tempfile::tempdir().unwrap();
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        let up = Command::new("ip").args(["link", "set", "lo", "up"]).status();
        let guest = up.is_ok_and(|status| status.success()).then(|| serve(program, address, &folder)).flatten();
        let tid = rustix::thread::gettid().as_raw_nonzero();
        sender.send(guest.is_some().then(|| PathBuf::from(format!("/proc/self/task/{tid}/ns/net")))).unwrap();
        // Ends with an error when the sender is dropped.
        let _ = until.recv();
    });
    receiver.recv().unwrap()
}

#[test]
fn the_tool_works_in_the_network_namespace_of_the_endpoint() {
    if !Uid::effective().is_root() {
        return println!("skipped: only root makes network namespaces");
    }
    let state = tempfile::tempdir().unwrap();
    let (tools, ..) = tools(&state);
    let address = free_address();
    let (_serving, until) = mpsc::channel();
    if !can_drive(&tools, Program::Nginx) {
        return;
    }
    let Some(netns) = serve_elsewhere(Program::Nginx, address, until) else {
        return println!("skipped: no nginx, or no ip(8)");
    };
    assert!(drive_at(&tools, Program::Nginx, address, LONG).is_err(), "nobody listens there in this namespace");
    let endpoint = Endpoint { address, netns: Some(netns) };
    let drive = Drive { program: Program::Nginx, endpoint: &endpoint, load: &LOAD, cpus: None, deadline: LONG };
    let driven = tools.drive(&drive).unwrap();
    assert!(value(&driven, "throughput") > 0.0 && value(&driven, "client_time_wait") > 0.0, "{driven:?}");
}
