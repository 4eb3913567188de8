//! Interrupting and continuing: no record is lost or made twice, and a run that does not match is rejected.

use std::fs;
use std::io::Write;
use std::path::Path;

use rstest::rstest;

use super::*;
use crate::host::ledger::Ledger;
use crate::model::cpuset::CpuSet;
use crate::store::{RUN_FILE, TRIALS_FILE};

/// Nine trials over three levels.
fn ladder() -> Configuration {
    configuration(Experiment::Boot).changed(|c| {
        c.ladder = vec![0, 2, 4];
        c.boots = 3;
    })
}

/// The folders of a boot run that was interrupted after `count` trials.
fn interrupted(count: usize) -> (Fixture, PathBuf) {
    let fixture = Fixture::new();
    let ran = fixture.interrupted_after(fixture.new_run(ladder()), count);
    (fixture.again(), ran.summary.dir)
}

fn edit(file: &Path, change: impl FnOnce(String) -> String) {
    fs::write(file, change(fs::read_to_string(file).expect("readable"))).expect("writable");
}

#[rstest]
fn an_interrupted_run_keeps_what_it_has_and_goes_on(#[values(1, 2, 3, 8)] count: usize) {
    let fixture = Fixture::new();
    let ran = fixture.interrupted_after(fixture.new_run(ladder()), count);
    assert_eq!(ran.orders(), (0..count as u64).collect::<Vec<_>>());
    assert_eq!((ran.summary.outcome, ran.stored.file.outcome), (RunOutcome::Interrupted, RunOutcome::Interrupted));
    assert!(ran.summary.problems.is_empty(), "{:?}", ran.summary.problems);

    let fixture = fixture.again();
    let resumed = fixture.run(fixture.resume(Experiment::Boot, "last"), Script::default(), &mut |_, _| {});
    assert_eq!(resumed.summary.dir, ran.summary.dir);
    assert_eq!(resumed.orders(), (0..9).collect::<Vec<_>>());
    assert_eq!(resumed.stored.trials[..count], ran.stored.trials, "what was recorded is as it was");
    assert_eq!(resumed.stored.file.outcome, RunOutcome::Complete);
    assert_eq!(resumed.stored.file.started, ran.stored.file.started);
}

#[rstest]
fn a_run_that_is_interrupted_after_every_trial_ends_all_the_same(
    #[values(Experiment::Boot, Experiment::Isolation)] experiment: Experiment,
) {
    let mut fixture = Fixture::new();
    let configured = match experiment {
        Experiment::Boot => ladder(),
        _ => Configuration { runs: 3, ..configuration(experiment) },
    };
    let mut ran = fixture.interrupted_after(fixture.new_run(configured), 1);
    while ran.summary.outcome != RunOutcome::Complete {
        assert!(ran.orders().len() <= 9, "it goes on for ever");
        fixture = fixture.again();
        ran = fixture.interrupted_after(fixture.resume(experiment, "last"), 1);
    }
    assert_eq!(ran.orders(), (0..9).collect::<Vec<_>>());
}

#[test]
fn an_interrupt_while_a_trial_runs_leaves_no_record_of_it() {
    let fixture = Fixture::new();
    fixture.interrupt.raise();
    let ran = fixture.run(fixture.new_run(ladder()), Script::default(), &mut |_, _| {});
    assert_eq!((ran.orders(), ran.summary.outcome), (Vec::new(), RunOutcome::Interrupted));
}

#[test]
fn a_torn_last_line_is_measured_again() {
    let (fixture, dir) = interrupted(4);
    let mut trials = fs::OpenOptions::new().append(true).open(dir.join(TRIALS_FILE)).expect("writable");
    trials.write_all(b"{\"schema\":1,\"run\":\"2026").expect("written");
    let ran = fixture.run(fixture.resume(Experiment::Boot, dir.to_string_lossy()), Script::default(), &mut |_, _| {});
    assert_eq!((ran.orders(), ran.stored.warnings), ((0..9).collect::<Vec<_>>(), Vec::new()));
}

#[test]
fn a_run_whose_harness_was_killed_goes_on() {
    let (fixture, dir) = interrupted(4);
    edit(&dir.join(RUN_FILE), |text| text.replace("\"interrupted\"", "\"running\""));
    let id = read_run(&dir).expect("readable").file.run;
    drop(Ledger::open(&fixture.folders().state, &id, crate::platform::reap_engines).expect("what a crash leaves"));
    let ran = fixture.run(fixture.resume(Experiment::Boot, "last"), Script::default(), &mut |_, _| {});
    assert_eq!((ran.orders(), ran.summary.outcome), ((0..9).collect::<Vec<_>>(), RunOutcome::Complete));
}

#[test]
fn last_is_the_latest_run_of_the_target_that_is_not_complete() {
    let (fixture, dir) = interrupted(4);
    fixture.plain(ladder());
    fixture.plain(configuration(Experiment::Footprint));
    let ran = fixture.run(fixture.resume(Experiment::Boot, "last"), Script::default(), &mut |_, _| {});
    assert_eq!(ran.summary.dir, dir);
}

