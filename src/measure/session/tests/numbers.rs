//! The exact results of runs, which the fake platform determines.

use rstest::rstest;

use super::*;
use crate::model::cpuset::CpuSet;

fn median(values: &[f64]) -> f64 {
    crate::stats::median(&crate::stats::Sample::new(values.to_vec()).expect("values"))
}

#[rstest]
fn a_complete_run_has_one_good_record_a_planned_trial_in_order(
    #[values(Experiment::Boot, Experiment::Footprint, Experiment::Scalability, Experiment::Isolation)]
    experiment: Experiment,
) {
    let fixture = Fixture::new();
    let configured = Configuration { runs: 2, ..configuration(experiment) };
    let planned = fixture.open(fixture.new_run(configured.clone())).expect("it opens");
    let names: Vec<String> = planned.plan().trials.iter().map(ToString::to_string).collect();
    planned.abandon();

    let ran = fixture.plain(configured);

    assert_eq!(ran.orders(), (0..names.len() as u64).collect::<Vec<_>>());
    assert!(ran.outcomes().iter().all(|&outcome| outcome == Outcome::Ok));
    assert!(
        ran.stored.trials.iter().all(|t| !t.metrics.is_empty() && t.reason.is_none() && t.run == ran.stored.file.run)
    );
    assert_eq!((ran.summary.outcome, ran.stored.file.outcome), (RunOutcome::Complete, RunOutcome::Complete));
    assert_eq!((ran.stored.file.planned, ran.stored.file.reason.as_deref()), (names.len() as u64, None));
    assert!(ran.summary.problems.is_empty() && ran.stored.file.ended.is_some());
}

#[test]
fn a_run_that_is_abandoned_leaves_nothing() {
    let fixture = Fixture::new();
    fixture.open(fixture.new_run(configuration(Experiment::Boot))).expect("it opens").abandon();
    assert!(list_runs(&fixture.folders().runs()).is_empty());
    assert!(ledger::list(&fixture.folders().state).expect("listed").is_empty());
}

#[test]
fn a_boot_takes_five_milliseconds_and_grows_with_the_background() {
    let ran = Fixture::new().plain(configuration(Experiment::Boot).changed(|c| {
        c.ladder = vec![0, 100, 200];
        c.runs = 3;
    }));
    let boots = ran.values("boot", |trial| trial.case.background);
    let medians: Vec<f64> = boots.values().map(|values| median(values)).collect();
    for (median, expected) in medians.iter().zip([5.00e6, 5.25e6, 5.50e6]) {
        assert!((median / expected - 1.0).abs() < 0.011, "{median} ns, not {expected} ns within 1 %");
    }
    let whole = ran.values("boot_whole", |_| ())[&()].clone();
    let boot = ran.values("boot", |_| ())[&()].clone();
    assert!(whole.iter().zip(&boot).all(|(whole, boot)| *whole == boot + 300_000.0), "the guest ends 0.3 ms later");
    assert!(ran.values("removal", |_| ())[&()].iter().all(|&removal| removal == 2e6));
}

#[test]
fn an_attacker_on_the_victims_thread_halves_it_and_one_elsewhere_does_nothing() {
    let placements = vec![Placement::SameThread, Placement::SameCore, Placement::SameSocket, Placement::Fill];
    let ran = Fixture::new().plain(configuration(Experiment::Isolation).changed(|c| {
        c.placements = placements;
        c.runs = 5;
    }));
    let times = ran.values("insert_time", |trial| (trial.case.placement, trial.role));
    let placed: Vec<Placement> = times.keys().map(|&(placement, _)| placement).collect();
    assert!(placed.contains(&Placement::SameThread));
    for placement in placed {
        let of = |role| median(&times[&(placement, role)]);
        let slowdown = of(Role::Measured) / of(Role::Reference);
        let expected = if placement == Placement::SameThread { 2.0 } else { 1.0 };
        assert!((slowdown / expected - 1.0).abs() < 0.021, "{placement}: {slowdown}, not {expected} within 2 %");
        assert!((of(Role::Placebo) / of(Role::Reference) - 1.0).abs() < 0.021, "an idle neighbor costs nothing");
    }
}

#[test]
fn only_a_measured_trial_has_an_attacker_and_its_operations() {
    let ran = Fixture::new().plain(configuration(Experiment::Isolation));
    for trial in &ran.stored.trials {
        let measured = trial.role == Role::Measured;
        assert_eq!(trial.case.attacker.is_some(), measured);
        assert_eq!(trial.attack_ops.is_some_and(|ops| ops > 0), measured);
        assert_eq!(trial.cpus.attackers.is_empty(), trial.role == Role::Reference);
        assert_eq!(trial.cpus.victim.len(), 1);
    }
}

