//! What is said of runs that can be compared.

use proptest::prelude::*;
use rstest::rstest;

use super::*;

#[rstest]
#[case::slower(1.10, Verdict::Regressed)]
#[case::faster(0.90, Verdict::Improved)]
#[case::within_what_runs_differ_by(1.04, Verdict::Inconclusive)]
#[case::the_same(1.0, Verdict::Equivalent)]
fn a_difference_counts_beyond_what_two_runs_of_the_same_thing_differ_by(
    #[case] factor: f64,
    #[case] expected: Verdict,
) {
    let ruling = ruling(&boots(200, 7e6), &boots(200, 7e6 * factor));
    assert_eq!(ruling.verdict, expected, "{ruling:?}");
    assert!(ruling.shift.is_some_and(|shift| (shift.value - factor.ln()).abs() < 0.002));
    assert_eq!(ruling.blocks, 200);
}

#[test]
fn a_throughput_that_falls_is_worse() {
    let throughput = |centre| {
        let metric = MetricValues {
            unit: Unit::PerSecond,
            direction: Direction::Higher,
            ..metric("throughput", values(30, centre, 0.02))
        };
        run(vec![case(0, vec![metric])])
    };
    assert_eq!(ruling(&throughput(50_000.0), &throughput(40_000.0)).verdict, Verdict::Regressed);
    assert_eq!(ruling(&throughput(40_000.0), &throughput(50_000.0)).verdict, Verdict::Improved);
}

#[test]
fn what_is_inconclusive_says_what_it_could_have_seen() {
    let noisy = |n| run(vec![case(0, vec![metric("boot", values(n, 7e6, 0.30))])]);
    let few = ruling(&noisy(8), &noisy(8));
    let many = ruling(&noisy(400), &noisy(400));
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
        let ruling = ruling(&boots(50, 7e6), &b);
        assert_eq!(ruling.verdict, expected, "{quantum}: {ruling:?}");
        assert_eq!(ruling.reason.is_some(), expected == Verdict::Inconclusive);
    }
}

#[test]
fn memory_does_not_depend_on_the_hosts_speed() {
    let memory = |centre| {
        let metric = MetricValues { unit: Unit::Bytes, ..metric("pss_per_instance", values(20, centre, 0.01)) };
        run(vec![case(0, vec![metric])])
    };
    let mut b = memory(1.2e6);
    b.file.noise = Some(guard(150_000));
    assert_eq!(ruling(&memory(1e6), &b).verdict, Verdict::Regressed);
}

#[test]
fn a_noisy_run_is_invalid_and_an_unwatched_one_shows_no_difference() {
    let mut b = boots(50, 7e6 * 1.2);
    b.file.noise.as_mut().unwrap().invalid = vec!["CPU 1 after the run: others had 50 % of its time".into()];
    let invalid = ruling(&boots(50, 7e6), &b);
    assert_eq!(invalid.verdict, Verdict::Invalid);
    assert!(invalid.reason.is_some_and(|reason| reason.contains("others had 50 %")));
    b.file.noise = None;
    let unwatched = ruling(&boots(50, 7e6), &b);
    assert_eq!(unwatched.verdict, Verdict::Inconclusive);
    assert_eq!(unwatched.reason.as_deref(), Some("no noise guard watched B"));
    b.file.noise = Some(NoiseGuard { before: Vec::new(), after: Vec::new(), ..guard(1) });
    assert!(ruling(&boots(50, 7e6), &b).reason.is_some_and(|r| r.contains("different work")));
}

#[test]
fn a_virtual_clock_does_not_depend_on_the_host() {
    let [mut a, mut b] = [1.0, 1.2].map(|factor| boots(12, 7e6 * factor));
    for run in [&mut a, &mut b] {
        run.file.noise = None;
        run.file.platforms[0].capabilities.simulated = true;
    }
    assert_eq!(ruling(&a, &b).verdict, Verdict::Regressed);
}

#[rstest]
#[case(1, 1)]
#[case(1, 50)]
#[case(4, 4)]
fn few_trials_show_nothing(#[case] a: u32, #[case] b: u32) {
    let ruling = ruling(&boots(a, 7e6), &boots(b, 70e6));
    assert_eq!(ruling.verdict, Verdict::Inconclusive);
    assert!(ruling.reason.is_some_and(|reason| reason.contains("too few")));
}

#[test]
fn an_attacked_victim_is_compared_by_its_slowdown_whatever_the_host_did() {
    let lines = |a: &SlimRun, b: &SlimRun| compared(a, b).comparison.lines;
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
    assert!(matches!(same[0].ruling.verdict, Verdict::Equivalent | Verdict::Inconclusive), "{same:?}");
    assert!(same[0].a.as_ref().is_some_and(|a| (a.median - 1.5).abs() < 0.02), "{same:?}");
    assert_eq!(same[1].ruling.verdict, Verdict::Inconclusive, "the host was as much slower");
    let mut worse = isolation(1.9, 1.3);
    worse.file.noise = Some(guard(130_000));
    assert_eq!(lines(&isolation(1.5, 1.0), &worse)[0].ruling.verdict, Verdict::Regressed);
}

