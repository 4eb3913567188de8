//! What cannot be compared, what can although it differs, and what is told of it.

use rstest::rstest;

use super::*;
use crate::model::configuration::LadderOrder;
use crate::model::flat_configuration::FlatConfiguration;
use crate::store::RunOutcome;

type Change = fn(&mut RunValues);

fn refused(a: &RunValues, b: &RunValues) -> String {
    let comparison = compared(a, b).comparison;
    assert!(comparison.lines.is_empty(), "{comparison:?}");
    assert!(comparison.says_nothing() && !comparison.has_regressed());
    comparison.not_comparable.join("; ")
}

/// Changes parameters of a run's configuration.
fn change_to(run: &mut RunValues, change: impl FnOnce(&mut FlatConfiguration)) {
    run.file.configuration = run.file.configuration.changed(change);
}

#[rstest]
#[case::hosts(|b: &mut RunValues| b.file.host = facts_of("6.12.1"), "different hosts: kernel: 6.8.0 against 6.12.1")]
#[case::experiments(|b: &mut RunValues| change_to(b, |c| c.experiment = Experiment::Footprint), "different experiments: boot against footprint")]
#[case::network(|b: &mut RunValues| b.file.configuration.network = crate::model::platform::Networking::Bridge, "configuration: network: none against bridge")]
#[case::accelerators(|b: &mut RunValues| b.cases[0].case.accelerator = Accelerator::Tcg, "different accelerators: none against tcg")]
#[case::simulated(|b: &mut RunValues| b.file.platforms[0].capabilities.simulated = true, "simulated against real: native, native")]
#[case::limits(|b: &mut RunValues| b.file.platforms[0].capabilities.limits = false, "control groups: on native limits are set in A alone")]
#[case::no_common_case(|b: &mut RunValues| b.cases[0].case.background = 7, "no common case: A has boot/native/hello/0; B has boot/native/hello/7")]
#[case::empty(|b: &mut RunValues| b.cases.clear(), "B has no trials (run 20261121-084514-3f9a, complete)")]
fn runs_that_ask_different_things_are_refused(#[case] change: Change, #[case] why: &str) {
    let mut a = boots(12, 7e6);
    a.file.host = facts_of("6.8.0");
    let mut b = a.clone();
    change(&mut b);
    assert_eq!(refused(&a, &b), why);
}

#[test]
fn rows_matter_to_sqlite_and_a_ladders_order_with_a_background() {
    let a = isolation(1.5, 1.0);
    let mut b = a.clone();
    change_to(&mut b, |c| c.rows = 60_000);
    assert_eq!(refused(&a, &b), "configuration: rows: 0 against 60000");
    let mut a = boots(12, 7e6);
    let mut b = a.clone();
    change_to(&mut b, |c| (c.rows, c.ladder_order) = (60_000, LadderOrder::Growth));
    assert!(compared(&a, &b).comparison.not_comparable.is_empty(), "neither matters to a boot without a background");
    a.cases[0].case.background = 10;
    b.cases[0].case.background = 10;
    assert_eq!(refused(&a, &b), "configuration: ladder order: shuffled against growth");
}

#[test]
fn how_much_is_measured_makes_no_difference() {
    let (a, mut b) = (boots(12, 7e6), boots(30, 7e6));
    change_to(&mut b, |c| (c.runs, c.boots, c.timeout_s, c.seed, c.noise_quanta) = (9, 4, 120, 99, 20_000));
    assert!(compared(&a, &b).comparison.not_comparable.is_empty());
}

#[test]
fn what_may_be_asked_about_is_allowed_and_named() {
    let a = boots(12, 7e6);
    let mut b = a.clone();
    b.cases[0].case.image = "11".repeat(32);
    b.file.platforms[0].facts.version = "2".to_owned();
    b.file.host = [("revision".to_owned(), "ff4b0d4ff4b0d4ff4b0d4".into())].into();
    let comparison = compared(&a, &b).comparison;
    assert_eq!((comparison.not_comparable.len(), comparison.lines.len()), (0, 1));
    assert_eq!(
        (&comparison.a.facts["platform native"], &comparison.b.facts["platform native"]),
        (&"1".into(), &"2".into())
    );
    assert_eq!(comparison.b.facts["revision"], "ff4b0d4ff4b0");
    let note =
        "the measured guest is another program in B, so a difference may come from the guest: boot/native/hello/0";
    assert!(comparison.notes.iter().any(|n| n == note), "{:?}", comparison.notes);
    assert!(!compared(&a, &a).comparison.notes.iter().any(|n| n.contains("another program")));
}

#[test]
fn two_platforms_are_compared_where_each_run_has_one() {
    let a = boots(12, 7e6);
    let mut b = boots(12, 9e6);
    b.cases[0].case.platform = PlatformId::new("youki");
    b.file.platforms = vec![platform("youki", false)];
    let comparison = compared(&a, &b).comparison;
    assert_eq!(comparison.lines[0].case, "boot/hello/0");
    assert_eq!(comparison.lines[0].decision.verdict, Verdict::Regressed);
    assert!(comparison.notes.iter().any(|n| n == "two platforms are compared: A was measured on native, B on youki"));
    let mut more = b.clone();
    more.cases.push(b.cases[0].clone());
    more.cases[1].case.platform = PlatformId::new("docker");
    assert_eq!(refused(&a, &more), "no common platform: native against docker, youki");
}

#[test]
fn what_a_reader_must_know_is_noted() {
    let a = run([0, 10].map(|level| case(level, vec![metric("boot", values(12, 7e6, 0.02))])).into());
    let mut b = a.clone();
    b.cases.truncate(1);
    (b.file.outcome, b.file.planned) = (RunOutcome::Interrupted, 48);
    b.warnings = vec!["line 13: torn, skipped".to_owned()];
    b.cases[0].counts.flagged = 2;
    let notes = compared(&a, &b).comparison.notes.join("\n");
    for note in [
        "drift between them counts as a difference",
        "B is not complete (interrupted): 12 of 48 trials",
        "B: line 13: torn, skipped",
        "B: of 12 trials 0 failed and 2 are flagged",
        "A's host is not recorded",
        "in A alone, not compared: boot/native/hello/10",
    ] {
        assert!(notes.contains(note), "`{note}` in {notes}");
    }
}
