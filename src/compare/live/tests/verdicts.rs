//! Verdicts on arms whose difference is known.

use rstest::rstest;

use super::*;

#[test]
fn the_same_arm_twice_does_not_differ() {
    let fixture = Fixture::new();
    let ran = fixture.run(question("fake", "fake"));
    assert_eq!(ran.verdicts(), [Verdict::Equivalent; 2]);
    assert_eq!((ran.stored.file.outcome, ran.line("boot").case.as_str()), (RunOutcome::Complete, "boot/hello/0"));
    let blocks = ran.line("boot").decision.blocks;
    assert_eq!(ran.stored.trials.len(), blocks * 3, "one run of each runner in a block");
    assert_eq!(ran.line("boot").a.map(|a| a.count), Some(blocks));
    let orders: Vec<u64> = ran.stored.trials.iter().map(|trial| trial.record.order).collect();
    assert_eq!(orders, (0..orders.len() as u64).collect::<Vec<_>>());
    assert!(ran.comparison().notes.iter().any(|note| note.starts_with("SIMULATED")), "{:?}", ran.comparison().notes);
}

#[test]
fn what_is_slower_has_regressed_and_swapped_it_has_improved() {
    let fixture = Fixture::new();
    let (plain, slow) = ("fake", "fake,inject=busy:250us");
    let there = fixture.run(question(plain, slow));
    let back = fixture.run(question(slow, plain));
    assert_eq!((there.verdicts(), back.verdicts()), (vec![Verdict::Regressed; 2], vec![Verdict::Improved; 2]));
    assert!(there.comparison().has_regressed() && !back.comparison().has_regressed());
    let shift = |ran: &Ran| ran.line("boot").decision.shift.expect("it is known").value;
    assert!((shift(&there) - 1.05f64.ln()).abs() < 0.01, "{}", shift(&there));
    assert!((shift(&there) + shift(&back)).abs() < 0.01);
    assert_eq!(there.stored.file.runners.len(), 6, "the second stage opened every runner anew");
}

#[test]
fn a_share_of_busy_work_is_calibrated_and_noted() {
    let fixture = Fixture::new();
    let ran = fixture.run(question("fake", "fake,inject=busy:10%"));
    assert_eq!(ran.line("boot").decision.verdict, Verdict::Regressed);
    let note = ran.comparison().notes.iter().find(|note| note.contains("by the median boot")).expect("it is said");
    assert!(note.contains("boot/hello/0 without it") && note.contains("inject=busy:"), "{note}");
    assert!(!ran.stored.file.arms.b.arm.settings.is_unresolved());
    assert_eq!(ran.comparison().b.name, "fake,inject=busy:10%");
}

#[test]
fn a_calibration_by_one_case_of_several_says_so() {
    let fixture = Fixture::new();
    let base = question("fake", "fake,inject=busy:10%");
    let configuration = base.configuration.changed(|c| c.ladder = vec![0, 2]);
    let ran = fixture.run(Question { configuration, record: Some(1), ..base });
    let [note] = ran.stored.file.notes.as_slice() else { panic!("{:?}", ran.stored.file.notes) };
    assert!(note.ends_with("; the same time, and so another share, in boot/hello/2"), "{note}");
}

#[test]
fn a_null_control_that_differs_makes_the_case_invalid() {
    let fixture = Fixture::new();
    let ran = fixture.run_with_hook(fixture.new_session(question("fake", "fake")), injected(ArmId::Null, "busy:500us"));
    assert_eq!(ran.verdicts(), [Verdict::Invalid; 2]);
    assert!(ran.reason("boot").contains("A measured once more, is 10."), "{}", ran.reason("boot"));
    let without = Question { null_control: false, ..question("fake", "fake") };
    let ran = fixture.run_with_hook(fixture.new_session(without), injected(ArmId::Null, "busy:500us"));
    assert_eq!(ran.verdicts(), [Verdict::Equivalent; 2]);
    assert!(ran.stored.trials.iter().all(|trial| trial.arm != ArmId::Null));
}