#[test]
fn trials_that_failed_are_told_and_never_a_number() {
    let mut b = boots(12, 7e6);
    (b.cases[0].ok, b.cases[0].failed, b.cases[0].reason) = (0, 12, Some("no main line".into()));
    b.cases[0].metrics.clear();
    let lost = ruling(&boots(12, 7e6), &b);
    assert_eq!(lost.verdict, Verdict::Inconclusive);
    assert_eq!(lost.reason.as_deref(), Some("not one of B's 12 trials is good: no main line"));
    let comparison = compared(&b, &b).comparison;
    assert!(comparison.says_nothing() && comparison.lines.len() == 1, "{comparison:?}");
    assert!(comparison.notes.iter().any(|note| note == "B: of 12 trials 12 failed and 0 are flagged"));
}

#[test]
fn values_without_a_logarithm_are_skipped() {
    let odd = run(vec![case(0, vec![metric("boot", vec![(0, -1.0), (1, 0.0), (2, 3.0)])])]);
    let ruling = ruling(&odd, &odd);
    assert_eq!((ruling.verdict, ruling.shift), (Verdict::Skipped, None));
}

#[test]
fn a_run_that_mixes_images_in_a_case_is_not_judged_there() {
    let mut mixed = boots(12, 7e6);
    let mut other = mixed.cases[0].clone();
    other.case.image = "11".repeat(32);
    mixed.cases.push(other);
    let line = &compared(&boots(12, 7e6), &mixed).comparison.lines[0];
    assert_eq!(line.ruling.verdict, Verdict::Inconclusive);
    assert!(line.ruling.reason.as_ref().is_some_and(|r| r.contains("mixes trials of 2 images")), "{line:?}");
}

#[test]
fn the_metrics_are_those_that_are_asked_for() {
    let of = |name| metric(name, values(12, 7e6, 0.02));
    let run = run(vec![case(0, vec![of("boot"), of("removal"), of("create")])]);
    let names = |metrics| {
        let lines = asked(&run, &run, metrics).comparison.lines;
        lines.into_iter().map(|line| line.metric).collect::<Vec<_>>()
    };
    assert_eq!(names(Metrics::Headline), ["boot"]);
    assert_eq!(names(Metrics::All), ["boot", "removal", "create"]);
    assert_eq!(names(Metrics::Named(vec!["removal".into(), "no such".into()])), ["removal"]);
    let nothing = asked(&run, &run, Metrics::Named(vec!["no such".into()])).comparison;
    assert!(nothing.says_nothing() && nothing.lines[0].ruling.reason.is_some());
}

#[test]
fn sessions_that_differed_more_widen_what_counts() {
    let (a, b) = (boots(50, 7e6), boots(50, 7e6 * 1.10));
    let with = |medians: &[f64]| {
        let mut past = Past::default();
        medians.iter().for_each(|median| past.add(&boots(12, *median)));
        let question = Question { rule: Rule::USUAL, metrics: Metrics::Headline, past: &past };
        compare(("a", &a), ("b", &b), &question).comparison.lines[0].ruling.clone()
    };
    assert_eq!(with(&[7e6, 7.02e6, 6.99e6]).verdict, Verdict::Regressed);
    let wide = with(&[6.5e6, 7e6, 7.5e6]);
    assert_eq!(wide.verdict, Verdict::Inconclusive);
    assert!(wide.reason.is_some_and(|reason| reason.contains("3 earlier sessions")));
    assert_eq!(with(&[6.5e6, 7.5e6]).verdict, Verdict::Regressed, "two are too few to tell");
}

#[test]
fn only_what_is_there_twice_is_confirmed() {
    let two = |first: f64, second: f64| {
        run(vec![
            case(0, vec![metric("boot", values(50, first, 0.02))]),
            case(10, vec![metric("boot", values(50, second, 0.02))]),
        ])
    };
    let (a, b) = (two(7e6, 8e6), two(8e6, 10e6));
    let first = compared(&a, &b);
    let mut configuration = b.file.configuration.clone();
    configuration.ladder = vec![0, 5, 10];
    let less = flagged_alone(&configuration, &first, 7).unwrap();
    assert_eq!((less.ladder, less.seed, less.runs), (vec![0, 10], 7, configuration.runs));
    let confirmed = confirmed(first, &compared(&a, &two(7e6, 10e6)), "r2").comparison;
    let verdicts: Vec<Verdict> = confirmed.lines.iter().map(|line| line.ruling.verdict).collect();
    assert_eq!(verdicts, [Verdict::Inconclusive, Verdict::Regressed]);
    let reasons: Vec<&str> = confirmed.lines.iter().filter_map(|line| line.ruling.reason.as_deref()).collect();
    assert!(reasons[0].starts_with("not confirmed: measured again in run r2 it is EQUIVALENT"), "{reasons:?}");
    assert!(reasons[1].starts_with("measured again, everything provisioned anew: +25.0 %"), "{reasons:?}");
    assert!(flagged_alone(&configuration, &compared(&a, &a), 7).is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn exchanging_the_runs_mirrors_the_verdict(
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
        let (there, back) = (ruling(&a, &b), ruling(&b, &a));
        prop_assert_eq!(there.verdict, back.verdict.mirrored());
        prop_assert_eq!(there.shift.unwrap().value, -back.shift.unwrap().value);
        prop_assert_eq!((there.p, there.detectable), (back.p, back.detectable));
    }
}
