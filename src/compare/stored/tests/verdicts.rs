//! Verdicts on runs that can be compared.

use std::path::Path;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::model::record::TrialRecord;
use crate::store::{TRIALS_FILE, Writer};

#[rstest]
#[case::slower(1.10, Verdict::Regressed)]
#[case::faster(0.90, Verdict::Improved)]
#[case::within_what_runs_differ_by(1.04, Verdict::Inconclusive)]
#[case::the_same(1.0, Verdict::Equivalent)]
fn a_difference_counts_beyond_what_two_runs_of_the_same_thing_differ_by(
    #[case] factor: f64,
    #[case] expected: Verdict,
) {
    let decision = decision(&boots(200, 7e6), &boots(200, 7e6 * factor));
    assert_eq!(decision.verdict, expected, "{decision:?}");
    assert!(decision.shift.is_some_and(|shift| (shift.value - factor.ln()).abs() < 0.002));
    assert_eq!(decision.blocks, 200);
}

#[test]
fn a_throughput_that_falls_is_worse() {
    let throughput = |center| {
        let metric = MetricValues {
            unit: Unit::PerSecond,
            direction: Direction::Higher,
            ..metric("throughput", values(30, center, 0.02))
        };
        run(vec![case(0, vec![metric])])
    };
    assert_eq!(decision(&throughput(50_000.0), &throughput(40_000.0)).verdict, Verdict::Regressed);
    assert_eq!(decision(&throughput(40_000.0), &throughput(50_000.0)).verdict, Verdict::Improved);
}

#[test]
fn what_is_inconclusive_says_what_it_could_have_seen() {
    let noisy = |n| run(vec![case(0, vec![metric("boot", values(n, 7e6, 0.30))])]);
    let few = decision(&noisy(8), &noisy(8));
    let many = decision(&noisy(400), &noisy(400));
    assert_eq!((few.verdict, many.verdict), (Verdict::Inconclusive, Verdict::Inconclusive));
    assert!(few.detectable > many.detectable && many.detectable >= Some(0.05), "{few:?} {many:?}");
}

#[test]
fn a_host_that_was_slower_itself_explains_what_it_can() {
    let mut b = boots(50, 7e6 * 1.10);
    for (quantum, expected) in
        [(104_000, Verdict::Regressed), (106_000, Verdict::Inconclusive), (90_000, Verdict::Inconclusive)]
    {
        b.file.noise = Some(guard(quantum));
        let decision = decision(&boots(50, 7e6), &b);
        assert_eq!(decision.verdict, expected, "{quantum}: {decision:?}");
        assert_eq!(decision.reason.is_some(), expected == Verdict::Inconclusive);
    }
}

#[test]
fn memory_does_not_depend_on_the_hosts_speed() {
    let memory = |center| {
        let metric = MetricValues { unit: Unit::Bytes, ..metric("pss_per_instance", values(20, center, 0.01)) };
        run(vec![case(0, vec![metric])])
    };
    let mut b = memory(1.2e6);
    b.file.noise = Some(guard(150_000));
    assert_eq!(decision(&memory(1e6), &b).verdict, Verdict::Regressed);
}

#[test]
fn a_noisy_run_is_invalid_and_an_unwatched_one_shows_no_difference() {
    let mut b = boots(50, 7e6 * 1.2);
    b.file.noise.as_mut().unwrap().invalid = vec!["CPU 1 after the run: others had 50 % of its time".into()];
    let invalid = decision(&boots(50, 7e6), &b);
    assert_eq!(invalid.verdict, Verdict::Invalid);
    assert!(invalid.reason.is_some_and(|reason| reason.contains("others had 50 %")));
    b.file.noise = None;
    let unwatched = decision(&boots(50, 7e6), &b);
    assert_eq!(unwatched.verdict, Verdict::Inconclusive);
    assert_eq!(unwatched.reason.as_deref(), Some("B has no noise guard"));
    b.file.noise = Some(NoiseGuard { before: Vec::new(), after: Vec::new(), ..guard(1) });
    assert!(decision(&boots(50, 7e6), &b).reason.is_some_and(|r| r.contains("different work")));
}

#[test]
fn a_virtual_clock_does_not_depend_on_the_host() {
    let [mut a, mut b] = [1.0, 1.2].map(|factor| boots(12, 7e6 * factor));
    for run in [&mut a, &mut b] {
        run.file.noise = None;
        run.file.platforms[0].capabilities.simulated = true;
    }
    assert_eq!(decision(&a, &b).verdict, Verdict::Regressed);
}

#[rstest]
#[case(1, 1)]
#[case(1, 50)]
#[case(4, 4)]
fn few_trials_show_nothing(#[case] a: u32, #[case] b: u32) {
    let decision = decision(&boots(a, 7e6), &boots(b, 70e6));
    assert_eq!(decision.verdict, Verdict::Inconclusive);
    assert!(decision.reason.is_some_and(|reason| reason.contains("too few")));
}

