//! Sessions as they become lines.

use super::*;
use crate::regression::Ruling;
use crate::stats::summarize;
use crate::store::NoiseGuard;
use crate::store::testing::{record, run_file};
use crate::units::Unit;

/// A complete run of that id whose boots took about that many nanoseconds.
pub(super) fn run(id: &str, about: f64) -> StoredRun {
    let id: RunId = id.parse().unwrap();
    let mut file = run_file();
    file.run = id.clone();
    file.host = [("cpu_model", "EPYC"), ("kernel", "6.8.0"), ("revision", "abcdef")]
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .into();
    let trial = |order: u64| {
        let mut trial = TrialRecord { run: id.clone(), ..record(order) };
        trial.metrics[0].value = about * (1.0 + order as f64 / 1000.0);
        let mut neutral = Metric { name: "load".to_owned(), direction: Direction::Neutral, ..trial.metrics[0].clone() };
        neutral.unit = Unit::Ratio;
        trial.metrics.push(neutral);
        trial
    };
    StoredRun { dir: "runs/x".into(), file, trials: (0..12).map(trial).collect(), warnings: Vec::new() }
}

fn of(run: &StoredRun, earlier: &[Entry]) -> Vec<Entry> {
    of_run(run, &host_of(run).unwrap(), earlier)
}

#[test]
fn the_first_run_is_the_anchor_of_those_after_it() {
    let first = of(&run("20261101-000000-0001", 7e6), &[]);
    assert_eq!(first.len(), 1, "a metric without a better and a worse is left out: {first:?}");
    assert!(first[0].is_anchor() && first[0].ratio.is_some_and(|ratio| ratio.value == 1.0));
    let second = of(&run("20261102-000000-0002", 7.7e6), &first);
    let ratio = second[0].ratio.unwrap();
    assert!((ratio.value - 1.1).abs() < 1e-3 && ratio.interval.is_some_and(|i| i.contains(1.1)), "{ratio:?}");
    assert_eq!((&second[0].anchor, second[0].is_anchor()), (&first[0].anchor, false));
    assert_eq!((second[0].case.as_str(), second[0].trials), ("boot/hello/0", 12));
}

#[test]
fn more_of_what_is_better_is_a_ratio_below_one() {
    let faster = |mut run: StoredRun| {
        run.trials.iter_mut().for_each(|trial| trial.metrics[0].direction = Direction::Higher);
        run
    };
    let first = of(&faster(run("20261101-000000-0001", 1e3)), &[]);
    let second = of(&faster(run("20261102-000000-0002", 2e3)), &first);
    assert!((second[0].ratio.unwrap().value - 0.5).abs() < 1e-3);
}

#[test]
fn another_kernel_has_an_anchor_of_its_own() {
    let first = of(&run("20261101-000000-0001", 7e6), &[]);
    let mut other = run("20261102-000000-0002", 8e6);
    other.file.host.insert("kernel".to_owned(), Value::from("6.9.0"));
    assert!(of(&other, &first)[0].is_anchor());
}

#[test]
fn a_noisy_run_is_stored_as_invalid_and_never_an_anchor() {
    let noise = NoiseGuard { before: Vec::new(), after: Vec::new(), invalid: vec!["noisy".to_owned()], unjudged: None };
    let mut noisy = run("20261102-000000-0002", 9e6);
    noisy.file.noise = Some(noise);
    assert_eq!(of(&noisy, &[]), []);
    let first = of(&run("20261101-000000-0001", 7e6), &[]);
    let entries = of(&noisy, &first);
    assert_eq!((entries[0].verdict, entries[0].sound_ratio()), (Some(Verdict::Invalid), None));
}

#[test]
fn what_has_no_logarithm_and_what_failed_is_left_out() {
    let mut zero = run("20261101-000000-0001", 7e6);
    zero.trials[0].metrics[0].value = 0.0;
    assert_eq!(of(&zero, &[]), []);
    zero.trials[0].outcome = Outcome::Failed;
    assert_eq!(of(&zero, &[])[0].trials, 11);
}

#[test]
fn a_run_that_is_not_complete_or_of_an_unknown_host_is_refused() {
    let mut partial = run("20261101-000000-0001", 7e6);
    partial.file.outcome = RunOutcome::Interrupted;
    assert!(host_of(&partial).unwrap_err().reason.contains("--resume"));
    let mut nowhere = run("20261101-000000-0001", 7e6);
    nowhere.file.host.clear();
    assert!(host_of(&nowhere).unwrap_err().reason.starts_with("its host's facts"));
}

#[test]
fn a_fact_that_is_not_understood_leaves_the_others_known() {
    let host = BTreeMap::from([("cpu_model".to_owned(), "EPYC".into()), ("logical_cpus".to_owned(), "many".into())]);
    let facts = facts(&host);
    assert_eq!((facts.cpu_model.as_deref(), facts.logical_cpus), (Some("EPYC"), None));
}

