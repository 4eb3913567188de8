//! A run leaves nothing behind, and touches nothing of others.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use featherweight::guest::Image;
use featherweight::host::cgroup::{Controller, Hierarchies};
use featherweight::model::program::Program;
use featherweight::model::units::Bytes;
use featherweight::platform::{LaunchSpec, Limits, Milestone};

use crate::fixture::{Fixture, contracts};
use crate::host;

contracts! {
    Real nothing_is_left_of_a_stopped_instance,
    Real nothing_is_left_of_a_dropped_instance,
    Programs nothing_is_left_of_a_failed_launch,
    ForkOnHost forked_children_end_with_their_guest,
    Fork children_that_outlive_their_guest_are_ended,
    Real a_strangers_process_and_group_are_left_alone,
}

fn limited(fixture: &Fixture, program: Program, arguments: &[&str]) -> LaunchSpec {
    let can = fixture.platform().capabilities().limits;
    let limits = can.then_some(Limits { memory: Bytes(64 << 20), pids: 32 });
    LaunchSpec { limits, ..fixture.spec(program, arguments) }
}

/// Fails if anything carries the instance's name, or a guest of the run still lives.
#[track_caller]
pub(crate) fn assert_clean(fixture: &Fixture, spec: &LaunchSpec) {
    assert_eq!(host::traces(&spec.name), [] as [&Path; 0]);
    let guest = spec.image.program.name();
    let alive: Vec<_> = host::marked(fixture.ledger.run())
        .into_iter()
        .filter(|&pid| host::status(pid, "Name").is_some_and(|name| name == guest))
        .collect();
    assert_eq!(alive, [0; 0]);
    let named = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten().any(|e| *e.file_name() == *spec.name);
    let folders = fs::read_dir(fixture.ledger.dir()).expect("the run's folder").flatten();
    assert!(folders.map(|entry| entry.path()).all(|dir| !named(&dir)), "in the run's own folder");
}

fn nothing_is_left_of_a_stopped_instance(fixture: &Fixture) {
    for spec in [fixture.spec(Program::Probe, &["do=hang"]), limited(fixture, Program::Probe, &["do=hang"])] {
        let mut instance = fixture.launch(&spec);
        fixture.wait(&mut instance, Milestone::Ready).expect("it hangs");
        instance.stop().expect("stopped");
        assert_clean(fixture, &spec);
    }
}

fn nothing_is_left_of_a_dropped_instance(fixture: &Fixture) {
    let spec = limited(fixture, Program::Probe, &["do=hang"]);
    let mut instance = fixture.launch(&spec);
    fixture.wait(&mut instance, Milestone::Ready).expect("it hangs");
    drop(instance);
    assert_clean(fixture, &spec);
}

fn nothing_is_left_of_a_failed_launch(fixture: &Fixture) {
    let spec = limited(fixture, Program::Probe, &[]);
    // The file exists and is executable, but no kernel can execute it.
    let rootfs = fixture.ledger.dir().join("broken");
    for dir in ["fw", "proc", "sys", "dev", "tmp"] {
        fs::create_dir_all(rootfs.join(dir)).expect("a folder is made");
    }
    let broken = LaunchSpec { image: Image { rootfs, digest: "0".repeat(64), ..spec.image.clone() }, ..spec };
    fs::write(broken.image.binary(), "not a program").expect("written");
    fs::set_permissions(broken.image.binary(), fs::Permissions::from_mode(0o755)).expect("allowed");
    fixture.platform().prepare(&broken.image).expect("everything exists");
    match fixture.platform().launch(&broken) {
        Err(e) => assert!(e.to_string().contains(&broken.name), "{e}"),
        Ok(mut instance) => {
            fixture.wait(&mut instance, Milestone::Main).expect_err("it cannot run");
            instance.stop().expect("stopped");
        }
    }
    assert_clean(fixture, &broken);
}

fn forked_children_end_with_their_guest(fixture: &Fixture) {
    for spec in [
        fixture.spec(Program::Probe, &["do=spawn", "count=5", "then=pause"]),
        limited(fixture, Program::Probe, &["do=spawn", "count=5", "then=pause"]),
    ] {
        let mut instance = fixture.launch(&spec);
        assert_eq!(fixture.result(&mut instance)["spawned"], 5);
        let threads = instance.threads();
        assert_eq!(threads.len(), 6, "{threads:?}");
        instance.stop().expect("stopped");
        assert!(threads.iter().all(|thread| !host::lives(thread.pid)), "{threads:?}");
        assert_clean(fixture, &spec);
    }
}

fn children_that_outlive_their_guest_are_ended(fixture: &Fixture) {
    let spec = limited(fixture, Program::Probe, &["do=spawn", "count=5", "then=pause"]);
    let mut instance = fixture.launch(&spec);
    fixture.result(&mut instance);
    instance.kill();
    fixture.wait(&mut instance, Milestone::Exit).expect("it ends");
    instance.stop().expect("stopped");
    assert_clean(fixture, &spec);
}

fn a_strangers_process_and_group_are_left_alone(fixture: &Fixture) {
    let probe = fixture.spec(Program::Probe, &[]).image.binary();
    let mut command = Command::new(probe);
    command.args(["do=hang", "deadline=60"]).env_clear().stdin(Stdio::null()).stdout(Stdio::null());
    let mut stranger = command.spawn().expect("the stranger starts");
    let hierarchies = Hierarchies::read(Path::new("/")).expect("the mount table").only(&[Controller::Pids]);
    let group = Arc::new(hierarchies).group(Path::new(&format!("stranger-{}", std::process::id())));
    let made = group.create().is_ok();

    let instance = fixture.launch(&limited(fixture, Program::Probe, &["do=hang"]));
    instance.stop().expect("stopped");
    fixture.ledger.close().expect("swept");

    let lived = stranger.try_wait().expect("a status").is_none();
    let stayed = group.exists() || !made;
    stranger.kill().and_then(|()| stranger.wait()).expect("the stranger is ended");
    group.remove_if_empty();
    assert!(lived && stayed, "process {lived}, group {stayed}");
}
