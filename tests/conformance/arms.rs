//! What an arm of a comparison sets on a platform is done, or refused with the reason.

use std::fs;
use std::time::Duration;

use featherweight::host::cgroup::{Cgroup, Quota};
use featherweight::model::event::Event;
use featherweight::model::program::Program;
use featherweight::model::units::Nanos;
use featherweight::platform::arm::Arm;
use featherweight::platform::{Context, LaunchSpec, Milestone, Platform, Purpose, registry};

use crate::stand::{Stand, contracts};

contracts! {
    Real a_quota_is_read_back_from_the_kernel,
    Real only_what_is_measured_has_a_quota,
    Nothing busy_work_delays_what_is_measured,
    Real two_arms_of_one_platform_do_not_disturb_each_other,
    Real what_is_no_program_is_refused,
}

/// The stand's platform as an arm.
fn open(stand: &Stand, settings: &str) -> Box<dyn Platform> {
    let arm: Arm = format!("{}{settings}", stand.subject.name).parse().expect("an arm");
    let context = Context::new(stand.ledger.clone(), stand.interrupt.clone()).with_settings(&arm.settings);
    registry::open(&arm.platform, &context).expect("it is made")
}

/// The same; `None`, with the reason printed, if it refuses.
fn arm(stand: &Stand, settings: &str) -> Option<Box<dyn Platform>> {
    let platform = open(stand, &format!(",{settings}"));
    match platform.check() {
        Ok(facts) => {
            assert!(facts.notes.iter().any(|note| note.contains(settings)), "{facts:?}");
            Some(platform)
        }
        Err(why) => {
            assert!(!why.cure.is_empty());
            println!("ignored: {},{settings}: {why}", stand.subject.name);
            None
        }
    }
}

/// The quota of a sleeper that is launched for `purpose`.
fn quota(stand: &Stand, platform: &dyn Platform, purpose: Purpose) -> Option<Quota> {
    let spec = LaunchSpec { purpose, ..stand.spec(Program::Sleep, &[]) };
    platform.prepare(&spec.image).expect("it can be prepared");
    let mut instance = platform.launch(&spec).expect("it launches");
    stand.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let quota = instance.cgroup().and_then(Cgroup::quota);
    instance.stop().expect("it stops");
    quota
}

fn a_quota_is_read_back_from_the_kernel(stand: &Stand) {
    let Some(platform) = arm(stand, "inject=quota:50%") else { return };
    let quota = quota(stand, platform.as_ref(), Purpose::Measured);
    assert_eq!(quota, Some(Quota { time_us: 1_000, period_us: 2_000 }));
}

fn only_what_is_measured_has_a_quota(stand: &Stand) {
    let Some(platform) = arm(stand, "inject=quota:50%") else { return };
    assert_eq!(quota(stand, platform.as_ref(), Purpose::Neighbour), None);
    assert_eq!(quota(stand, stand.platform(), Purpose::Measured), None, "nor without the arm");
}

fn busy_work_delays_what_is_measured(stand: &Stand) {
    let busy = Nanos::from(Duration::from_millis(200));
    let Some(platform) = arm(stand, "inject=busy:200ms") else { return };
    let spec = stand.spec(Program::Hello, &[]);
    platform.prepare(&spec.image).expect("it can be prepared");
    let mut instance = platform.launch(&spec).expect("it launches");
    let deadline = platform.clock().now() + stand.patience().into();
    instance.wait_for(Milestone::Exit, deadline).expect("it ends");
    let events = instance.stop().expect("it stops").events;
    assert!(events[&Event::Main].saturating_sub(events[&Event::Spawn]) >= busy, "{events:?}");
}

fn two_arms_of_one_platform_do_not_disturb_each_other(stand: &Stand) {
    let spec = || stand.spec(Program::Hello, &[]);
    let arm = || {
        let platform = open(stand, "");
        platform.prepare(&spec().image).expect("it can be prepared");
        platform
    };
    let (first, second) = (arm(), arm());
    // What it made for itself goes with it.
    drop(first);
    let mut instance = second.launch(&spec()).expect("it launches");
    let ended = instance.wait_for(Milestone::Exit, second.clock().now() + stand.patience().into());
    instance.stop().expect("it stops");
    ended.expect("it ends");
}

fn what_is_no_program_is_refused(stand: &Stand) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "no program").expect("written");
    let family = stand.subject.name.split(':').next().unwrap_or_default();
    for (key, families) in [("runtime", &["oci", "podman"][..]), ("qemu", &["qemu"])] {
        let refused = open(stand, &format!(",{key}={}", file.path().display())).check().expect_err("refused");
        let why = if families.contains(&family) { "is no program" } else { "cannot have" };
        assert!(refused.reason.contains(why), "{key}: {refused}");
    }
}
