//! The exit code and the messages of a run in which trials fail.

use assert_cmd::assert::OutputAssertExt;
use featherweight::model::record::{Experiment, Outcome};
use featherweight::store::RunOutcome;

use super::{stderr, stdout};
use crate::bench::Desk;

#[test]
fn failed_trials_are_reported_and_do_not_fail_the_target() {
    let desk = Desk::new();
    // A row takes 10 µs on the fake platform, up to 1 % more or less in each trial, so some trials end within a second.
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
fn a_case_without_successful_trials_fails_the_target_and_is_named() {
    let desk = Desk::new();
    let line =
        "--platform fake --workload sqlite --rows 60000 --timeout 1 --runs 2 --attacker prime --placement same-thread";
    let assert = desk.command(Experiment::Isolation, line).assert().code(4);
    let text = stderr(&assert);
    let failed: Vec<&str> = text.lines().filter(|line| line.contains("no successful trials for")).collect();
    assert_eq!(failed.len(), 1, "the reference and the placebo succeed: {text}");
    for part in ["isolation/fake/sqlite", "prime", "same-thread"] {
        assert!(failed[0].contains(part), "{}", failed[0]);
    }
    assert_eq!(desk.run().file.outcome, RunOutcome::Complete);
    assert!(stdout(&assert).lines().last().is_some_and(|line| line.starts_with("report: ")), "the rest is reported");
}

#[test]
fn a_server_that_is_too_slow_fails_its_trial_and_stops_nothing() {
    let desk = Desk::new();
    // On the fake platform, Redis answers a million requests per second, and half as many with an attacker.
    let line = "--platform fake --workload redis --requests 700000 --timeout 1 --runs 2 --placement same-thread";
    let assert = desk.command(Experiment::Isolation, line).assert().code(4);
    let run = desk.run();
    let failed: Vec<_> = run.trials.iter().filter(|trial| trial.outcome == Outcome::Failed).collect();
    assert_eq!((failed.len(), run.trials.len()), (4, 8), "{}", stderr(&assert));
    assert!(failed.iter().all(|t| t.case.attacker.is_some() && t.reason.as_ref().unwrap().contains("waited")));
    assert_eq!(run.file.outcome, RunOutcome::Complete);
}

#[test]
fn a_missing_platform_is_reported_and_the_others_are_measured() {
    if !rustix::process::geteuid().is_root() {
        let desk = Desk::new();
        let line = "--platform youki,fake --runs 1 --benchmark_time 0";
        desk.command(Experiment::Boot, line).assert().success();
        let run = desk.run();
        assert!(run.file.skips.iter().any(|skip| skip.reason.contains("root")), "{:?}", run.file.skips);
        assert!(run.trials.iter().all(|trial| trial.case.platform.as_str() == "fake"));
        desk.command(Experiment::Boot, "--platform youki").assert().code(3);
    } else {
        eprintln!("skipped: root misses no platform");
    }
}