#[test]
fn several_victims_are_one_trial_with_a_value_each() {
    let ran = Fixture::new().plain(configuration(Experiment::Scalability).changed(|c| c.victims = vec![4]));
    let together = ran.stored.trials.iter().find(|trial| trial.case.victims == 4).expect("the parallel mode");
    let times = together.metrics.iter().find(|metric| metric.name == "insert_time").expect("its metric");
    assert_eq!(times.samples.len(), 4);
    assert!(together.metric("fairness").is_some_and(|f| f > 0.999 && f <= 1.0));
    let alone = ran.stored.trials.iter().find(|trial| trial.case.victims == 1).expect("the ladder");
    assert!(alone.metric("fairness").is_none(), "one victim is not fair to anybody");
}

#[test]
fn background_instances_stay_up_between_the_trials_of_a_level_and_are_gone_at_the_end() {
    let mut living = Vec::new();
    let mut look = |fake: &Fake, trial: &TrialRecord| living.push((trial.case.background, fake.platform.living()));
    let fixture = Fixture::new();
    let ladder = configuration(Experiment::Boot).changed(|c| {
        c.ladder = vec![0, 3, 5];
        c.ladder_order = crate::model::configuration::LadderOrder::Growth;
        c.boots = 4;
    });
    let ran = fixture.run(fixture.new_run(ladder), Script::default(), &mut look);
    assert_eq!(living.len(), 12);
    assert!(living.iter().all(|&(background, living)| background as usize == living), "{living:?}");
    assert_eq!(ran.fake.sleepers.load(Ordering::SeqCst), 5, "each was launched once");
}

#[test]
fn a_placement_that_the_host_lacks_is_a_skip_with_its_reason() {
    let fixture = Fixture::new();
    let placements = vec![Placement::SameThread, Placement::SameSocket, Placement::OtherSocket];
    let configured = configuration(Experiment::Isolation).changed(|c| c.placements = placements);
    let on_one_cpu = || {
        let cpu = placement::usable_cpus().expect("asked").first().expect("one");
        placement::pin_current_thread(&CpuSet::one(cpu)).expect("pinned");
        fixture.plain(configured)
    };
    let ran = std::thread::scope(|scope| scope.spawn(on_one_cpu).join().expect("no panic"));
    let skipped: Vec<_> = ran.stored.file.skips.iter().map(|skip| skip.placement).collect();
    assert_eq!(skipped, [Some(Placement::SameSocket), Some(Placement::OtherSocket)]);
    assert!(ran.stored.file.skips.iter().all(|skip| skip.reason.contains("is not possible here")));
    assert!(ran.stored.trials.iter().all(|trial| trial.case.placement == Placement::SameThread));
    assert_eq!(ran.summary.outcome, RunOutcome::Complete);
}

#[test]
fn a_run_of_which_nothing_is_possible_says_why_and_leaves_nothing() {
    let fixture = Fixture::new();
    let configured = Configuration { platforms: vec![PlatformId::new("moon")], ..configuration(Experiment::Boot) };
    let error = fixture.open(fixture.new_run(configured)).expect_err("nothing can run").to_string();
    assert!(error.contains("nothing can run here") && error.contains("moon"), "{error}");
    assert!(ledger::list(&fixture.folders().state).expect("listed").is_empty());
}

/// Searches for the smallest memory on a fake platform with that script; returns the outcome and the metrics in MiB.
fn smallest(script: Script, workload: Program) -> (Outcome, BTreeMap<String, f64>) {
    let fixture = Fixture::new();
    let base = configuration(Experiment::Footprint);
    let configured = base.changed(|c| {
        c.minimum = true;
        c.ladder = vec![0];
        c.runs = 1;
        c.workloads = vec![workload];
    });
    let ran = fixture.run(fixture.new_run(configured), script, &mut |_, _| {});
    let [trial] = ran.stored.trials.as_slice() else { panic!("one search: {:?}", ran.stored.trials) };
    let sizes = trial.metrics.iter().filter(|m| m.name.ends_with("_memory"));
    (trial.outcome, sizes.map(|m| (m.name.clone(), m.value / 1_048_576.0)).collect())
}

#[rstest]
#[case::steady(Program::Sleep, Script::default(), 23.0)]
#[case::a_server(Program::Nginx, Script::default(), 23.0)]
// The ninth launch is the second confirmation.
#[case::one_hiccup(Program::Sleep, Script { fail_launch: [8].into(), ..Script::default() }, 23.0)]
// And the two after it: as often as what does not suffice.
#[case::flaky(Program::Sleep, Script { fail_launch: [8, 9, 10].into(), ..Script::default() }, 24.0)]
fn the_smallest_memory_is_what_the_fake_guest_needs(
    #[case] workload: Program,
    #[case] script: Script,
    #[case] least: f64,
) {
    let (outcome, sizes) = smallest(script, workload);
    assert_eq!(outcome, Outcome::Ok);
    let expected = [("guest_memory", 64.0), ("insufficient_memory", least - 1.0), ("minimum_memory", least)]
        .map(|(n, v)| (n.to_owned(), v));
    assert_eq!(sizes, expected.into());
}

#[test]
fn a_guest_that_does_not_boot_as_it_is_has_no_smallest_memory() {
    let (outcome, sizes) = smallest(Script { fail_launch: [0].into(), ..Script::default() }, Program::Sleep);
    assert_eq!((outcome, sizes), (Outcome::Failed, BTreeMap::new()));
}
