//! What is true of every platform with settings, on the fake one and on those of this host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::guest::ensure;
use crate::host::clock::HostClock;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{Ledger, Leftovers};
use crate::host::tools;
use crate::model::event::Event;
use crate::model::program::Program;
use crate::model::run::RunId;
use crate::model::units::Nanos;
use crate::platform::arm::Arm;
use crate::platform::{Milestone, fake, registry};

/// A separate run, and what is launched in it.
struct Fixture {
    state: tempfile::TempDir,
    context: Context,
}

impl Fixture {
    fn new() -> Self {
        let state = tempfile::tempdir().expect("a temporary folder");
        let ledger =
            Ledger::open(state.path(), &RunId::generate(), crate::platform::reap_engines).expect("a ledger opens");
        let context = Context::new(Arc::new(ledger), Interrupt::new().expect("an eventfd"));
        Self { state, context }
    }

    fn open(&self, arm: &str) -> Box<dyn Platform> {
        let arm: Arm = arm.parse().expect("an arm");
        registry::open(&arm.platform, &self.context.with_settings(&arm.settings)).expect("it is made")
    }

    fn spec(&self, image: Image, purpose: Purpose) -> LaunchSpec {
        LaunchSpec {
            name: self.context.ledger.instance_name(),
            image,
            arguments: Vec::new(),
            cpus: None,
            limits: None,
            memory: None,
            network: Networking::None,
            purpose,
            deadline: Duration::from_secs(60),
        }
    }

    fn close(self, platform: Box<dyn Platform>) {
        drop(platform);
        assert_eq!(self.context.ledger.close().expect("swept"), Leftovers::default());
        drop(self.state);
    }
}

fn image(program: Program) -> Image {
    ensure(&Folders::from_env(), &[program], &mut |_| {}).expect("it is built").remove(0)
}

/// A copy of `name` under another path; `None`, with the reason printed, where it is not installed.
fn copy_of(name: &str, folder: &Path) -> Option<PathBuf> {
    let Some(program) = tools::find(name) else {
        println!("skipped: no {name} here");
        return None;
    };
    let copy = folder.join("another");
    fs::copy(program, &copy).expect("copied");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("made a program");
    Some(copy)
}

/// How long a fake instance of `program` takes from its launch to `event`.
fn took(arm: &str, program: Program, purpose: Purpose, event: (Milestone, Event)) -> Nanos {
    let fixture = Fixture::new();
    let platform = fixture.open(arm);
    let mut instance = platform.launch(&fixture.spec(fake::image(program), purpose)).expect("launched");
    instance.wait_for(event.0, Nanos(u64::MAX)).expect("reached");
    let events = instance.stop().expect("stopped").events;
    fixture.close(platform);
    events[&event.1].saturating_sub(events[&Event::Spawn])
}

#[test]
fn only_what_is_measured_does_busy_work() {
    let (main, result) = ((Milestone::Main, Event::Main), (Milestone::Result, Event::Result));
    let longer = |program, purpose, event| {
        let plain = took("fake", program, purpose, event);
        took("fake,inject=busy:3ms", program, purpose, event).saturating_sub(plain)
    };
    assert_eq!(longer(Program::Hello, Purpose::Measured, main), Nanos(3_000_000));
    assert_eq!(longer(Program::Sqlite, Purpose::Measured, main), Nanos(0), "not before it is timed");
    assert_eq!(longer(Program::Sqlite, Purpose::Measured, result), Nanos(3_000_000));
    assert_eq!(longer(Program::Sleep, Purpose::Background, main), Nanos(0));
    assert_eq!(longer(Program::Sleep, Purpose::Neighbor, main), Nanos(0));
}

#[test]
fn a_share_of_an_unknown_median_is_never_launched() {
    let fixture = Fixture::new();
    let platform = fixture.open("fake,inject=busy:5%");
    let error = platform.launch(&fixture.spec(fake::image(Program::Hello), Purpose::Measured)).expect_err("rejected");
    assert!(matches!(&error, Error::Fatal(why) if why.contains("5 %")), "{error}");
    fixture.close(platform);
}

