//! A guest's life: its start, its lines, its events, its end.

use std::fs;

use featherweight::guest::GuestLine;
use featherweight::model::cpuset::CpuSet;
use featherweight::model::event::Event;
use featherweight::model::program::Program;
use featherweight::model::run::RUN_VARIABLE;
use featherweight::platform::{Exit, LaunchSpec, Milestone, Purpose, StampedLine};

use crate::fixture::{Fixture, contracts};
use crate::host;

contracts! {
    Nothing exit_codes_are_reported,
    Nothing a_signal_that_ends_a_guest_is_reported,
    Nothing lines_of_the_guest_are_shown_in_order,
    Nothing events_are_in_the_order_of_life,
    Nothing a_past_milestone_is_reported_again,
    Nothing a_background_instance_lives_and_ends_like_any_other,
    Programs a_guest_has_a_writable_folder,
    Host a_guest_runs_on_the_cpus_it_is_given,
    Host threads_are_listed_while_it_lives,
    Host a_guest_inherits_nothing_of_the_harness,
    Host a_guest_carries_the_marker_of_the_run,
}

fn exit_codes_are_reported(fixture: &Fixture) {
    for code in [0, 1, 7, 255] {
        assert_eq!(fixture.run(&["do=exit", &format!("code={code}")]).exit, Exit::Code(code));
    }
}

fn a_signal_that_ends_a_guest_is_reported(fixture: &Fixture) {
    // The signal differs between platforms: the first process of a namespace survives its own SIGABRT.
    let crashed = fixture.run(&["do=crash"]).exit;
    assert!(matches!(crashed, Exit::Signal(signal) if signal > 0), "{crashed:?}");
    let mut instance = fixture.launch(&fixture.spec(Program::Sleep, &[]));
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
}

fn lines_of_the_guest_are_shown_in_order(fixture: &Fixture) {
    let stopped = fixture.run(&["do=where"]);
    let [StampedLine { line: GuestLine::Main, at: first }, StampedLine { line: GuestLine::Result(value), at: last }] =
        stopped.lines.as_slice()
    else {
        panic!("{:?}", stopped.lines);
    };
    assert!(first <= last && value["pid"].is_number(), "{value}");
}

fn events_are_in_the_order_of_life(fixture: &Fixture) {
    let stopped = fixture.run(&["do=where"]);
    let instants: Vec<_> = Event::ALL.iter().filter_map(|event| stopped.events.get(event)).collect();
    assert!(instants.is_sorted(), "{:?}", stopped.events);
    for event in [Event::Spawn, Event::Main, Event::Result, Event::Exit, Event::Gone] {
        assert!(stopped.events.contains_key(&event), "{event} in {:?}", stopped.events);
    }
    assert!(*instants[instants.len() - 1] <= fixture.platform().clock().now(), "the platform's own clock");
}

fn a_past_milestone_is_reported_again(fixture: &Fixture) {
    let mut instance = fixture.probe(&["do=where"]);
    fixture.wait(&mut instance, Milestone::Exit).expect("it ends");
    let main = fixture.wait(&mut instance, Milestone::Main).expect("it began");
    assert_eq!(instance.events().get(&Event::Main), Some(&main));
    assert_eq!(fixture.wait(&mut instance, Milestone::Main).expect("it began"), main);
    instance.stop().expect("stopped");
}

fn a_background_instance_lives_and_ends_like_any_other(fixture: &Fixture) {
    let spec = fixture.spec(Program::Sleep, &[]);
    let mut instance = fixture.launch(&LaunchSpec { purpose: Purpose::Background, ..spec });
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    instance.kill();
    fixture.wait(&mut instance, Milestone::Exit).expect("it ends");
    let stopped = instance.stop().expect("stopped");
    assert_eq!(stopped.exit, Exit::Signal(9));
    assert!(Event::ALL.iter().filter_map(|event| stopped.events.get(event)).is_sorted(), "{:?}", stopped.events);
}

fn a_guest_has_a_writable_folder(fixture: &Fixture) {
    let mut instance = fixture.probe(&["do=where"]);
    assert_eq!(fixture.result(&mut instance)["dir_writable"], true);
    instance.stop().expect("stopped");
}

fn a_guest_runs_on_the_cpus_it_is_given(fixture: &Fixture) {
    let usable: CpuSet = host::status(std::process::id() as i32, "Cpus_allowed_list")
        .and_then(|list| list.parse().ok())
        .expect("the kernel lists our CPUs");
    for cpu in usable.iter() {
        let cpus = Some(CpuSet::one(cpu));
        let mut instance = fixture.launch(&LaunchSpec { cpus, ..fixture.spec(Program::Probe, &["do=where"]) });
        assert_eq!(fixture.result(&mut instance)["cpus"], cpu.to_string());
        instance.stop().expect("stopped");
    }
}

fn threads_are_listed_while_it_lives(fixture: &Fixture) {
    let mut instance = fixture.launch(&fixture.spec(Program::Sleep, &[]));
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let threads = instance.threads();
    assert_eq!(threads.len(), 1, "{threads:?}");
    assert_eq!(host::status(threads[0].tid, "Name").as_deref(), Some("sleep"));
    instance.kill();
    fixture.wait(&mut instance, Milestone::Exit).expect("it ends");
    assert!(instance.threads().is_empty());
    instance.stop().expect("stopped");
}

fn a_guest_inherits_nothing_of_the_harness(fixture: &Fixture) {
    let mut instance = fixture.launch(&fixture.spec(Program::Sleep, &[]));
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let pid = instance.threads()[0].pid;
    let mut open: Vec<_> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("its descriptors")
        .map(|entry| entry.expect("a descriptor").file_name().into_string().expect("a number"))
        .collect();
    open.sort();
    assert_eq!(open, ["0", "1", "2"]);
    let input = fs::read_link(format!("/proc/{pid}/fd/0")).expect("its input");
    assert!(input.ends_with("null"), "{input:?}");
    let mask = |field| u64::from_str_radix(&host::status(pid, field).expect("a mask"), 16).expect("a mask");
    assert_eq!(mask("SigBlk"), 0, "no signal is blocked");
    assert_eq!(mask("SigIgn") & 1 << (libc::SIGPIPE - 1), 0, "the Rust runtime ignores SIGPIPE; a guest must not");
    assert_eq!(host::session(pid), pid, "the terminal's Ctrl-C must not reach it");
    instance.stop().expect("stopped");
}

fn a_guest_carries_the_marker_of_the_run(fixture: &Fixture) {
    let mut instance = fixture.launch(&fixture.spec(Program::Sleep, &[]));
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let environment = fs::read(format!("/proc/{}/environ", instance.threads()[0].pid)).expect("its environment");
    let marker = format!("{RUN_VARIABLE}={}", fixture.ledger.run());
    assert!(environment.split(|&b| b == 0).any(|variable| variable == marker.as_bytes()));
    instance.stop().expect("stopped");
}
