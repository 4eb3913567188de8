//! How waits end.

use crate::platform::process::watch::*;

#[test]
fn a_raised_interrupt_ends_a_wait_that_nothing_else_would() {
    let (read, _write) = pipe().expect("a pipe");
    let interrupt = Interrupt::new().expect("an eventfd");
    let mut watch = Watch::new("fw-test", read, &interrupt);
    let far = HostClock.now() + Duration::from_secs(600).into();
    let waker = std::thread::spawn({
        let interrupt = interrupt.clone();
        move || interrupt.raise()
    });
    assert!(matches!(watch.wait_for(Milestone::Main, far), Err(Error::Interrupted)));
    waker.join().expect("raised");
}

#[test]
fn what_was_printed_before_a_late_wait_counts() {
    let (read, write) = pipe().expect("a pipe");
    rustix::io::write(&write, b"FW main\n").expect("written");
    let mut watch = Watch::new("fw-test", read, &Interrupt::new().expect("an eventfd"));
    watch.wait_for(Milestone::Main, Nanos(0)).expect("it is there");
}

#[test]
fn a_deadline_reports_what_was_awaited_and_what_was_seen() {
    let (read, write) = pipe().expect("a pipe");
    rustix::io::write(&write, b"half a word\n").expect("written");
    let mut watch = Watch::new("fw-test", read, &Interrupt::new().expect("an eventfd"));
    let soon = HostClock.now() + Duration::from_millis(5).into();
    let error = watch.wait_for(Milestone::Ready, soon).expect_err("too late").to_string();
    assert!(error.contains("`FW ready`") && error.contains("half a word") && error.contains("fw-test"), "{error}");
}

/// Starts a machine whose monitor is `program`; returns its watch and the writing end of its console.
fn machine(program: &str, argument: &str, behavior: ExitBehavior) -> (Watch, OwnedFd) {
    let (read, write) = pipe().expect("a pipe");
    #[expect(clippy::zombie_processes, reason = "the watch reaps it")]
    let child = std::process::Command::new(program).arg(argument).spawn().expect("it starts");
    let process = Process::open(child.id() as i32).expect("it lives");
    let mut watch = Watch::new("fw-test", read, &Interrupt::new().expect("an eventfd"));
    watch.follow_machine(process, behavior);
    (watch, write)
}

fn far() -> Nanos {
    HostClock.now() + Duration::from_secs(600).into()
}

#[test]
fn a_machine_that_keeps_running_is_ended_once_its_program_has() {
    let (mut watch, write) = machine("sleep", "600", ExitBehavior::MayStay);
    rustix::io::write(&write, b"FW main\nFW exit code 3\n").expect("written");
    watch.wait_for(Milestone::Exit, far()).expect("it ends");
    assert_eq!(watch.exit(), Some(Exit::Code(3)), "the program's status, not the signal that ended the monitor");
    watch.process().expect("it has one").reap().expect("it is ours");
}

#[test]
fn a_machine_that_stops_without_reporting_an_exit_status_is_a_failure() {
    let (mut watch, _write) = machine("true", "", ExitBehavior::Ends);
    let error = watch.wait_for(Milestone::Exit, far()).expect_err("no exit status").to_string();
    assert!(error.contains("without reporting"), "{error}");
    assert_eq!(watch.exit(), None, "the monitor's exit code is not its program's");
    watch.process().expect("it has one").reap().expect("it is ours");
}