#[test]
fn an_attacked_victim_is_compared_by_its_slowdown_whatever_the_host_did() {
    let lines = |a: &RunValues, b: &RunValues| compared(a, b).comparison.lines;
    let mut slow = isolation(1.5, 1.3);
    slow.file.noise = Some(guard(130_000));
    let same = lines(&isolation(1.5, 1.0), &slow);
    assert_eq!(
        same.iter().map(|l| (l.case.as_str(), l.metric.as_str())).collect::<Vec<_>>(),
        [
            ("isolation/native/sqlite/unpinned/prime", "insert_time_slowdown"),
            ("isolation/native/sqlite/unpinned/reference", "insert_time")
        ]
    );
    assert!(matches!(same[0].decision.verdict, Verdict::Equivalent | Verdict::Inconclusive), "{same:?}");
    assert!(same[0].a.as_ref().is_some_and(|a| (a.median - 1.5).abs() < 0.02), "{same:?}");
    assert_eq!(same[1].decision.verdict, Verdict::Inconclusive, "the host was as much slower");
    let mut worse = isolation(1.9, 1.3);
    worse.file.noise = Some(guard(130_000));
    assert_eq!(lines(&isolation(1.5, 1.0), &worse)[0].decision.verdict, Verdict::Regressed);
}

/// The case without successful trials, for that reason.
fn all_failed(case: &CaseValues, reason: &str) -> CaseValues {
    let counts = Counts { failed: case.counts.ok, ..Counts::default() };
    CaseValues { counts, reason: Some(reason.to_owned()), metrics: Vec::new(), ..case.clone() }
}

#[test]
fn a_slowdown_without_successful_references_names_them() {
    let (a, mut b) = (isolation(1.5, 1.0), isolation(1.5, 1.0));
    b.cases[1] = all_failed(&b.cases[1], "no result");
    let lines = compared(&a, &b).comparison.lines;
    assert_eq!(lines[0].metric, "insert_time_slowdown");
    assert_eq!(lines[0].decision.reason.as_deref(), Some("B has no successful references of 20: no result"));
    assert_eq!(compared(&b, &b).comparison.lines[0].decision.verdict, Verdict::Skipped);
}

#[test]
fn a_victim_that_did_nothing_at_all_is_not_ignored() {
    let served = |value: f64| {
        let mut run = isolation(1.5, 1.0);
        for metric in run.cases.iter_mut().flat_map(|case| &mut case.metrics) {
            (metric.name, metric.unit, metric.direction) =
                ("throughput".to_owned(), Unit::PerSecond, Direction::Higher);
        }
        run.cases[0].metrics[0].values[3].1 = value;
        run.cases.iter_mut().for_each(|case| case.case.workload = crate::model::program::Program::Nginx);
        run
    };
    let comparison = compared(&served(1e9), &served(0.0)).comparison;
    assert_eq!(comparison.lines[0].metric, "throughput_slowdown");
    assert_eq!(comparison.lines[0].decision.verdict, Verdict::Inconclusive);
    assert!(comparison.lines[0].decision.reason.as_ref().is_some_and(|reason| reason.contains("without a ratio")));
    assert_eq!(comparison.lost(), [comparison.lines[0].case.as_str()]);
}

#[test]
fn trials_that_failed_are_reported_and_never_a_number() {
    let mut b = boots(12, 7e6);
    b.cases[0] = all_failed(&b.cases[0], "no main line");
    let lost = decision(&boots(12, 7e6), &b);
    assert_eq!(lost.verdict, Verdict::Inconclusive);
    assert_eq!(lost.reason.as_deref(), Some("B has no successful trials of 12: no main line"));
    assert_eq!(compared(&boots(12, 7e6), &b).comparison.lost(), ["boot/native/hello/0"]);
    assert!(compared(&b, &boots(12, 7e6)).comparison.lost().is_empty(), "what works now is not a failure");
    let comparison = compared(&b, &b).comparison;
    assert!(comparison.says_nothing() && comparison.lines.len() == 1, "{comparison:?}");
    assert!(comparison.notes.iter().any(|note| note == "B: of 12 trials 12 failed and 0 are flagged"));
}

#[test]
fn values_without_a_logarithm_are_skipped() {
    let odd = run(vec![case(0, vec![metric("boot", vec![(0, -1.0), (1, 0.0), (2, 3.0)])])]);
    let decision = decision(&odd, &odd);
    assert_eq!((decision.verdict, decision.shift), (Verdict::Skipped, None));
}