#[test]
fn a_setting_without_effect_is_rejected_at_the_launch() {
    let fixture = Fixture::new();
    let rejected = |arm: &str, program| {
        let platform = fixture.open(arm);
        match platform.launch(&fixture.spec(fake::image(program), Purpose::Measured)) {
            Err(Error::Unavailable(why)) => why.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(rejected("fake,inject=busy:1ms", Program::Nginx).contains("nginx is not our code"));
    assert!(rejected("youki,inject=delay:1ms", Program::Hello).contains("no packets to delay"));
}

#[test]
fn an_unsupported_setting_is_rejected_by_the_check() {
    let fixture = Fixture::new();
    let rejected = |arm: &str| fixture.open(arm).check().expect_err("rejected").to_string();
    assert!(rejected("native,runtime=/x").contains("native does not support runtime=/x"));
    assert!(rejected("native,guests=main,images=/x").contains("both images= and guests="));
    assert!(rejected("native,images=/no/such/folder").contains("/no/such/folder has no programs/manifest.json"));
    assert!(rejected("native,guests=no-such-revision").contains("unknown revision `no-such-revision` of"));
    assert!(rejected("native,guests=--help").contains("unknown revision `--help` of"));
    if let Err(e) = network::can_delay() {
        println!("why packets cannot be delayed here: {e}");
        let why = rejected("youki,inject=delay:1ms");
        assert!(why.contains("netem") && why.contains("modprobe") || why.contains("cannot be delayed"), "{why}");
    }
}

#[test]
fn settings_are_noted_with_the_version() {
    let fixture = Fixture::new();
    let facts = fixture.open("native,guests=HEAD,inject=busy:1ms").check().expect("it can");
    assert!(facts.notes.ends_with(&["set: guests=HEAD".to_owned(), "set: inject=busy:1ms".to_owned()]), "{facts:?}");
}

#[test]
fn the_note_on_a_program_has_its_digest() {
    let fixture = Fixture::new();
    let program = fixture.state.path().join("program");
    let mut settings = Settings::default();
    settings.set(Key::Runtime, &program.display().to_string()).expect("a setting");
    let platform = ConfiguredPlatform::new(fixture.open("fake"), &fixture.context.with_settings(&settings));
    let notes = |content: &str| {
        fs::write(&program, content).expect("written");
        platform.notes().expect("it is readable")
    };
    let first = notes("abc");
    assert_eq!(first, [format!("set: runtime={}, SHA-256 ba7816bf8f01cfea", program.display())]);
    assert_ne!(notes("abd"), first);
    fs::remove_file(&program).expect("removed");
    assert!(platform.notes().is_err());
    fixture.close(Box::new(platform));
}

#[test]
fn a_runtime_at_another_path_makes_the_containers() {
    let fixture = Fixture::new();
    let Some(copy) = ["runc", "crun"].iter().find_map(|name| copy_of(name, fixture.state.path())) else { return };
    let platform = fixture.open(&format!("oci:any-name,runtime={}", copy.display()));
    let facts = match platform.check() {
        Err(why) => return println!("skipped: {why}"),
        Ok(facts) => facts,
    };
    let version = tools::version(&copy, &["--version"], Duration::from_secs(20)).expect("it prints its version");
    assert_eq!(facts.version, version);
    let mut instance = platform.launch(&fixture.spec(image(Program::Hello), Purpose::Measured)).expect("launched");
    let ended = instance.wait_for(Milestone::Exit, HostClock.now() + Duration::from_secs(60).into());
    instance.stop().expect("stopped");
    ended.expect("it ends");
    fixture.close(platform);
}

#[test]
fn a_missing_runtime_is_not_replaced_by_another() {
    let fixture = Fixture::new();
    for arm in ["oci:runc,runtime=/no/such/runtime", "podman,runtime=/no/such/runtime", "qemu:null,qemu=/no/such/qemu"]
    {
        match fixture.open(arm).check() {
            Err(why) if why.reason.contains("need root") || why.reason.contains("not in PATH") => {
                println!("skipped: {why}")
            }
            other => assert!(other.expect_err("rejected").reason.contains("/no/such/"), "{arm}"),
        }
    }
}

#[test]
fn podmans_runtime_at_another_path_is_recognized_by_its_version() {
    let fixture = Fixture::new();
    let Some(copy) = copy_of("crun", fixture.state.path()) else { return };
    match fixture.open(&format!("podman,runtime={}", copy.display())).check() {
        Err(why) => println!("skipped: {why}"),
        Ok(facts) => assert!(facts.notes.iter().any(|note| note.starts_with("runtime crun: crun")), "{facts:?}"),
    }
}

#[test]
fn qemu_at_another_path_is_the_one_that_runs() {
    let fixture = Fixture::new();
    let program = fixture.state.path().join("another-qemu");
    fs::write(&program, "#!/bin/sh\necho QEMU emulator version 1.2.3\nexit 1\n").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made a program");
    // It executes no guest, which only a test of it shows: the one in PATH was not used.
    let why = fixture.open(&format!("qemu:null-tcg,qemu={}", program.display())).check().expect_err("no QEMU");
    assert!(!why.reason.contains("not installed"), "{why}");
}

#[test]
fn guests_of_a_folder_are_used_as_they_are() {
    let (fixture, usual) = (Fixture::new(), Folders::from_env());
    let built = image(Program::Hello);
    let own = Folders { output: fixture.state.path().join("output"), ..usual.clone() };
    ensure(&own, &[Program::Hello], &mut |_| {}).expect("built");
    let arm: Arm = format!("native,images={}", own.images().display()).parse().expect("an arm");
    let taken = |program| crate::platform::arm::guests(&arm.settings, &usual, &[program], &mut |_| {});
    let image = taken(Program::Hello).expect("it is there").remove(0);
    assert_eq!(image.digest, built.digest);
    assert!(image.rootfs.starts_with(own.images().canonicalize().expect("it is there")));
    let why = taken(Program::Sleep).expect_err("it was not built").to_string();
    assert!(why.contains("no unchanged image of sleep") && why.contains("cp -a"), "{why}");
    assert!(fixture.open(&arm.to_string()).check().is_ok());
    fs::remove_file(image.binary()).expect("removed");
    fs::write(image.binary(), "another").expect("written");
    assert!(taken(Program::Hello).is_err(), "it is no longer what was built");
}

/// A platform that does not say which settings it supports, as one of a new family.
#[derive(Debug)]
struct NewFamily {
    id: PlatformId,
    fake: fake::FakePlatform,
}

impl Platform for NewFamily {
    fn id(&self) -> &PlatformId {
        &self.id
    }

    fn capabilities(&self) -> Capabilities {
        self.fake.capabilities()
    }

    fn check(&self) -> Result<PlatformFacts, Unavailable> {
        self.fake.check()
    }

    fn clock(&self) -> &dyn Clock {
        self.fake.clock()
    }

    fn prepare(&self, image: &Image) -> Result<(), Error> {
        self.fake.prepare(image)
    }

    fn launch(&self, spec: &LaunchSpec) -> Result<Box<dyn Instance>, Error> {
        self.fake.launch(spec)
    }
}

#[test]
fn a_platform_of_a_new_family_supports_no_setting_by_default() {
    let fixture = Fixture::new();
    for setting in ["runtime=/x", "qemu=/x", "images=/x", "guests=main", "append=quiet", "inject=busy:1ms"] {
        let arm: Arm = format!("fake,{setting}").parse().expect("an arm");
        let context = fixture.context.with_settings(&arm.settings);
        let platform = NewFamily { id: PlatformId::new("new"), fake: fake::FakePlatform::new(&context) };
        let error = ConfiguredPlatform::new(Box::new(platform), &context).check().expect_err("rejected");
        assert!(error.reason.starts_with(&format!("new does not support {setting}: ")), "{error}");
    }
}
