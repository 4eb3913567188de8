//! The exit code of a run in which trials fail, and what is said of them.

use assert_cmd::assert::OutputAssertExt;
use featherweight::model::record::{Experiment, Outcome};
use featherweight::store::RunOutcome;

use super::{stderr, stdout};
use crate::bench::Desk;

#[test]
fn failed_trials_are_told_and_do_not_fail_the_target() {
    let desk = Desk::new();
    // A row takes 10 µs on the fake platform, up to 1 % more or less by the trial: some are over within a second.
    let line = "--platform fake --workload sqlite --rows 99400 --timeout 1 --runs 8 --benchmark_time 0";
    let assert = desk.command(Experiment::Scalability, line).assert().success();
    let run = desk.run();
    let failed: Vec<_> = run.trials.iter().filter(|trial| trial.outcome == Outcome::Failed).collect();
    assert!(!failed.is_empty() && failed.len() < run.trials.len(), "{} of {}", failed.len(), run.trials.len());
    assert!(failed.iter().all(|trial| trial.metrics.is_empty() && trial.reason.as_ref().unwrap().contains("waited")));
    assert_eq!(run.file.outcome, RunOutcome::Complete);
    assert_eq!(stderr(&assert).matches("failed: scalability/fake/sqlite/0 #").count(), failed.len());
    assert!(stdout(&assert).contains("report: "));
}

#[test]
fn a_case_without_one_good_trial_fails_the_target_and_is_named() {
    let desk = Desk::new();
    let line =
        "--platform fake --workload sqlite --rows 60000 --timeout 1 --runs 2 --attacker prime --placement same-thread";
    let assert = desk.command(Experiment::Isolation, line).assert().code(4);
    let said = stderr(&assert);
    let barren: Vec<&str> = said.lines().filter(|line| line.contains("not one good trial of")).collect();
    assert_eq!(barren.len(), 1, "the reference and the placebo are good: {said}");
    for part in ["isolation/fake/sqlite", "prime", "same-thread"] {
        assert!(barren[0].contains(part), "{}", barren[0]);
    }
    assert_eq!(desk.run().file.outcome, RunOutcome::Complete);
    assert!(stdout(&assert).lines().last().is_some_and(|line| line.starts_with("report: ")), "the rest is reported");
}

#[test]
fn a_server_that_is_slower_than_its_trial_fails_and_stops_nothing() {
    let desk = Desk::new();
    // On the fake platform Redis answers a million requests a second, and half as many beside an attacker.
    let line = "--platform fake --workload redis --requests 700000 --timeout 1 --runs 2 --placement same-thread";
    let assert = desk.command(Experiment::Isolation, line).assert().code(4);
    let run = desk.run();
    let failed: Vec<_> = run.trials.iter().filter(|trial| trial.outcome == Outcome::Failed).collect();
    assert_eq!((failed.len(), run.trials.len()), (4, 8), "{}", stderr(&assert));
    assert!(failed.iter().all(|t| t.case.attacker.is_some() && t.reason.as_ref().unwrap().contains("waited")));
    assert_eq!(run.file.outcome, RunOutcome::Complete);
}

#[test]
fn a_platform_that_is_missing_is_told_and_the_others_are_measured() {
    if !rustix::process::geteuid().is_root() {
        let desk = Desk::new();
        let line = "--platform youki,fake --runs 1 --benchmark_time 0";
        desk.command(Experiment::Boot, line).assert().success();
        let run = desk.run();
        assert!(run.file.skips.iter().any(|skip| skip.reason.contains("root")), "{:?}", run.file.skips);
        assert!(run.trials.iter().all(|trial| trial.case.platform.as_str() == "fake"));
        desk.command(Experiment::Boot, "--platform youki").assert().code(3);
    } else {
        eprintln!("not tried: nothing is missing for root");
    }
}