#[test]
fn a_run_that_mixes_images_in_a_case_is_not_judged_there() {
    let mut mixed = boots(12, 7e6);
    let mut other = mixed.cases[0].clone();
    other.case.image = "11".repeat(32);
    mixed.cases.push(other);
    let line = &compared(&boots(12, 7e6), &mixed).comparison.lines[0];
    assert_eq!(line.decision.verdict, Verdict::Inconclusive);
    assert!(line.decision.reason.as_ref().is_some_and(|r| r.contains("mixes trials of 2 images")), "{line:?}");
}

#[test]
fn the_selected_metrics_are_compared() {
    let of = |name| metric(name, values(12, 7e6, 0.02));
    let run = run(vec![case(0, vec![of("boot"), of("removal"), of("create")])]);
    let names = |metrics| {
        let lines = asked(&run, &run, metrics).comparison.lines;
        lines.into_iter().map(|line| line.metric).collect::<Vec<_>>()
    };
    assert_eq!(names(MetricSelection::Headline), ["boot"]);
    assert_eq!(names(MetricSelection::All), ["boot", "removal", "create"]);
    assert_eq!(names(MetricSelection::Named(vec!["removal".into(), "no such".into()])), ["removal"]);
    let nothing = asked(&run, &run, MetricSelection::Named(vec!["no such".into()])).comparison;
    assert!(nothing.says_nothing() && nothing.lines[0].decision.reason.is_some());
    let known = metric_names(&run, &isolation(1.5, 1.0));
    assert_eq!(known.iter().collect::<Vec<_>>(), ["boot", "create", "insert_time", "insert_time_slowdown", "removal"]);
}

#[test]
fn a_servers_tail_is_what_it_is_about_too() {
    let named = |name: &str| metric(name, values(12, 7e6, 0.02));
    let mut run = run(vec![case(0, vec![named("throughput"), named("latency_p50"), named("latency_p99")])]);
    (run.cases[0].case.experiment, run.cases[0].case.workload) =
        (Experiment::Scalability, crate::model::program::Program::Nginx);
    let lines = compared(&run, &run).comparison.lines;
    assert_eq!(lines.iter().map(|line| line.metric.as_str()).collect::<Vec<_>>(), ["throughput", "latency_p99"]);
}

#[test]
fn sizes_count_from_a_smaller_difference_on() {
    let weighed = |center: f64, unit: Unit| {
        let metric = MetricValues { unit, ..metric("image_size", (0..8).map(|i| (i, center)).collect()) };
        run(vec![case(0, vec![metric])])
    };
    let verdict = |unit| decision(&weighed(1e6, unit), &weighed(1.03e6, unit)).verdict;
    assert_eq!((verdict(Unit::Bytes), verdict(Unit::Nanos)), (Verdict::Regressed, Verdict::Inconclusive));
}

#[test]
fn runs_that_differed_more_widen_the_band() {
    let (a, b) = (boots(50, 7e6), boots(50, 7e6 * 1.10));
    let with = |medians: &[f64]| {
        let mut past = Past::default();
        medians.iter().for_each(|median| past.add(&boots(12, *median)));
        let question = Question { rule: Rule::DEFAULT, metrics: MetricSelection::Headline, past: &past };
        compare(("a", &a), ("b", &b), &question).comparison.lines[0].decision.clone()
    };
    assert_eq!(with(&[7e6, 7.02e6, 6.99e6]).verdict, Verdict::Regressed);
    let wide = with(&[6.5e6, 7e6, 7.5e6]);
    assert_eq!(wide.verdict, Verdict::Inconclusive);
    assert!(wide.reason.is_some_and(|reason| reason.contains("3 earlier runs")));
    assert_eq!(with(&[6.5e6, 7.5e6]).verdict, Verdict::Regressed, "two are too few");
}

/// Stores a run of that id and host revision, whose boots took `center`.
fn kept(runs: &Path, id: &str, revision: &str, center: f64) -> RunValues {
    let mut run = boots(12, center);
    run.file.run = id.parse().unwrap();
    run.file.host = [("revision".to_owned(), revision.into())].into();
    let writer = Writer::open(&runs.join(format!("{id}-boot"))).unwrap();
    writer.describe(&run.file).unwrap();
    let lines = run.cases[0].metrics[0].values.iter().map(|&(trial, value)| {
        let mut record = TrialRecord { run: run.file.run.clone(), trial, case: run.cases[0].case.clone(), ..record(0) };
        record.metrics[0].value = value;
        serde_json::to_string(&record).unwrap() + "\n"
    });
    std::fs::write(runs.join(format!("{id}-boot")).join(TRIALS_FILE), lines.collect::<String>()).unwrap();
    run
}

