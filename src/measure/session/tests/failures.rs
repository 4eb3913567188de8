//! A failure is a record with its reason, and the next trial succeeds.

use rstest::rstest;

use super::*;
use crate::model::event;

fn script(what: &str, launch: u64) -> Script {
    let mut script = Script::default();
    match what {
        "fail" => drop(script.fail_launch.insert(launch)),
        "hang" => drop(script.hang.insert(launch)),
        "crash" => drop(script.crash.insert(launch)),
        other => panic!("unknown failure: {other}"),
    }
    script
}

#[rstest]
#[case::launch("fail", "the script says so")]
#[case::hang("hang", "waited 60")]
#[case::crash("crash", "the guest ended with code 9")]
fn a_failed_boot_is_recorded_with_its_reason_and_the_next_is_good(#[case] what: &str, #[case] reason: &str) {
    let fixture = Fixture::new();
    let boots = configuration(Experiment::Boot).changed(|c| c.boots = 3);
    let ran = fixture.run(fixture.new_run(boots), script(what, 1), &mut |_, _| {});
    assert_eq!(ran.outcomes(), [Outcome::Ok, Outcome::Failed, Outcome::Ok]);
    assert!(ran.reason(1).contains(reason), "{}", ran.reason(1));
    assert!(ran.reason(1).contains(&ran.stored.file.run.name()), "it names the instance: {}", ran.reason(1));
    assert!(ran.stored.trials[1].metrics.is_empty(), "a failure has no number");
    assert_eq!(ran.stored.trials[1].events.contains_key(&event::Event::Main), what != "fail", "its events are kept");
    assert_eq!(ran.summary.outcome, RunOutcome::Complete);
}

#[rstest]
fn whatever_happens_to_a_victim_or_its_neighbour_nothing_is_left(
    #[values("fail", "hang", "crash")] what: &str,
    #[values(0, 1, 2, 3, 4)] launch: u64,
    #[values(Experiment::Scalability, Experiment::Isolation)] experiment: Experiment,
) {
    let fixture = Fixture::new();
    let configured = configuration(experiment).changed(|c| {
        c.victims = vec![2];
        c.runs = 3;
    });
    let mut living = Vec::new();
    let ran = fixture
        .run(fixture.new_run(configured), script(what, launch), &mut |fake, _| living.push(fake.platform.living()));
    assert_eq!(ran.outcomes().iter().filter(|&&outcome| outcome == Outcome::Failed).count(), 1);
    assert!(living.iter().all(|&living| living == 0), "{living:?}");
    assert_eq!(ran.summary.outcome, RunOutcome::Complete);
}

#[rstest]
fn a_background_that_does_not_stand_fails_its_trial_and_is_mended_for_the_next(
    #[values("fail", "hang", "crash")] what: &str,
    #[values(0, 1, 2)] launch: u64,
) {
    let fixture = Fixture::new();
    let configured = configuration(Experiment::Boot).changed(|c| {
        c.ladder = vec![3];
        c.boots = 3;
    });
    let mut living = Vec::new();
    let ran = fixture
        .run(fixture.new_run(configured), script(what, launch), &mut |fake, _| living.push(fake.platform.living()));
    assert_eq!(ran.outcomes(), [Outcome::Failed, Outcome::Ok, Outcome::Ok]);
    assert_eq!(living, [0, 3, 3]);
    assert!(ran.fake.sleepers.load(Ordering::SeqCst) > 3, "what did not stand was launched again");
    assert!(ran.stored.trials[1].metric("host_mem_available").is_some(), "the host settled anew");
}

#[rstest]
fn a_fatal_error_stops_the_run_and_keeps_what_was_recorded(#[values(0, 1, 7)] from: u64) {
    let fixture = Fixture::new();
    let configured = configuration(Experiment::Boot).changed(|c| {
        c.ladder = vec![2];
        c.boots = 8;
    });
    let script = Script { fatal_from: Some(from), ..Script::default() };
    let ran = fixture.run(fixture.new_run(configured), script, &mut |_, _| {});
    assert_eq!(ran.orders(), (0..from.saturating_sub(2)).collect::<Vec<_>>());
    assert!(ran.outcomes().iter().all(|&outcome| outcome == Outcome::Ok));
    assert_eq!((ran.summary.outcome, ran.stored.file.outcome), (RunOutcome::Stopped, RunOutcome::Stopped));
    assert_eq!(ran.stored.file.reason.as_deref(), Some("the fake platform's script ends here"));
    assert_eq!(ran.summary.problems, ["the fake platform's script ends here"]);
}

#[test]
fn a_run_that_was_stopped_continues_once_the_failure_is_over() {
    let fixture = Fixture::new();
    let configured = configuration(Experiment::Boot).changed(|c| c.boots = 6);
    let script = Script { fatal_from: Some(2), ..Script::default() };
    let stopped = fixture.run(fixture.new_run(configured), script, &mut |_, _| {});
    let resumed = fixture.run(fixture.resume(Experiment::Boot, "last"), Script::default(), &mut |_, _| {});
    assert_eq!(resumed.summary.dir, stopped.summary.dir);
    assert_eq!(resumed.orders(), [0, 1, 2, 3, 4, 5]);
    assert_eq!((resumed.stored.file.outcome, resumed.stored.file.reason), (RunOutcome::Complete, None));
}

#[test]
fn a_folder_that_cannot_be_written_begins_nothing_and_leaves_nothing() {
    let fixture = Fixture::new();
    let file = fixture.dir.path().join("file");
    std::fs::write(&file, "").expect("written");
    let request =
        RunRequest::New { configuration: Box::new(configuration(Experiment::Boot)), out: file, confirms: None };
    let session = fixture.open(request).expect("it is planned");
    let error = std::thread::scope(|s| s.spawn(|| session.run(&mut ())).join().expect("no panic"));
    assert!(error.expect_err("refused").to_string().starts_with("failed to write the run's folder "));
    assert!(ledger::list(&fixture.folders().state).expect("listed").is_empty());
}

#[test]
fn a_background_instance_that_ends_by_itself_is_never_counted_as_one() {
    let fixture = Fixture::new();
    let configured = configuration(Experiment::Boot).changed(|c| {
        c.ladder = vec![2];
        c.boots = 2;
    });
    let script = Script { fade: [1].into(), ..Script::default() };
    let ran = fixture.run(fixture.new_run(configured), script, &mut |_, _| {});
    assert_eq!(ran.outcomes()[..2], [Outcome::Failed, Outcome::Ok]);
    assert!(ran.reason(0).contains("1 of its instances had ended by themselves"), "{}", ran.reason(0));
}

#[test]
fn an_attacker_that_ends_before_its_victim_is_a_failed_trial() {
    let fixture = Fixture::new();
    let script = Script { fade: (0..40).collect(), ..Script::default() };
    let ran = fixture.run(fixture.new_run(configuration(Experiment::Isolation)), script, &mut |_, _| {});
    let attacked = ran.stored.trials.iter().filter(|trial| trial.role == Role::Measured);
    let reasons: Vec<_> = attacked.map(|trial| trial.reason.clone().unwrap_or_default()).collect();
    assert!(
        !reasons.is_empty() && reasons.iter().all(|why| why.contains("ended") || why.contains("exited")),
        "{reasons:?}"
    );
}
