//! Engines that fail during a run, and one that works: full bridges, missing images.

use std::time::Duration;

use rstest::rstest;

use super::networks::Networks;
use super::*;
use crate::guest::ensure;
use crate::host::folders::Folders;
use crate::host::interrupt::Interrupt;
use crate::host::ledger::{Ledger, Leftovers};
use crate::model::platform::Networking;
use crate::model::program::Program;
use crate::model::run::RunId;
use crate::model::units::Bytes;
use crate::platform::Milestone;
use crate::platform::engine_api::testing::{Behavior, FakeEngine, HASTY};

/// Longer than anything that works takes.
const HANG: Duration = Duration::from_secs(60);

fn context(state: &Path) -> Context {
    let ledger = Arc::new(Ledger::open(state, &RunId::generate(), platform::reap_engines).expect("a ledger opens"));
    Context::new(ledger, Interrupt::new().expect("an eventfd"))
}

fn spec(context: &Context, image: &Image, network: Networking) -> LaunchSpec {
    LaunchSpec {
        name: context.ledger.instance_name(),
        image: image.clone(),
        arguments: Vec::new(),
        cpus: None,
        limits: None,
        memory: None,
        network,
        purpose: Purpose::Measured,
        deadline: HANG,
    }
}

fn no_image() -> Image {
    Image { program: Program::Sleep, rootfs: "/nowhere".into(), digest: "0".repeat(64), size: Bytes(0) }
}

#[test]
fn an_engine_that_cannot_be_reached_is_unavailable_with_the_remedy() {
    let state = tempfile::tempdir().expect("a temporary folder");
    let engine = Engine::connect(&Address::Unix("/nowhere/at/all.sock".into()), HASTY);
    let platform = Docker::with_engine(engine, &context(state.path()), Start::Api, None);
    let why = platform.check().expect_err("no engine");
    assert!(why.reason.contains("/nowhere/at/all.sock"), "{why}");
    assert!(why.cure.contains("start it: dockerd") && why.cure.contains("DOCKER_HOST"), "{why}");
    assert!(matches!(platform.prepare(&no_image()), Err(platform::Error::Failed { .. })), "the program is missing");
    let spec = spec(&context(state.path()), &no_image(), Networking::None);
    assert!(matches!(platform.launch(&spec), Err(platform::Error::Unavailable(_))));
}

#[test]
fn a_missing_runtime_is_unavailable_with_the_configured_ones() {
    let (state, fake) = (tempfile::tempdir().expect("a temporary folder"), FakeEngine::start(Behavior::Works));
    let context = context(state.path());
    let platform = |runtime| Docker::with_engine(Ok(fake.connect()), &context, Start::Api, runtime);
    let why = platform(Some("kata")).check().expect_err("not configured");
    assert!(
        why.reason.starts_with("the engine has no runtime kata, only") && why.reason.contains("runc, runsc"),
        "{why}"
    );
    assert!(
        why.cure.contains("Kata Containers on a host with KVM") && why.cure.contains("io.containerd.kata.v2"),
        "{why}"
    );
    let why = platform(Some("crun")).check().expect_err("not configured");
    assert_eq!(why.cure, "add crun to \"runtimes\" in /etc/docker/daemon.json and restart dockerd");
    assert!(platform(Some("runsc")).check().is_ok());
    assert_eq!([None, Some("runsc")].map(|runtime| platform(runtime).capabilities().network), [true, false]);
}

#[rstest]
#[case::program("mine", "/opt/bin/runsc", Kernel::Sandbox)]
#[case::name("gvisor", "", Kernel::Sandbox)]
#[case::kind("io.containerd.runsc.v1", "", Kernel::Sandbox)]
#[case::kata("kata", "", Kernel::Machine)]
#[case::kata_1("mine", "/usr/bin/kata-runtime", Kernel::Machine)]
#[case::kata_of_a_monitor("kata-qemu", "", Kernel::Machine)]
#[case::kata_by_kind("io.containerd.kata.v2", "", Kernel::Machine)]
#[case::container("runc", "/usr/bin/runc", Kernel::Host)]
#[case::container_by_kind("io.containerd.runc.v2", "", Kernel::Host)]
#[case::other_word("crun", "/katalog/crun", Kernel::Host)]
fn runtimes_with_their_own_kernel_are_detected(#[case] name: &str, #[case] program: &str, #[case] expected: Kernel) {
    assert_eq!(Kernel::detect(name, &Runtime { program: program.to_owned(), arguments: Vec::new() }), expected);
}

#[rstest]
#[case::container(None, Accelerator::None, true, true)]
#[case::sandbox(Some("runsc"), Accelerator::None, false, false)]
#[case::machine(Some("kata-qemu"), Accelerator::Kvm, false, true)]
fn the_kernel_decides_what_guests_can_do(
    #[case] runtime: Option<&str>,
    #[case] accelerator: Accelerator,
    #[case] is_hosts: bool,
    #[case] network: bool,
) {
    let (state, fake) = (tempfile::tempdir().expect("a temporary folder"), FakeEngine::start(Behavior::Works));
    let platform = Docker::with_engine(Ok(fake.connect()), &context(state.path()), Start::Api, runtime);
    let can = platform.capabilities();
    assert_eq!((can.accelerator, can.limits, can.host_processes), (accelerator, is_hosts, is_hosts));
    assert_eq!((can.fork, can.network, can.own_memory), (true, network, false));
    let notes = platform.check().expect("configured").notes;
    assert_eq!(notes.contains(&"accelerator: kvm".to_owned()), accelerator == Accelerator::Kvm, "{notes:?}");
}

