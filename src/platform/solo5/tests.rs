//! The life of a machine with a stand-in for the monitor, which accepts its arguments and prints what a guest would. This
//! needs no Solo5.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::guest::system::unikernel::{self, BuiltFile, Manifest, Ready, Variant};
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{Ledger, Leftovers};
use crate::model::cpuset::CpuSet;
use crate::model::run::RunId;
use crate::platform::machine::append;
use crate::platform::{Exit, Milestone, ThreadRole};

/// Longer than anything takes that works.
const HANG: Duration = Duration::from_secs(30);

/// It prints its arguments and runs the kernel, which is a script here.
const STAND_IN: &str = "#!/bin/sh\n[ \"$2\" = -- ] || exit 64\necho \"$@\"\n. \"$3\"\n";

struct Fixture {
    folder: TempDir,
    context: Context,
    platform: Solo5,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ledger = Ledger::open(&folder.path().join("state"), &RunId::generate(), crate::platform::reap_engines)
            .expect("a ledger opens");
        let context = Context::new(Arc::new(ledger), Interrupt::new().expect("an eventfd"));
        let mut platform = Solo5::new(context.clone(), "mirage-spt", Monitor::Solo5Spt);
        let program = folder.path().join("solo5-spt");
        fs::write(&program, STAND_IN).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
        settle(&program);
        let version = "solo5-spt tender, version v0.9.0".to_owned();
        platform.vmm = OnceLock::from(Ok(Vmm { program, version, note: None }));
        platform.folders = Folders { output: folder.path().join("output"), ..Folders::from_env() };
        Self { folder, context, platform }
    }

    /// Builds and prepares a unikernel that does what `kernel` says; a launch of it.
    fn spec(&self, kernel: &str) -> LaunchSpec {
        let spec = append::tests::spec(Program::Sleep, &[]);
        let at = unikernel::folder(&self.platform.folders, mirage::NAME, Program::Sleep);
        fs::create_dir_all(&at).expect("made");
        fs::write(at.join("kernel"), kernel).expect("written");
        let mut manifest = Manifest::new(Program::Sleep, Bytes(32 << 20), Ready::Line, "key".to_owned());
        let kernel = BuiltFile::read(&at.join("kernel")).expect("read");
        manifest.variants.push(Variant { monitor: Monitor::Solo5Spt, kernel, disk: None, config: None });
        manifest.save(&at).expect("saved");
        self.platform.prepare(&spec.image).expect("it is built");
        LaunchSpec { name: self.context.ledger.instance_name(), network: Networking::None, ..spec }
    }

    fn launch(&self, kernel: &str) -> Box<dyn Instance> {
        self.platform.launch(&self.spec(kernel)).expect("it launches")
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

#[rstest]
#[case("mirage", Some(Monitor::Solo5Hvt))]
#[case("mirage-spt", Some(Monitor::Solo5Spt))]
#[case("mirage-hvt", None)]
#[case("unikraft", None)]
#[case("", None)]
fn a_name_tells_the_monitor(#[case] name: &str, #[case] known: Option<Monitor>) {
    assert_eq!(monitor(name), known);
}

#[test]
fn a_machine_boots_tells_its_end_and_is_gone() {
    let fixture = Fixture::new();
    let mut instance = fixture.launch("echo FW main\necho FW exit code 3\nexit 3\n");
    assert_eq!((instance.guest_memory(), instance.endpoint()), (Some(Bytes(32 << 20)), None));
    wait(&mut instance, Milestone::Main).expect("its first line");
    wait(&mut instance, Milestone::Exit).expect("its end");
    let stopped = instance.stop().expect("stopped");
    assert_eq!(stopped.exit, Exit::Code(3));
    use Event::{Exit as Ended, Gone, Guest, Main, Spawn};
    assert_eq!(stopped.events.keys().copied().collect::<Vec<_>>(), [Spawn, Guest, Main, Ended, Gone]);
    let lines = format!("{:?}", stopped.lines);
    assert!(lines.contains("--mem=32 -- ") && lines.contains("mirage/sleep/kernel\""), "{lines}");
    fixture.close();
}

#[test]
fn a_machine_that_sleeps_is_killed_and_is_where_it_was_placed() {
    let fixture = Fixture::new();
    let cpu = crate::host::placement::usable_cpus().expect("asked").iter().next().expect("one");
    let spec = fixture.spec("echo FW main\necho FW ready\nexec sleep 60\n");
    let spec = LaunchSpec { cpus: Some(CpuSet::one(cpu)), memory: Some(Bytes((23 << 20) + 1)), ..spec };
    let mut instance = fixture.platform.launch(&spec).expect("it launches");
    assert_eq!(instance.guest_memory(), Some(Bytes(24 << 20)));
    wait(&mut instance, Milestone::Ready).expect("it sleeps");
    let [thread] = instance.threads()[..] else { panic!("{:?}", instance.threads()) };
    assert_eq!(thread.role, ThreadRole::Process, "nothing is between the host and this guest but a filter");
    let status = fs::read_to_string(format!("/proc/{}/status", thread.tid)).expect("it lives");
    assert!(status.contains(&format!("Cpus_allowed_list:\t{cpu}\n")), "{status}");
    assert_eq!(instance.stop().expect("stopped").exit, Exit::Signal(9));
    fixture.close();
}

#[rstest]
#[case::no_word("echo unsuitable >&2; exit 1", "spt exited with code 1; the monitor: unsuitable")]
#[case::another_word("echo FW exit code 0; exit 255", "ends with code 0, and solo5-spt exited with code 255")]
fn a_guest_that_fails_in_its_system_is_a_failure(#[case] kernel: &str, #[case] told: &str) {
    let fixture = Fixture::new();
    let mut instance = fixture.launch(kernel);
    wait(&mut instance, Milestone::Main).expect_err("it never says so");
    let why = instance.stop().expect_err("how its program ended is unknown").to_string();
    assert!(why.contains(told), "{why}");
    fixture.close();
}

#[test]
fn what_these_unikernels_cannot_do_is_refused() {
    let fixture = Fixture::new();
    let spec = fixture.spec("");
    let refused = |spec: LaunchSpec| match fixture.platform.launch(&spec) {
        Err(Error::Unavailable(why)) => why.reason,
        other => panic!("{other:?}"),
    };
    let networked = refused(LaunchSpec { network: Networking::Bridge, ..spec.clone() });
    assert!(networked.contains("no network"), "{networked}");
    let told = refused(LaunchSpec { arguments: vec!["rows=5".to_owned()], ..spec });
    assert!(told.contains("`rows=5`"), "{told}");
    fixture.close();
}

#[test]
fn what_is_missing_is_told_with_its_cure() {
    let fixture = Fixture::new();
    let none = fixture.platform.check().expect_err("nothing is built").to_string();
    assert!(none.contains("not built for solo5-spt; ") && none.contains("images --platform mirage"), "{none}");
    fixture.spec("");
    assert_eq!(fixture.platform.check().expect("it is built").notes, ["accelerator: none"]);
    let left_out = |program| match fixture.platform.prepare(&crate::platform::fake::image(program)) {
        Err(Error::Unavailable(why)) => why.reason,
        other => panic!("{other:?}"),
    };
    assert_eq!(left_out(Program::Sqlite), "sqlite does not exist in OCaml");
    assert!(left_out(Program::Hello).contains("hello is not built"), "{}", left_out(Program::Hello));
    let hvt = Solo5::new(fixture.context.clone(), "mirage", Monitor::Solo5Hvt);
    assert_eq!(hvt.capabilities().accelerator, Accelerator::Kvm);
    drop(hvt);
    fixture.close();
}