#[test]
fn a_case_is_named_without_its_platform() {
    let case = record(0).case;
    let name = |case: Case, role| case_name(&case, role);
    assert_eq!(name(Case { background: 100, ..case.clone() }, Role::Measured), "boot/hello/100");
    let isolated = Case { experiment: Experiment::Isolation, workload: "sqlite".to_owned(), ..case.clone() };
    assert_eq!(name(isolated, Role::Placebo), "isolation/sqlite/unpinned/placebo");
    let several = Case { experiment: Experiment::Scalability, victims: 4, ..case };
    assert_eq!(name(several, Role::Measured), "scalability/hello/4-victims");
}

/// An ab session with that shift.
pub(super) fn session(shift: f64) -> AbSession {
    let sample = Sample::new((0..30).map(|i| 7e6 + f64::from(i)).collect()).unwrap();
    let interval = Some(Interval { low: shift - 0.01, high: shift + 0.01, level: 0.98 });
    let ruling = Ruling {
        verdict: Verdict::Regressed,
        shift: Some(Estimate { value: shift, interval }),
        p: Some(0.001),
        detectable: Some(0.03),
        blocks: 50,
        reason: None,
    };
    let line = |metric: &str, direction| Line {
        case: "boot/hello/0".to_owned(),
        metric: metric.to_owned(),
        unit: Unit::Nanos,
        direction,
        a: Some(summarize(&sample)),
        b: Some(summarize(&sample)),
        ruling: ruling.clone(),
    };
    let side = |name: &str| {
        let facts = [("kernel", "6.8.0"), ("youki", "0.7.0")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        Side { name: name.to_owned(), facts: facts.into() }
    };
    let skipped = Line { b: None, ..line("skipped", Direction::Lower) };
    AbSession {
        session: "20261103-000000-0003".parse().unwrap(),
        time: "2026-11-03T00:00:00Z".to_owned(),
        version: "0.1.0".to_owned(),
        host: HostFacts { cpu_model: Some("EPYC".to_owned()), ..HostFacts::default() },
        experiment: Experiment::Boot,
        comparison: Comparison {
            a: side("youki,guests=v1"),
            b: side("youki"),
            notes: Vec::new(),
            not_comparable: Vec::new(),
            lines: vec![line("boot", Direction::Lower), line("load", Direction::Neutral), skipped],
            took: None,
        },
        subject: Subject { images: [("hello".to_owned(), "ff".repeat(32))].into(), ..Subject::default() },
    }
}

#[test]
fn an_ab_session_brings_its_own_ratio_and_verdict() {
    let (_, entries) = session(0.05).entries().unwrap();
    assert_eq!(entries.len(), 1, "{entries:?}");
    let entry = &entries[0];
    assert!((entry.ratio.unwrap().value - 0.05f64.exp()).abs() < 1e-12);
    assert_eq!((entry.verdict, entry.anchor.name.as_str()), (Some(Verdict::Regressed), "youki,guests=v1"));
    assert_eq!(entry.image, Some("ff".repeat(32)));
    assert_eq!(entry.versions.keys().collect::<Vec<_>>(), ["youki"], "the kernel has a field of its own");
}

#[test]
fn the_anchor_of_an_ab_session_outlives_a_kernel_and_no_other_version() {
    let id = |change: &dyn Fn(&mut AbSession)| {
        let mut session = session(0.0);
        change(&mut session);
        session.entries().unwrap().1.remove(0).anchor.id
    };
    let fact = |name: &'static str| {
        move |s: &mut AbSession| drop(s.comparison.a.facts.insert(name.to_owned(), "other".to_owned()))
    };
    assert_eq!(id(&fact("kernel")), id(&|_| {}));
    assert_ne!(id(&fact("youki")), id(&|_| {}));
    let native = |kernel: &str| {
        id(&|s| {
            s.host.kernel = Some(kernel.to_owned());
            s.comparison.a.facts.insert("version".to_owned(), format!("Linux {kernel}"));
        })
    };
    assert_eq!(native("6.8"), native("6.12"), "the kernel by another name");
}

#[test]
fn the_path_of_a_program_is_a_version_and_begins_no_other_track() {
    let mut session = session(0.0);
    session.comparison.b.name = "oci:crun,runtime=/opt/2/crun,append=x".to_owned();
    let facts = [("runtime", "/opt/2/crun"), ("image hello", "ff")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    session.comparison.b.facts = facts.into();
    let entry = session.entries().unwrap().1.remove(0);
    assert_eq!(entry.platform, "oci:crun,append=x");
    assert_eq!(entry.versions.keys().collect::<Vec<_>>(), ["runtime"], "guests have a field of their own");
}

#[test]
fn arms_that_cannot_be_compared_are_refused() {
    let mut session = session(0.0);
    session.comparison.not_comparable.push("their kernels differ".to_owned());
    assert!(session.entries().unwrap_err().to_string().contains("because their kernels differ"));
}

#[test]
fn a_shift_beyond_all_numbers_is_no_ratio() {
    assert_eq!(ratio(Estimate { value: 1e9, interval: None }), None);
    let wide = Interval { low: -1e9, high: 1e9, level: 0.98 };
    assert_eq!(ratio(Estimate { value: 0.0, interval: Some(wide) }), Some(Estimate { value: 1.0, interval: None }));
}