#[test]
fn an_engine_that_fails_during_a_launch_fails_it_and_nothing_hangs() {
    for behavior in [Behavior::Hangs, Behavior::Closes, Behavior::Refuses] {
        let (state, fake) = (tempfile::tempdir().expect("a temporary folder"), FakeEngine::start(behavior));
        let context = context(state.path());
        let platform = Docker::with_engine(Ok(fake.connect()), &context, Start::Api, None);
        let spec = spec(&context, &no_image(), Networking::None);
        let error = platform.launch(&spec).expect_err("it cannot be");
        assert!(matches!(error, platform::Error::Failed { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&spec.name), "{text}");
        match behavior {
            // The engine has no such container, so nothing stays.
            Behavior::Refuses => assert!(text.contains("No such") && !text.contains("ledger"), "{text}"),
            _ => assert!(text.contains("the engine at") && text.contains("stays in the ledger"), "{text}"),
        }
    }
}

#[test]
fn an_image_that_was_not_loaded_is_removed_or_stays_in_the_ledger() {
    for (behavior, stays) in [(Behavior::Refuses, false), (Behavior::Hangs, true)] {
        let (state, fake) = (tempfile::tempdir().expect("a temporary folder"), FakeEngine::start(behavior));
        let context = context(state.path());
        let platform = Docker::with_engine(Ok(fake.connect()), &context, Start::Api, None);
        let error = platform.shared().expect("it answers").load(&no_image()).expect_err("no program").to_string();
        assert!(error.contains("cannot be written"), "{error}");
        assert_eq!(error.contains("stays in the ledger"), stays, "{error}");
    }
}

#[test]
fn the_name_of_a_network_that_was_not_created_stays_unused() {
    let (state, fake) = (tempfile::tempdir().expect("a temporary folder"), FakeEngine::start(Behavior::Refuses));
    let context = context(state.path());
    let platform = Docker::with_engine(Ok(fake.connect()), &context, Start::Api, None);
    // This engine has no bridge and creates none.
    let launch =
        || platform.launch(&spec(&context, &no_image(), Networking::Bridge)).expect_err("no bridge").to_string();
    for name in ["net1-docker", "net2-docker"] {
        let error = launch();
        assert!(error.contains(name), "{error}");
    }
}

/// The engine of this host; prints why if there is none.
fn engine() -> Option<Engine> {
    let engine = Address::from_env().and_then(|address| Engine::connect(&address, Patience::DEFAULT));
    engine.inspect_err(|why| eprintln!("skipped: {}", why.with_help())).ok()
}

#[test]
fn a_missing_image_fails_the_launch_of_either_start() {
    for start in [Start::Api, Start::Command] {
        let Some(engine) = engine() else { return };
        let state = tempfile::tempdir().expect("a temporary folder");
        let context = context(state.path());
        let platform = Docker::with_engine(Ok(engine), &context, start, None);
        let spec = spec(&context, &no_image(), Networking::None);
        let error = platform.launch(&spec).expect_err("no image").to_string();
        assert!(error.contains(&spec.name) && error.to_lowercase().contains("sleep-docker"), "{error}");
        drop(platform);
        assert_eq!(context.ledger.close().expect("swept"), Leftovers::default());
    }
}

#[test]
fn a_full_bridge_is_followed_by_others_that_are_removed_with_the_platform() {
    let Some(engine) = engine() else { return };
    let state = tempfile::tempdir().expect("a temporary folder");
    let context = context(state.path());
    let images = ensure(&Folders::from_env(), &[Program::Sleep], &mut |_| {}).expect("it is built");
    let mut platform = Docker::with_engine(Ok(engine), &context, Start::Api, None);
    let shared = platform.shared.as_mut().ok().and_then(Arc::get_mut).expect("there is one owner");
    let present = shared.engine.inspect_bridge("bridge").expect("an answer").map_or(0, |bridge| bridge.containers);
    // Other containers may come and go meanwhile. What counts is that these need more than one bridge.
    shared.networks = Networks::new(present + 1);
    platform.prepare(&images[0]).expect("loaded");

    let count = 2 * (present + 1) + 1;
    let mut all: Vec<_> = (0..count)
        .map(|_| platform.launch(&spec(&context, &images[0], Networking::Bridge)).expect("launched"))
        .collect();
    for instance in &mut all {
        instance.wait_for(Milestone::Ready, HostClock.now() + HANG.into()).expect("it is ready");
    }
    let networks = |platform: &Docker| {
        let engine = &platform.shared.as_ref().expect("it is there").engine;
        engine.networks(crate::host::ledger::CONTAINER_LABEL, context.ledger.run().as_str()).expect("listed")
    };
    assert!(networks(&platform).len() >= 2, "{:?}", networks(&platform));
    for instance in all {
        instance.stop().expect("stopped");
    }
    drop(platform);
    assert_eq!(context.ledger.close().expect("swept"), Leftovers::default());
}