#[rstest]
#[case::never_works(|_| true, Verdict::Invalid, "b: no successful trials: launch")]
#[case::stops_working(|launch| launch > 3, Verdict::Invalid, "b: 3 of 5 trials failed: launch")]
#[case::fails_at_times(|launch| launch % 3 == 2, Verdict::Invalid, "trials failed: launch")]
fn an_arm_that_fails_is_reported_with_its_reason(
    #[case] launches: fn(u64) -> bool,
    #[case] verdict: Verdict,
    #[case] reason: &str,
) {
    let fixture = Fixture::new();
    let ran = fixture.run_with_hook(fixture.new_session(question("fake", "fake")), failing(ArmId::B, launches));
    assert_eq!(ran.verdicts(), [verdict; 2]);
    assert!(ran.reason("boot").contains(reason), "{}", ran.reason("boot"));
    let blocks = ran.stored.blocks().len();
    assert!(blocks <= 12, "it does not run forever: {blocks}");
    let failures: Vec<String> = ran.comparison().failures().into_iter().collect();
    assert_eq!(failures, [format!("boot/hello/0: {}", ran.reason("boot"))]);
    assert_eq!(ran.summary.exit(), Exit::Failure, "a gate does not pass for it");
    assert!(ran.comparison().says_nothing());
}

#[rstest]
#[case::a(ArmId::A)]
#[case::the_null_control(ArmId::Null)]
fn every_arm_that_fails_fails_the_session(#[case] which: ArmId) {
    let fixture = Fixture::new();
    let ran = fixture.run_with_hook(fixture.new_session(question("fake", "fake")), failing(which, |_| true));
    assert_eq!((ran.verdicts(), ran.summary.exit()), (vec![Verdict::Invalid; 2], Exit::Failure));
}

#[test]
fn a_regression_takes_precedence_over_failures_and_noise_is_none() {
    let fixture = Fixture::new();
    let mut slower = fixture.run(question("fake", "fake,inject=busy:250us")).summary;
    assert_eq!(slower.exit(), Exit::Regression);
    slower.problems.push("something".to_owned());
    assert_eq!(slower.exit(), Exit::Regression);
    let mut same = fixture
        .run_with_hook(fixture.new_session(question("fake", "fake")), injected(ArmId::Null, "busy:500us"))
        .summary;
    assert_eq!(same.exit(), Exit::Fine, "a null control that differs is not a regression");
    same.problems.push("something".to_owned());
    assert_eq!(same.exit(), Exit::Failure);
}

#[test]
fn every_trial_of_a_footprint_starts_its_instances_anew() {
    let fixture = Fixture::new();
    let base = question("fake", "fake");
    let experiment = crate::model::record::Experiment::Footprint;
    let workloads = vec![crate::model::program::Program::Sleep];
    let configuration = base.configuration.changed(|c| {
        c.experiment = experiment;
        c.workloads = workloads;
        c.ladder = vec![2];
    });
    let overrides = RuleOverrides { runs: Some(2), ..base.overrides };
    let ran = fixture.run(Question { configuration, overrides, record: Some(2), ..question("fake", "fake") });
    assert_eq!(ran.stored.trials.len(), 12);
    let is_fresh = |trial: &AbTrial| trial.record.metric("start_per_instance").is_some();
    assert!(ran.stored.trials.iter().all(is_fresh), "{:?}", ran.stored.trials[0].record);
}

#[test]
fn a_trial_that_fails_now_and_then_costs_its_block_alone() {
    let fixture = Fixture::new();
    let ran =
        fixture.run_with_hook(fixture.new_session(question("fake", "fake")), failing(ArmId::B, |launch| launch == 3));
    assert_eq!(ran.verdicts(), [Verdict::Equivalent; 2]);
    assert_eq!(ran.stored.blocks().len(), ran.line("boot").decision.blocks + 1);
}

#[rstest]
#[case::slowly(|launch, spec: &mut LaunchSpec| spec.arguments.push(format!("busy={}", launch * 20_000)))]
#[case::a_load_half_way(|launch, spec: &mut LaunchSpec| spec.arguments.push(format!("busy={}", if launch > 14 { 2_000_000 } else { 0 })))]
fn a_host_that_drifts_is_no_regression(#[case] drift: fn(u64, &mut LaunchSpec)) {
    let fixture = Fixture::new();
    for seed in 0..4 {
        let base = question("fake", "fake");
        let configuration = Configuration { seed, ..base.configuration.clone() };
        let ran = fixture.run_with_hook(fixture.new_session(Question { configuration, ..base }), altered(drift));
        let wrong = |verdict: &Verdict| matches!(verdict, Verdict::Regressed | Verdict::Improved);
        assert!(!ran.verdicts().iter().any(wrong), "seed {seed}: {:?}", ran.verdicts());
    }
}

