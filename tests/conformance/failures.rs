//! A guest that does something unexpected is an error with a reason, never a hang.

use std::time::Duration;

use featherweight::guest::Image;
use featherweight::model::program::Program;
use featherweight::platform::{Error, Exit, LaunchSpec, Milestone};

use crate::fixture::{Fixture, assert_failed, contracts};

contracts! {
    Nothing a_guest_that_ends_too_early_is_a_failure,
    Nothing a_guest_that_crashes_is_a_failure,
    Nothing a_guest_without_a_line_is_a_failure,
    Nothing a_guest_that_reports_an_error_is_a_failure,
    Nothing a_flood_is_bounded_and_ends_at_the_deadline,
    Nothing a_wait_ends_at_its_deadline,
    Nothing a_hanging_guest_ends_at_its_own_deadline,
    Nothing a_hanging_guest_can_be_stopped,
    Nothing a_guest_can_be_killed_twice_and_after_its_end,
    Real a_missing_program_is_named,
}

fn a_guest_that_ends_too_early_is_a_failure(fixture: &Fixture) {
    let mut instance = fixture.probe(&["do=exit", "code=3"]);
    assert_failed(fixture.wait(&mut instance, Milestone::Ready), &["code 3", "FW ready", instance.name()]);
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Code(3));
}

fn a_guest_that_crashes_is_a_failure(fixture: &Fixture) {
    let mut instance = fixture.probe(&["do=crash"]);
    assert_failed(fixture.wait(&mut instance, Milestone::Result), &["signal"]);
    instance.stop().expect("stopped");
}

fn a_guest_without_a_line_is_a_failure(fixture: &Fixture) {
    let mut instance = fixture.probe(&["do=silent"]);
    assert_failed(fixture.wait(&mut instance, Milestone::Main), &["no output"]);
    assert!(instance.stop().expect("stopped").lines.is_empty());
}

fn a_guest_that_reports_an_error_is_a_failure(fixture: &Fixture) {
    for milestone in [Milestone::Ready, Milestone::Exit] {
        let mut instance = fixture.probe(&["do=nonsense"]);
        assert_failed(fixture.wait(&mut instance, milestone), &["the guest reports", "do"]);
        instance.stop().expect("stopped");
    }
}

fn a_flood_is_bounded_and_ends_at_the_deadline(fixture: &Fixture) {
    let mut instance = fixture.probe(&["do=flood"]);
    let outcome = instance.wait_for(Milestone::Result, fixture.within(Duration::from_millis(300)));
    assert!(matches!(outcome, Err(Error::Deadline { .. })), "{outcome:?}");
    assert!(instance.lines().len() < 10_000, "a few thousand at most");
    instance.stop().expect("stopped");
}

fn a_wait_ends_at_its_deadline(fixture: &Fixture) {
    let mut instance = fixture.launch(&fixture.spec(Program::Sleep, &[]));
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    match instance.wait_for(Milestone::Result, fixture.within(Duration::from_millis(20))) {
        Err(Error::Deadline { name, awaited, last, .. }) => {
            assert_eq!(name, instance.name());
            assert!(awaited.contains("result") && last.contains("ready"), "{awaited}; {last}");
        }
        other => panic!("{other:?}"),
    }
    instance.stop().expect("stopped");
}

fn a_hanging_guest_ends_at_its_own_deadline(fixture: &Fixture) {
    let deadline = Duration::from_secs(1);
    let mut instance = fixture.launch(&LaunchSpec { deadline, ..fixture.spec(Program::Probe, &["do=hang"]) });
    fixture.wait(&mut instance, Milestone::Exit).expect("it ends itself");
    let exit = instance.stop().expect("stopped").exit;
    assert_ne!(exit, Exit::Code(0));
}

fn a_hanging_guest_can_be_stopped(fixture: &Fixture) {
    let mut instance = fixture.probe(&["do=hang"]);
    fixture.wait(&mut instance, Milestone::Ready).expect("it hangs");
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
}

fn a_guest_can_be_killed_twice_and_after_its_end(fixture: &Fixture) {
    let mut instance = fixture.launch(&fixture.spec(Program::Sleep, &[]));
    instance.kill();
    instance.kill();
    fixture.wait(&mut instance, Milestone::Exit).expect("it ends");
    instance.kill();
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
}

fn a_missing_program_is_named(fixture: &Fixture) {
    let spec = fixture.spec(Program::Hello, &[]);
    let rootfs = fixture.ledger.dir().join("no-such-image");
    let spec = LaunchSpec { image: Image { rootfs, ..spec.image.clone() }, ..spec };
    assert_failed(fixture.platform().prepare(&spec.image), &["no-such-image"]);
    assert_failed(fixture.platform().launch(&spec), &[&spec.name]);
}
