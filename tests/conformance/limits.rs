//! Limits are set, can be read back from the kernel, and hold.

use featherweight::model::cpuset::CpuSet;
use featherweight::model::program::Program;
use featherweight::model::units::Bytes;
use featherweight::platform::{Exit, LaunchSpec, Limits, Milestone};

use crate::fixture::{Fixture, contracts};
use crate::host;

contracts! {
    Limits limits_are_read_back_from_the_kernel,
    Limits a_guest_within_its_memory_lives,
    Limits a_guest_beyond_its_memory_is_ended,
    Limits files_of_a_guest_count_as_its_memory,
    Limits a_guest_cannot_exceed_its_processes,
}

fn limits_are_read_back_from_the_kernel(fixture: &Fixture) {
    let limits = Limits { memory: Bytes(64 << 20), pids: 16 };
    let first: CpuSet = host::status(std::process::id() as i32, "Cpus_allowed_list")
        .and_then(|list| list.parse::<CpuSet>().ok()?.first())
        .map(CpuSet::one)
        .expect("the kernel lists our CPUs");
    let spec = fixture.spec(Program::Sleep, &[]);
    let mut instance = fixture.launch(&LaunchSpec { cpus: Some(first.clone()), limits: Some(limits), ..spec });
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let cgroup = instance.cgroup().expect("a group of its own");
    assert_eq!(
        (cgroup.cpus(), cgroup.memory_limit(), cgroup.pids_limit()),
        (Some(first), Some(limits.memory), Some(16))
    );
    let charge = cgroup.charge().expect("the memory charged to it");
    assert!(charge > Bytes(0) && charge < limits.memory, "{charge}");
    let pids: Vec<_> = instance.threads().iter().map(|thread| thread.pid).collect();
    assert_eq!(cgroup.procs(), pids);
    let other = fixture.limited_probe(&["do=hang"], limits.memory, limits.pids);
    let others = other.cgroup().expect("a group of its own");
    assert!(cgroup.dirs().iter().all(|dir| !others.dirs().contains(dir)), "{cgroup:?}");
    other.stop().expect("stopped");
    instance.stop().expect("stopped");
}

fn a_guest_within_its_memory_lives(fixture: &Fixture) {
    let mut instance = fixture.limited_probe(&["do=allocate", &format!("bytes={}", 32 << 20)], Bytes(64 << 20), 16);
    assert_eq!(fixture.result(&mut instance)["allocated"], 32 << 20);
    fixture.wait(&mut instance, Milestone::Exit).expect("it ends");
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Code(0));
}

fn a_guest_beyond_its_memory_is_ended(fixture: &Fixture) {
    let mut instance = fixture.limited_probe(&["do=allocate", &format!("bytes={}", 256 << 20)], Bytes(64 << 20), 16);
    fixture.wait(&mut instance, Milestone::Result).expect_err("no result");
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
}

fn files_of_a_guest_count_as_its_memory(fixture: &Fixture) {
    let limits = Some(Limits { memory: Bytes(64 << 20), pids: 16 });
    let mut instance = fixture.launch(&LaunchSpec { limits, ..fixture.spec(Program::Write, &[]) });
    fixture.wait(&mut instance, Milestone::Attacking).expect("it attacks");
    let charge = instance.cgroup().and_then(|cgroup| cgroup.charge()).expect("the memory charged to it");
    assert!(charge < Bytes(64 << 20), "{charge}");
    instance.stop().expect("stopped");
}

fn a_guest_cannot_exceed_its_processes(fixture: &Fixture) {
    let mut instance = fixture.limited_probe(&["do=spawn", "count=64"], Bytes(64 << 20), 16);
    let result = fixture.result(&mut instance);
    let spawned = result["spawned"].as_u64().expect("a number");
    assert!((1..16).contains(&spawned), "{result}");
    instance.stop().expect("stopped");
}
