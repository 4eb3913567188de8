//! The life of a machine with a stand-in for Firecracker, which accepts its arguments and prints what a guest would. This
//! needs no KVM.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{Ledger, Leftovers};
use crate::model::cpuset::CpuSet;
use crate::model::event::Event;
use crate::model::platform::Networking;
use crate::model::run::RunId;
use crate::platform::machine::append;
use crate::platform::{Exit, Milestone, ThreadRole};

/// Longer than anything takes that works.
const HANG: Duration = Duration::from_secs(30);

/// It knows the positions of Firecracker's arguments, finds its task in the configuration, and prints the links of its
/// network namespace.
const STAND_IN: &str = r#"#!/bin/sh
configuration=$(cat "$9") || exit 1
case "$configuration" in
*do=fail*) echo "no such kernel" > "$5"; echo "Error: bad configuration" >&2; exit 152 ;;
*do=silent*) echo "Kernel panic"; exit 0 ;;
*do=hang*) echo "FW main"; exec sleep 60 ;;
esac
echo "$configuration"
cat /proc/self/net/dev
echo "FW main"
echo "FW exit code 3"
"#;

struct Fixture {
    folder: TempDir,
    context: Context,
    platform: Firecracker,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(&folder.path().join("state"), &RunId::generate(), crate::platform::reap_engines)
            .expect("a ledger opens");
        let context = Context::new(Arc::new(ledger), Interrupt::new().expect("an eventfd"));
        let mut platform = Firecracker::new(context.clone(), Flavor::parse("linux-smp2").expect("a flavor"));
        let program = folder.path().join("firecracker");
        fs::write(&program, STAND_IN).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
        settle(&program);
        let vmm = Vmm { program, version: "Firecracker v1.8.0".to_owned(), note: None };
        platform.vmm = OnceLock::from(Ok(vmm));
        platform.folders = Folders { output: folder.path().join("output"), ..Folders::from_env() };
        Self { folder, context, platform }
    }

    /// A launch of the probe, which is prepared as a system with these files.
    fn spec(&self, arguments: &[&str], network: Networking) -> LaunchSpec {
        let spec = append::tests::spec(Program::Probe, arguments);
        let system = System {
            kernel: "/images/vmlinux".into(),
            initrd: Some("/images/initrd.cpio".into()),
            disk: None,
            digest: String::new(),
            size: Bytes(0),
            memory: Bytes(128 << 20),
        };
        self.platform.monitor_context.keep(&spec.image, system);
        LaunchSpec { name: self.context.ledger.instance_name(), network, ..spec }
    }

    fn launch(&self, spec: &LaunchSpec) -> Box<dyn Instance> {
        self.platform.launch(spec).expect("it launches")
    }

    fn close(self) {
        let Self { folder, context, platform } = self;
        drop(platform);
        assert_eq!(context.ledger.close().expect("swept"), Leftovers::default());
        drop(folder);
    }
}

/// Waits until no child of another test, which was about to be started, has the program open for writing any more.
fn settle(program: &Path) {
    let started = || Command::new(program).stdin(Stdio::null()).stderr(Stdio::null()).output();
    while started().is_err_and(|e| e.kind() == io::ErrorKind::ExecutableFileBusy) {}
}

fn wait(instance: &mut Box<dyn Instance>, milestone: Milestone) -> Result<(), Error> {
    instance.wait_for(milestone, HostClock.now() + HANG.into()).map(drop)
}

#[test]
fn a_machine_boots_tells_its_end_and_is_gone() {
    let fixture = Fixture::new();
    let spec = LaunchSpec { memory: Some(Bytes(24 << 20)), ..fixture.spec(&["do=exit"], Networking::None) };
    let mut instance = fixture.launch(&spec);
    assert_eq!((instance.guest_memory(), instance.endpoint()), (Some(Bytes(24 << 20)), None));
    wait(&mut instance, Milestone::Main).expect("its first line");
    wait(&mut instance, Milestone::Exit).expect("its end");
    let stopped = instance.stop().expect("stopped");
    assert_eq!(stopped.exit, Exit::Code(3), "the monitor's own success counts for nothing");
    let told: Vec<_> = stopped.events.keys().copied().collect();
    use Event::{Exit as Ended, Gone, Guest, Main, Spawn};
    assert_eq!(told, [Spawn, Guest, Main, Ended, Gone]);
    let lines = format!("{:?}", stopped.lines);
    assert!(lines.contains("vcpu_count\\\":2") && lines.contains("mem_size_mib\\\":24"), "{lines}");
    assert!(lines.contains("fw.run=/fw/probe -- do=exit deadline=9 dir=/tmp"), "{lines}");
    fixture.close();
}