#[test]
fn a_regression_that_is_measured_again_does_not_become_noise() {
    let runs = tempfile::tempdir().unwrap();
    let id = |n: u32| format!("20261121-0845{n:02}-3f9a");
    let before: Vec<RunValues> =
        (0..4).map(|n| kept(runs.path(), &id(n), "old", 7e6 * (1.0 + 0.001 * f64::from(n)))).collect();
    let after: Vec<RunValues> = (4..8).map(|n| kept(runs.path(), &id(n), "new", 7.7e6)).collect();
    let (a, b) = (&before[3], &after[3]);
    let question = |past| Question { rule: Rule::DEFAULT, metrics: MetricSelection::Headline, past };
    let (there, back) = (Past::load(runs.path(), a, b), Past::load(runs.path(), b, a));
    let worse = compare(("a", a), ("b", b), &question(&there)).comparison.lines[0].decision.clone();
    assert_eq!(worse.verdict, Verdict::Regressed, "{worse:?}");
    let better = compare(("b", b), ("a", a), &question(&back)).comparison.lines[0].decision.clone();
    assert_eq!((better.verdict, there == back), (Verdict::Improved, true), "the past is the same from either side");
    assert_ne!(there, Past::default());
    assert_eq!(Past::load(runs.path(), &before[0], b), Past::default(), "nothing is older than the first");
    // Runs of each revision agree with each other.
    let later = kept(runs.path(), &id(9), "new", 8.5e6);
    let past = Past::load(runs.path(), &after[3], &later);
    let decision = compare(("a", &after[3]), ("b", &later), &question(&past)).comparison.lines[0].decision.clone();
    assert_eq!(decision.verdict, Verdict::Regressed, "{decision:?}");
}

#[test]
fn two_platforms_are_judged_by_the_bands_of_both() {
    let on = |platform_: &str, center| {
        let mut run = boots(50, center);
        (run.cases[0].case.platform, run.file.platforms) =
            (PlatformId::new(platform_), vec![platform(platform_, false)]);
        run
    };
    let mut past = Past::default();
    [6e6, 7e6, 8e6].iter().for_each(|median| past.add(&on("youki", *median)));
    let question = Question { rule: Rule::DEFAULT, metrics: MetricSelection::Headline, past: &past };
    let (a, b) = (on("native", 7e6), on("youki", 7.7e6));
    for (a, b) in [(&a, &b), (&b, &a)] {
        let decision = compare(("a", a), ("b", b), &question).comparison.lines[0].decision.clone();
        assert!(decision.reason.as_ref().is_some_and(|reason| reason.contains("3 earlier runs")), "{decision:?}");
    }
}

#[test]
fn only_what_regresses_twice_is_confirmed() {
    let two = |first: f64, second: f64| {
        run(vec![
            case(0, vec![metric("boot", values(50, first, 0.02))]),
            case(10, vec![metric("boot", values(50, second, 0.02))]),
        ])
    };
    let (a, b) = (two(7e6, 8e6), two(8e6, 10e6));
    let first = compared(&a, &b);
    let configuration = b.file.configuration.changed(|c| c.ladder = vec![0, 5, 10]);
    let less = flagged_alone(&configuration, &first, 7).unwrap();
    assert_eq!((less.levels(), less.seed, less.runs), (&[0, 10][..], 7, configuration.runs));
    let confirmed = confirmed(first, &compared(&a, &two(7e6, 10e6)), "r2").comparison;
    let verdicts: Vec<Verdict> = confirmed.lines.iter().map(|line| line.decision.verdict).collect();
    assert_eq!(verdicts, [Verdict::Inconclusive, Verdict::Regressed]);
    let reasons: Vec<&str> = confirmed.lines.iter().filter_map(|line| line.decision.reason.as_deref()).collect();
    assert!(reasons[0].starts_with("not confirmed: EQUIVALENT"), "{reasons:?}");
    assert!(reasons[1].starts_with("confirmed after re-provisioning: +25.0 %"), "{reasons:?}");
    assert!(flagged_alone(&configuration, &compared(&a, &a), 7).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn swapping_the_runs_mirrors_the_verdict(
        a in prop::collection::vec(1.0..1.3f64, 1..30),
        b in prop::collection::vec(1.0..1.3f64, 1..30),
        factor in 0.7..1.4f64,
        quanta in (95_000..105_000u64, 95_000..105_000u64),
    ) {
        let of = |values: &[f64], factor: f64, quantum| {
            let values = values.iter().map(|v| (0, v * factor * 7e6)).collect();
            let mut run = run(vec![case(0, vec![metric("boot", values)])]);
            run.file.noise = Some(guard(quantum));
            run
        };
        let (a, b) = (of(&a, 1.0, quanta.0), of(&b, factor, quanta.1));
        let (there, back) = (decision(&a, &b), decision(&b, &a));
        prop_assert_eq!(there.verdict, back.verdict.mirrored());
        prop_assert_eq!(there.shift.unwrap().value, -back.shift.unwrap().value);
        prop_assert_eq!((there.p, there.detectable), (back.p, back.detectable));
    }
}