#[rstest]
#[case::another_targets(Experiment::Footprint, RUN_FILE, "", "", "is a run of boot; this is footprint")]
#[case::newer_run(Experiment::Boot, RUN_FILE, "\"schema\": 1", "\"schema\": 7", "has schema 7")]
#[case::newer_trials(Experiment::Boot, TRIALS_FILE, "\"schema\":1", "\"schema\":7", "has schema 7")]
#[case::damaged_trial(Experiment::Boot, TRIALS_FILE, "\"order\":2", "\"order\":x", "line 3")]
#[case::foreign_trial(
    Experiment::Boot,
    TRIALS_FILE,
    "{\"schema\":1,\"run\":\"2",
    "{\"schema\":1,\"run\":\"1",
    "belongs to run"
)]
#[case::longer(Experiment::Boot, RUN_FILE, "\"boots\": 3", "\"boots\": 4", "it has 12 trials now and had 9")]
#[case::another_plan(Experiment::Boot, RUN_FILE, "\"seed\": 1", "\"seed\": 3", "is another case now")]
#[case::complete(Experiment::Boot, RUN_FILE, "\"interrupted\"", "\"complete\"", "is complete")]
#[case::another_version(Experiment::Boot, RUN_FILE, "simulated: its", "simulates its", "or its capabilities changed")]
#[case::gone_platform(Experiment::Boot, RUN_FILE, "\"fake\"", "\"moon\"", "had 9")]
fn a_run_that_does_not_fit_is_refused_and_untouched(
    #[case] experiment: Experiment,
    #[case] file: &str,
    #[case] from: &str,
    #[case] to: &str,
    #[case] reason: &str,
) {
    let (fixture, dir) = interrupted(4);
    edit(&dir.join(file), |text| text.replacen(from, to, 1));
    let before = [RUN_FILE, TRIALS_FILE].map(|name| fs::read(dir.join(name)).expect("readable"));
    let error = fixture.open(fixture.resume(experiment, dir.to_string_lossy())).expect_err("refused").to_string();
    assert!(error.starts_with("--resume: ") && error.contains(reason), "{error}");
    assert_eq!([RUN_FILE, TRIALS_FILE].map(|name| fs::read(dir.join(name)).expect("readable")), before);
    assert!(ledger::list(&fixture.folders().state).expect("listed").is_empty(), "nothing was begun");
}

#[test]
fn a_platform_that_took_part_and_is_gone_is_named_with_the_cure() {
    let (fixture, dir) = interrupted(4);
    edit(&dir.join(RUN_FILE), |text| text.replace("\"fake\"", "\"oci:moon\""));
    let error = fixture.open(fixture.resume(Experiment::Boot, "last")).expect_err("refused").to_string();
    let (_, why) = error.split_once("a platform that took part cannot run now: oci:moon: ").expect("it is named");
    assert!(why.contains("moon") && why.contains("; "), "the reason and the cure: {error}");
}

#[rstest]
#[case::guest("\"digest\": \"simulated\"", "\"digest\": \"other\"", "guest hello has changed")]
#[case::kernel("\"kernel\": \"", "\"kernel\": \"9", "kernel: 9")]
fn a_run_never_mixes_guests_or_hosts(#[case] from: &str, #[case] to: &str, #[case] reason: &str) {
    let (fixture, dir) = interrupted(4);
    edit(&dir.join(RUN_FILE), |text| text.replacen(from, to, 1));
    let session = fixture.open(fixture.resume(Experiment::Boot, "last")).expect("its plan fits");
    let error = std::thread::scope(|scope| scope.spawn(|| session.run(&mut ())).join().expect("no panic"));
    let error = error.expect_err("refused").to_string();
    assert!(error.contains(reason), "{error}");
    assert_eq!(read_run(&dir).expect("readable").trials.len(), 4);
    assert!(ledger::list(&fixture.folders().state).expect("listed").is_empty(), "nothing was begun");
}

#[test]
fn a_run_in_progress_is_refused_and_goes_on() {
    let (fixture, dir) = interrupted(4);
    let id = read_run(&dir).expect("readable").file.run;
    let held = Ledger::open(&fixture.folders().state, &id, crate::platform::reap_engines).expect("a living run");
    let error = fixture.open(fixture.resume(Experiment::Boot, "last")).expect_err("refused").to_string();
    assert!(error.contains("still in progress"), "{error}");
    assert!(held.dir().is_dir(), "the living run keeps its ledger");
}

#[test]
fn a_host_that_lost_a_placement_refuses_the_rest_of_a_run() {
    let fixture = Fixture::new();
    let placements = vec![Placement::SameThread, Placement::SameSocket];
    let configured = configuration(Experiment::Isolation).changed(|c| c.placements = placements);
    let planned = fixture.open(fixture.new_run(configured.clone())).expect("it opens");
    let (trials, skips) = (planned.plan().trials.len(), planned.plan().skips.len());
    planned.abandon();
    if skips > 0 {
        eprintln!("not tried: this host has one core, so there is no placement to lose");
        return;
    }
    fixture.interrupted_after(fixture.new_run(configured), 2);
    let fixture = fixture.again();
    let on_one_cpu = || {
        let cpu = placement::usable_cpus().expect("asked").first().expect("one");
        placement::pin_current_thread(&CpuSet::one(cpu)).expect("pinned");
        fixture.open(fixture.resume(Experiment::Isolation, "last")).expect_err("refused").to_string()
    };
    let error = std::thread::scope(|scope| scope.spawn(on_one_cpu).join().expect("no panic"));
    assert!(error.contains(&format!("it has {} trials now and had {trials}", trials / 2)), "{error}");
}
