//! A platform applies what an arm of a comparison sets, or rejects it with the reason.

use std::fs;
use std::time::Duration;

use featherweight::host::cgroup::{Cgroup, Quota};
use featherweight::model::event::Event;
use featherweight::model::program::Program;
use featherweight::model::units::Nanos;
use featherweight::platform::arm::Arm;
use featherweight::platform::{Context, LaunchSpec, Milestone, Platform, Purpose, SettingKind, registry};

use crate::fixture::{Fixture, contracts};

contracts! {
    Real a_quota_is_read_back_from_the_kernel,
    Real only_what_is_measured_has_a_quota,
    Nothing busy_work_delays_what_is_measured,
    Real two_arms_of_one_platform_do_not_disturb_each_other,
    Real a_setting_that_is_not_a_program_is_rejected,
}

/// The fixture's platform as an arm.
fn open(fixture: &Fixture, settings: &str) -> Box<dyn Platform> {
    let arm: Arm = format!("{}{settings}", fixture.subject.name).parse().expect("an arm");
    let context = Context::new(fixture.ledger.clone(), fixture.interrupt.clone()).with_settings(&arm.settings);
    registry::open(&arm.platform, &context).expect("it is made")
}

/// The same; `None`, with the reason printed, if the platform rejects the settings.
fn arm(fixture: &Fixture, settings: &str) -> Option<Box<dyn Platform>> {
    let platform = open(fixture, &format!(",{settings}"));
    match platform.check() {
        Ok(facts) => {
            assert!(facts.notes.iter().any(|note| note.contains(settings)), "{facts:?}");
            Some(platform)
        }
        Err(why) => {
            assert!(!why.cure.is_empty());
            println!("ignored: {},{settings}: {why}", fixture.subject.name);
            None
        }
    }
}

/// The quota of a sleeper that is launched for `purpose`.
fn quota(fixture: &Fixture, platform: &dyn Platform, purpose: Purpose) -> Option<Quota> {
    let spec = LaunchSpec { purpose, ..fixture.spec(Program::Sleep, &[]) };
    platform.prepare(&spec.image).expect("it can be prepared");
    let mut instance = platform.launch(&spec).expect("it launches");
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let quota = instance.cgroup().and_then(Cgroup::quota);
    instance.stop().expect("it stops");
    quota
}

fn a_quota_is_read_back_from_the_kernel(fixture: &Fixture) {
    let Some(platform) = arm(fixture, "inject=quota:50%") else { return };
    let quota = quota(fixture, platform.as_ref(), Purpose::Measured);
    assert_eq!(quota, Some(Quota { time_us: 1_000, period_us: 2_000 }));
}

fn only_what_is_measured_has_a_quota(fixture: &Fixture) {
    let Some(platform) = arm(fixture, "inject=quota:50%") else { return };
    assert_eq!(quota(fixture, platform.as_ref(), Purpose::Neighbor), None);
    assert_eq!(quota(fixture, fixture.platform(), Purpose::Measured), None, "nor without the arm");
}

fn busy_work_delays_what_is_measured(fixture: &Fixture) {
    let busy = Nanos::from(Duration::from_millis(200));
    let Some(platform) = arm(fixture, "inject=busy:200ms") else { return };
    let spec = fixture.spec(Program::Hello, &[]);
    platform.prepare(&spec.image).expect("it can be prepared");
    let mut instance = platform.launch(&spec).expect("it launches");
    let deadline = platform.clock().now() + fixture.patience().into();
    instance.wait_for(Milestone::Exit, deadline).expect("it ends");
    let events = instance.stop().expect("it stops").events;
    assert!(events[&Event::Main].saturating_sub(events[&Event::Spawn]) >= busy, "{events:?}");
}

fn two_arms_of_one_platform_do_not_disturb_each_other(fixture: &Fixture) {
    let spec = || fixture.spec(Program::Hello, &[]);
    let arm = || {
        let platform = open(fixture, "");
        platform.prepare(&spec().image).expect("it can be prepared");
        platform
    };
    let (first, second) = (arm(), arm());
    // Everything that it created is removed with it.
    drop(first);
    let mut instance = second.launch(&spec()).expect("it launches");
    let ended = instance.wait_for(Milestone::Exit, second.clock().now() + fixture.patience().into());
    instance.stop().expect("it stops");
    ended.expect("it ends");
}

fn a_setting_that_is_not_a_program_is_rejected(fixture: &Fixture) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "not a program").expect("written");
    let entry = registry::entry(fixture.platform().id()).expect("it is in the registry");
    for (key, kind) in [("runtime", SettingKind::Runtime), ("qemu", SettingKind::Qemu)] {
        let error = open(fixture, &format!(",{key}={}", file.path().display())).check().expect_err("rejected");
        let why = if entry.settings.contains(&kind) { "is not a program" } else { "does not support" };
        assert!(error.reason.contains(why), "{key}: {error}");
    }
}