#[test]
fn a_machine_that_hangs_is_killed_and_its_threads_are_where_it_was_placed() {
    let fixture = Fixture::new();
    let cpu = crate::host::placement::usable_cpus().expect("asked").iter().next().expect("one");
    let spec = LaunchSpec { cpus: Some(CpuSet::one(cpu)), ..fixture.spec(&["do=hang"], Networking::None) };
    let mut instance = fixture.launch(&spec);
    wait(&mut instance, Milestone::Main).expect("its first line");
    let threads = instance.threads();
    assert!(threads.iter().all(|thread| thread.role == ThreadRole::Vmm) && !threads.is_empty(), "{threads:?}");
    for thread in threads {
        let status = fs::read_to_string(format!("/proc/{}/status", thread.tid)).expect("it lives");
        assert!(status.contains(&format!("Cpus_allowed_list:\t{cpu}\n")), "{status}");
    }
    instance.kill();
    wait(&mut instance, Milestone::Exit).expect("its end");
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
    fixture.close();
}

#[test]
fn what_the_monitor_complains_about_is_told() {
    let fixture = Fixture::new();
    let mut instance = fixture.launch(&fixture.spec(&["do=fail"], Networking::None));
    let why = wait(&mut instance, Milestone::Main).expect_err("it never says a word").to_string();
    assert!(why.contains("without reporting") && why.contains("no such kernel; Error: bad configuration"), "{why}");
    let why = instance.stop().expect_err("how its program ended is unknown").to_string();
    assert!(why.contains("exited with code 152") && why.contains("no such kernel"), "{why}");
    fixture.close();
}

#[test]
fn a_guest_that_ends_without_a_word_is_a_failure() {
    let fixture = Fixture::new();
    let mut instance = fixture.launch(&fixture.spec(&["do=silent"], Networking::None));
    let why = wait(&mut instance, Milestone::Exit).expect_err("no word").to_string();
    assert!(why.contains("without reporting") && why.contains("Kernel panic"), "{why}");
    instance.stop().expect_err("how its program ended is unknown");
    fixture.close();
}

#[test]
fn a_monitor_that_cannot_be_started_leaves_nothing() {
    let mut fixture = Fixture::new();
    let none = Vmm { program: "/no/such/program".into(), version: String::new(), note: None };
    fixture.platform.vmm = OnceLock::from(Ok(none));
    let spec = fixture.spec(&[], Networking::None);
    let why = fixture.platform.launch(&spec).expect_err("no program").to_string();
    assert!(why.contains(&spec.name) && why.contains("execute the program"), "{why}");
    fixture.close();
}

#[test]
fn a_machine_is_in_the_namespace_of_its_tap() {
    let fixture = Fixture::new();
    if let Err(why) = fixture.context.network.attach_persistent_tap() {
        return eprintln!("skipped: no tap can be made: {why}");
    }
    let spec = fixture.spec(&[], Networking::Bridge);
    let mut instance = fixture.launch(&spec);
    let endpoint = instance.endpoint().expect("it listens");
    wait(&mut instance, Milestone::Exit).expect("its end");
    let lines = format!("{:?}", instance.lines());
    let shown = format!("host_dev_name\\\":\\\"{}", "fw0p1");
    assert!(lines.contains(&shown) && lines.contains("fw0p1: "), "{lines}");
    assert!(lines.contains(&format!("fw.net={}/21", endpoint.address.ip())), "{lines}");
    instance.stop().expect("stopped");
    let links = crate::host::network::inside(&endpoint.netns.expect("the endpoint names its namespace"), || {
        fs::read_to_string("/proc/thread-self/net/dev")
    });
    assert!(!links.expect("entered").expect("read").contains("fw0p1"), "its tap is gone");
    fixture.close();
}