#[test]
fn what_one_arm_cannot_run_is_skipped_with_the_reason() {
    let fixture = Fixture::new();
    let ran = fixture.run(question("fake", "oci:moon"));
    assert_eq!(ran.verdicts(), [Verdict::Skipped; 2]);
    assert!(ran.comparison().says_nothing() && ran.reason("boot").starts_with("b: "), "{}", ran.reason("boot"));
    assert!(ran.reason("boot").contains("moon") && ran.stored.trials.is_empty());
    let nothing = fixture
        .try_run(fixture.new_session(question("oci:moon", "oci:moon")), TestHook::default(), None)
        .expect_err("refused");
    assert!(matches!(nothing, AbError::NothingToRun(_)), "{nothing}");
}

#[test]
fn servers_are_compared_by_what_is_better_when_higher() {
    let fixture = Fixture::new();
    let base = question("fake", "fake");
    let workloads = vec![crate::model::program::Program::Nginx];
    let experiment = crate::model::record::Experiment::Scalability;
    let configuration = base.configuration.changed(|c| {
        c.experiment = experiment;
        c.workloads = workloads;
    });
    let ran = fixture.run(Question { configuration, ..base });
    assert_eq!(ran.line("throughput").case, "scalability/nginx/0");
    assert_eq!(ran.verdicts(), [Verdict::Equivalent], "the fake load generator reports no latency");
}

#[test]
fn a_recording_has_its_blocks_and_no_verdict() {
    let fixture = Fixture::new();
    let ran =
        fixture.run(Question { record: Some(5), null_control: false, ..question("fake", "fake,inject=busy:1ms") });
    assert_eq!((ran.stored.trials.len(), ran.summary.file.comparison.is_none()), (10, true));
    assert_eq!(ran.stored.file.outcome, RunOutcome::Complete);
}

#[test]
fn a_recording_of_an_arm_that_fails_says_so() {
    let fixture = Fixture::new();
    let base = fixture.new_session(Question { record: Some(50), ..question("fake", "fake") });
    let summary = fixture.try_run(base, failing(ArmId::B, |launch| launch > 0), None).expect("it begins");
    let [problem] = summary.problems.as_slice() else { panic!("{:?}", summary.problems) };
    assert!(problem.starts_with("boot/hello/0: b: no successful trials"), "{problem}");
}

#[test]
fn a_session_whose_time_is_over_is_inconclusive_and_can_be_continued() {
    let fixture = Fixture::new();
    let base = fixture.new_session(question("fake", "fake"));
    let summary = fixture.try_run(base, TestHook::default(), Some(Duration::ZERO)).expect("it begins");
    assert!(summary.is_out_of_time && summary.file.outcome == RunOutcome::Stopped);
    let comparison = summary.file.comparison.expect("there is an answer");
    assert_eq!(comparison.lines[0].decision.verdict, Verdict::Inconclusive);
    assert_eq!(comparison.lines[0].decision.reason.as_deref(), Some("the time limit of 0 s was over first"));
    let ran = fixture.run_with_hook(fixture.resume("last"), TestHook::default());
    assert_eq!(ran.verdicts(), [Verdict::Equivalent; 2]);
}

#[test]
fn every_metric_that_can_improve_is_judged_when_all_are_asked_for() {
    let fixture = Fixture::new();
    let ran = fixture.run(Question { metrics: MetricSelection::All, ..question("fake", "fake") });
    let names: Vec<&str> = ran.comparison().lines.iter().map(|line| line.metric.as_str()).collect();
    assert_eq!(names, ["boot", "boot_whole", "removal"]);
}

#[rstest]
#[case::no_case(|q: &mut Question| q.configuration.filter = Some("moon".to_owned()), "no case's name contains `moon`")]
#[case::no_metric(|q: &mut Question| q.metrics = "boot,moon".parse().unwrap(), "--metric moon: unknown in these cases")]
fn invalid_questions_are_refused_and_nothing_is_left(#[case] change: fn(&mut Question), #[case] message: &str) {
    let fixture = Fixture::new();
    let mut base = question("fake", "fake");
    change(&mut base);
    let error = fixture.try_run(fixture.new_session(base), TestHook::default(), None).expect_err("refused");
    assert!(error.to_string().starts_with(message), "{error}");
    assert_eq!(error.exit(), Exit::BadInput);
    assert!(list_sessions(&fixture.folders().comparisons()).is_empty(), "`--resume last` would be refused once more");
}
