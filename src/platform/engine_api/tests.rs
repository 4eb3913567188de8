//! Engines that are missing, hang or disconnect: every call ends, with the remedy.

use std::os::unix::net::UnixListener;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::testing::{Behavior, FakeEngine, HASTY};
use super::{Address, ContainerEvent, Engine, Error};

/// Longer than anything that works takes.
const HANG: Duration = Duration::from_secs(30);

#[test]
fn a_missing_engine_is_named_with_the_remedy() {
    for address in ["unix:///nowhere/at/all.sock", "tcp://127.0.0.1:1"] {
        let address: Address = address.parse().expect("an address");
        let error = Engine::connect(&address, HASTY).expect_err("no engine").with_help();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("start it: dockerd") && error.contains("DOCKER_HOST"), "{error}");
    }
}

#[test]
fn a_call_to_a_hanging_engine_ends_at_its_deadline() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let socket = dir.path().join("engine.sock");
    let _never_accepts = UnixListener::bind(&socket).expect("a socket");
    let error = Engine::connect(&Address::Unix(socket), HASTY).expect_err("no answer");
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
}

#[test]
fn the_lower_interface_version_is_used() {
    let fake = FakeEngine::start(Behavior::Works);
    let facts = fake.connect().facts().expect("it answers");
    assert_eq!((facts.api.as_str(), facts.version.as_str()), ("1.41", "20.10.24"));
    assert_eq!(facts.runtimes["runsc"].arguments, ["--network=none"]);
}

#[test]
fn an_engine_that_hangs_later_costs_its_deadline_once() {
    let fake = FakeEngine::start(Behavior::Hangs);
    let engine = fake.connect();
    let error = engine.inspect("fw-x").expect_err("no answer").with_help();
    assert!(error.contains("does not answer") && error.contains("restart it"), "{error}");
    let begun = Instant::now();
    assert!(matches!(engine.kill("fw-x").wait(), Err(Error::Deadline { .. })));
    assert!(begun.elapsed() < HASTY.slow, "it is pinged first, and the ping is due earlier");
}

#[test]
fn an_unresponsive_engine_gets_no_requests_for_a_while() {
    let fake = FakeEngine::start(Behavior::Hangs);
    let engine = fake.connect();
    engine.inspect("fw-x").expect_err("no answer");
    let begun = Instant::now();
    for _ in 0..1000 {
        assert!(matches!(engine.remove("fw-x"), Err(Error::Deadline { .. })));
    }
    assert!(begun.elapsed() < HANG, "1,000 pings would take {:?}", 1000 * HASTY.ping);
}

#[test]
fn a_refusal_has_the_engines_message() {
    let fake = FakeEngine::start(Behavior::Refuses);
    let error = fake.connect().kill("fw-x").wait().expect_err("refused");
    assert!(error.is_absent(), "{error:?}");
    assert_eq!(error.to_string(), "No such container: fw-x");
    fake.connect().remove("fw-x").expect("a missing container is fine");
}

#[test]
fn subscribers_learn_that_an_engine_disconnected_or_fell_silent() {
    for (behavior, word) in [(Behavior::Closes, "cannot be reached"), (Behavior::Hangs, "does not answer")] {
        let fake = FakeEngine::start(behavior);
        let engine = fake.connect();
        let (send, events) = channel();
        let _following = engine.follow("label", "value", 0, move |event| drop(send.send(event)));
        match events.recv_timeout(HANG).expect("an event") {
            ContainerEvent::Lost(why) => assert!(why.to_string().contains(word), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn events_have_the_containers_name_and_exit_code() {
    let fake = FakeEngine::start(Behavior::Works);
    let engine = fake.connect();
    let (send, events) = channel();
    let _following = engine.follow("label", "value", 0, move |event| drop(send.send(event)));
    let first = [(); 3].map(|()| events.recv_timeout(HANG).expect("an event"));
    let name = || "fw-x".to_owned();
    let died = ContainerEvent::Died { name: name(), code: 137 };
    assert_eq!(first, [ContainerEvent::Created(name()), ContainerEvent::Started(name()), died]);
}

#[test]
fn an_archive_that_cannot_be_written_is_the_reported_reason() {
    let fake = FakeEngine::start(Behavior::Works);
    let broken = |_: &mut dyn std::io::Write| Err(std::io::Error::other("the disk is full"));
    let error = fake.connect().load(broken).expect_err("nothing to load").to_string();
    assert!(error.contains("the disk is full"), "{error}");
}
