//! An engine that is not there, hangs or breaks off: every call ends, with the cure.

use std::os::unix::net::UnixListener;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::testing::{Behaviour, FakeEngine, HASTY};
use super::{Address, Engine, Error, Happening};

/// Longer than anything takes that works: only a hang is as slow.
const HANG: Duration = Duration::from_secs(30);

#[test]
fn an_engine_that_is_not_there_is_named_with_the_cure() {
    for address in ["unix:///nowhere/at/all.sock", "tcp://127.0.0.1:1"] {
        let address: Address = address.parse().expect("an address");
        let error = Engine::connect(&address, HASTY).expect_err("nobody there").to_string();
        assert!(error.contains(&address.to_string()), "{error}");
        assert!(error.contains("start it: dockerd") && error.contains("DOCKER_HOST"), "{error}");
    }
}

#[test]
fn an_engine_that_takes_the_call_and_hangs_ends_it_at_its_deadline() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let socket = dir.path().join("engine.sock");
    let _never_accepts = UnixListener::bind(&socket).expect("a socket");
    let error = Engine::connect(&Address::Unix(socket), HASTY).expect_err("no answer");
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
}

#[test]
fn the_lower_version_of_the_interface_is_spoken() {
    let fake = FakeEngine::start(Behaviour::Works);
    let facts = fake.connect().facts().expect("it answers");
    assert_eq!((facts.api.as_str(), facts.version.as_str()), ("1.41", "20.10.24"));
    assert_eq!(facts.runtimes["runsc"].arguments, ["--network=none"]);
}

#[test]
fn an_engine_that_hangs_later_costs_its_deadline_once() {
    let fake = FakeEngine::start(Behaviour::Hangs);
    let engine = fake.connect();
    let error = engine.inspect("fw-x").expect_err("no answer").to_string();
    assert!(error.contains("does not answer") && error.contains("restart it"), "{error}");
    let begun = Instant::now();
    assert!(matches!(engine.kill("fw-x").wait(), Err(Error::Deadline { .. })));
    assert!(begun.elapsed() < HASTY.slow, "it is asked for a sign of life first, which is due earlier");
}

#[test]
fn an_engine_that_gave_no_sign_of_life_is_left_alone_for_a_while() {
    let fake = FakeEngine::start(Behaviour::Hangs);
    let engine = fake.connect();
    engine.inspect("fw-x").expect_err("no answer");
    let begun = Instant::now();
    for _ in 0..1000 {
        assert!(matches!(engine.remove("fw-x"), Err(Error::Deadline { .. })));
    }
    assert!(begun.elapsed() < HANG, "1,000 signs of life would take {:?}", 1000 * HASTY.sign_of_life);
}

#[test]
fn a_refusal_is_told_in_the_engines_words() {
    let fake = FakeEngine::start(Behaviour::Refuses);
    let error = fake.connect().kill("fw-x").wait().expect_err("refused");
    assert!(error.is_absent(), "{error:?}");
    assert_eq!(error.to_string(), "No such container: fw-x");
    fake.connect().remove("fw-x").expect("what is not there is removed");
}

#[test]
fn listeners_learn_that_an_engine_broke_off_or_fell_silent() {
    for (behaviour, word) in [(Behaviour::Closes, "cannot be reached"), (Behaviour::Hangs, "does not answer")] {
        let fake = FakeEngine::start(behaviour);
        let engine = fake.connect();
        let (tell, told) = channel();
        let _following = engine.follow("label", "value", 0, move |happening| drop(tell.send(happening)));
        match told.recv_timeout(HANG).expect("told") {
            Happening::Lost(why) => assert!(why.to_string().contains(word), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_happens_is_told_with_name_and_code() {
    let fake = FakeEngine::start(Behaviour::Works);
    let engine = fake.connect();
    let (tell, told) = channel();
    let _following = engine.follow("label", "value", 0, move |happening| drop(tell.send(happening)));
    let first = [(); 3].map(|()| told.recv_timeout(HANG).expect("told"));
    let name = || "fw-x".to_owned();
    let died = Happening::Died { name: name(), code: 137 };
    assert_eq!(first, [Happening::Created(name()), Happening::Started(name()), died]);
}

#[test]
fn an_archive_that_cannot_be_written_is_the_reason_told() {
    let fake = FakeEngine::start(Behaviour::Works);
    let broken = |_: &mut dyn std::io::Write| Err(std::io::Error::other("the disk is full"));
    let error = fake.connect().load(broken).expect_err("nothing to load").to_string();
    assert!(error.contains("the disk is full"), "{error}");
}
