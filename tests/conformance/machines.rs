//! Machines: their memory, their virtual CPUs, and kernels that fail in them.

use std::time::Duration;

use featherweight::model::cpuset::CpuSet;
use featherweight::model::program::Program;
use featherweight::model::units::Bytes;
use featherweight::platform::{Error, Exit, LaunchSpec, Milestone, ThreadRole};

use crate::cleanliness::assert_clean;
use crate::fixture::{Fixture, assert_failed, contracts};
use crate::host;

contracts! {
    Real every_thread_is_where_it_was_placed,
    Machine virtual_cpus_are_told_apart_from_the_monitor,
    Machine a_guest_has_the_memory_it_is_given,
    Machine more_memory_than_the_host_has_is_a_failure,
    Machine too_little_memory_is_a_failure,
    Kernel a_kernel_that_resets_is_a_failure,
    Kernel a_kernel_that_panics_is_a_failure_with_its_message,
    Kernel a_kernel_that_ignores_interrupts_is_ended,
}

fn usable() -> CpuSet {
    let list = host::status(std::process::id() as i32, "Cpus_allowed_list");
    list.and_then(|list| list.parse().ok()).expect("the kernel lists our CPUs")
}

/// Including the monitor's own threads.
fn every_thread_is_where_it_was_placed(fixture: &Fixture) {
    for cpu in usable().iter() {
        let cpus = Some(CpuSet::one(cpu));
        let mut instance = fixture.launch(&LaunchSpec { cpus, ..fixture.spec(Program::Sleep, &[]) });
        fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
        let threads = instance.threads();
        let mut read = Vec::new();
        for thread in threads {
            // A thread may have ended since it was listed.
            if let Some(allowed) = host::status(thread.tid, "Cpus_allowed_list") {
                assert_eq!(allowed, cpu.to_string(), "{thread:?}");
                read.push(thread.role);
            }
        }
        let role = if fixture.platform().capabilities().own_memory { ThreadRole::Vcpu } else { ThreadRole::Process };
        assert!(read.contains(&role), "{read:?}");
        instance.stop().expect("stopped");
    }
}

fn virtual_cpus_are_told_apart_from_the_monitor(fixture: &Fixture) {
    let spec = fixture.spec(Program::Sleep, &[]);
    let mut instance = fixture.launch(&LaunchSpec { cpus: Some(usable()), ..spec });
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    let threads = instance.threads();
    let count = |role: ThreadRole| threads.iter().filter(|thread| thread.role == role).count();
    assert_eq!((count(ThreadRole::Vcpu), count(ThreadRole::Process)), (fixture.vcpus(), 0), "{threads:?}");
    assert!(count(ThreadRole::Vmm) >= 1, "{threads:?}");
    instance.stop().expect("stopped");
}

fn a_guest_has_the_memory_it_is_given(fixture: &Fixture) {
    let spec = fixture.spec(Program::Sleep, &[]);
    let mut instance = fixture.launch(&spec);
    let usual = instance.guest_memory().expect("a memory of its own");
    fixture.wait(&mut instance, Milestone::Ready).expect("it is ready");
    instance.stop().expect("stopped");
    let memory = usual + Bytes(24 << 20);
    let mut larger = fixture.launch(&LaunchSpec { memory: Some(memory), ..spec });
    assert_eq!(larger.guest_memory(), Some(memory));
    fixture.wait(&mut larger, Milestone::Ready).expect("it is ready");
    larger.stop().expect("stopped");
}

fn more_memory_than_the_host_has_is_a_failure(fixture: &Fixture) {
    assert_no_boot_with(fixture, Bytes(64 << 40));
}

fn too_little_memory_is_a_failure(fixture: &Fixture) {
    assert_no_boot_with(fixture, Bytes(1 << 20));
}

#[track_caller]
fn assert_no_boot_with(fixture: &Fixture, memory: Bytes) {
    let spec = LaunchSpec { memory: Some(memory), ..fixture.spec(Program::Probe, &["do=hang"]) };
    fixture.platform().prepare(&spec.image).expect("prepared");
    match fixture.platform().launch(&spec) {
        Err(refused) => assert!(refused.to_string().contains(&spec.name), "{refused}"),
        Ok(mut instance) => {
            instance.wait_for(Milestone::Main, fixture.within(Duration::from_secs(8))).expect_err("no first line");
            // Its exit status is unknown, but it is gone.
            let _ = instance.stop();
        }
    }
    assert_clean(fixture, &spec);
    assert_next_is_unharmed(fixture);
}

fn a_kernel_that_resets_is_a_failure(fixture: &Fixture) {
    let spec = fixture.spec(Program::Probe, &["do=reset"]);
    let mut instance = fixture.launch(&spec);
    assert_failed(fixture.wait(&mut instance, Milestone::Exit), &["without reporting", "guest-reset", &spec.name]);
    instance.stop().expect_err("how its program ended is unknown");
    assert_clean(fixture, &spec);
    assert_next_is_unharmed(fixture);
}

fn a_kernel_that_panics_is_a_failure_with_its_message(fixture: &Fixture) {
    let spec = fixture.spec(Program::Probe, &["do=panic"]);
    let mut instance = fixture.launch(&spec);
    assert_failed(fixture.wait(&mut instance, Milestone::Result), &["without reporting", "Kernel panic"]);
    instance.stop().expect_err("how its program ended is unknown");
    assert_clean(fixture, &spec);
    assert_next_is_unharmed(fixture);
}

/// It neither halts nor handles interrupts, so that not even its own deadline ends it.
fn a_kernel_that_ignores_interrupts_is_ended(fixture: &Fixture) {
    for what in ["do=spin", "do=deaf"] {
        let spec = LaunchSpec { deadline: Duration::from_secs(1), ..fixture.spec(Program::Probe, &[what]) };
        let mut instance = fixture.launch(&spec);
        let waited = instance.wait_for(Milestone::Exit, fixture.within(Duration::from_secs(2)));
        assert!(matches!(waited, Err(Error::Deadline { .. })), "{waited:?}");
        assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
        assert_clean(fixture, &spec);
    }
    assert_next_is_unharmed(fixture);
}

#[track_caller]
fn assert_next_is_unharmed(fixture: &Fixture) {
    assert_eq!(fixture.run(&["do=exit", "code=3"]).exit, Exit::Code(3));
}
