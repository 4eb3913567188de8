//! Runs as they become lines.

use serde_json::Value;

use super::*;
use crate::model::record::{Experiment, Outcome, TrialRecord};
use crate::store::testing::{record, run_file};
use crate::store::{NoiseGuard, Writer, read_values};

/// A complete run of that id whose boots took about that many nanoseconds.
fn run(id: &str, about: f64) -> RunValues {
    stored(id, about, |_| {})
}

/// The same with that change to its trials, as it is read again.
fn stored(id: &str, about: f64, change: impl Fn(&mut TrialRecord)) -> RunValues {
    let mut file = run_file();
    file.run = id.parse().unwrap();
    file.host = [("cpu_model", "EPYC"), ("kernel", "6.8.0"), ("revision", "abcdef")]
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .into();
    let dir = tempfile::tempdir().unwrap();
    let mut writer = Writer::open(dir.path()).unwrap();
    writer.describe(&file).unwrap();
    for order in 0..12 {
        let mut trial = TrialRecord { run: file.run.clone(), ..record(order) };
        trial.metrics[0].value = about * (1.0 + order as f64 / 1000.0);
        change(&mut trial);
        writer.append(&trial).unwrap();
    }
    read_values(dir.path()).unwrap()
}

fn entries_of(run: &RunValues, earlier: &[Entry]) -> Vec<Entry> {
    run_entries(run, &host_of(&run.file).unwrap(), earlier)
}

#[test]
fn the_first_run_is_the_anchor_of_those_after_it() {
    let first = entries_of(&run("20261101-000000-0001", 7e6), &[]);
    assert!(first[0].is_anchor() && first[0].ratio.is_some_and(|ratio| ratio.value == 1.0));
    let second = entries_of(&run("20261102-000000-0002", 7.7e6), &first);
    let ratio = second[0].ratio.unwrap();
    assert!((ratio.value - 1.1).abs() < 1e-3 && ratio.interval.is_some_and(|i| i.contains(1.1)), "{ratio:?}");
    assert_eq!((&second[0].anchor, second[0].is_anchor()), (&first[0].anchor, false));
    assert_eq!((second[0].case.as_str(), second[0].trials), ("boot/hello/0", 12));
}

#[test]
fn more_of_what_is_better_is_a_ratio_below_one() {
    let faster = |mut run: RunValues| {
        run.cases[0].metrics[0].direction = Direction::Higher;
        run
    };
    let first = entries_of(&faster(run("20261101-000000-0001", 1e3)), &[]);
    let second = entries_of(&faster(run("20261102-000000-0002", 2e3)), &first);
    assert!((second[0].ratio.unwrap().value - 0.5).abs() < 1e-3);
}

#[test]
fn another_kernel_or_setting_has_an_anchor_of_its_own() {
    let first = entries_of(&run("20261101-000000-0001", 7e6), &[]);
    for (name, value) in [("kernel", "6.9.0"), ("microcode", "0x2"), ("transparent_hugepages", "never")] {
        let mut other = run("20261102-000000-0002", 8e6);
        other.file.host.insert(name.to_owned(), Value::from(value));
        let second = entries_of(&other, &first);
        assert!(second[0].is_anchor() && second[0].host == first[0].host, "{name}");
    }
}

#[test]
fn other_rows_have_an_anchor_of_their_own() {
    let of_rows = |id: &str, rows: u32, earlier: &[Entry]| {
        let mut run = run(id, 7e6);
        run.file.configuration =
            run.file.configuration.changed(|c| (c.experiment, c.rows) = (Experiment::Scalability, rows));
        let case = &mut run.cases[0].case;
        (case.experiment, case.workload) = (Experiment::Scalability, crate::model::program::Program::Sqlite);
        entries_of(&run, earlier).remove(0)
    };
    let quick = of_rows("20261101-000000-0001", 5_000, &[]);
    let standard = of_rows("20261102-000000-0002", 60_000, std::slice::from_ref(&quick));
    assert!(standard.is_anchor() && standard.parameters != quick.parameters);
    let again = of_rows("20261103-000000-0003", 5_000, &[quick.clone(), standard]);
    assert_eq!(again.anchor, quick.anchor);
}

#[test]
fn every_metric_of_a_case_has_its_line_even_one_that_the_first_trial_lacks() {
    let run = stored("20261101-000000-0001", 7e6, |trial| {
        if trial.order > 0 {
            let ready = crate::model::record::Metric { name: "ready".to_owned(), ..trial.metrics[0].clone() };
            trial.metrics.push(ready);
        }
    });
    let lines: Vec<(String, usize)> =
        entries_of(&run, &[]).into_iter().map(|entry| (entry.metric, entry.trials)).collect();
    assert_eq!(lines, [("boot".to_owned(), 12), ("ready".to_owned(), 11)]);
}

#[test]
fn a_noisy_run_is_stored_as_invalid_and_never_an_anchor() {
    let noise = NoiseGuard { before: Vec::new(), after: Vec::new(), invalid: vec!["noisy".to_owned()], unjudged: None };
    let mut noisy = run("20261102-000000-0002", 9e6);
    noisy.file.noise = Some(noise);
    assert_eq!(entries_of(&noisy, &[]), []);
    let first = entries_of(&run("20261101-000000-0001", 7e6), &[]);
    let entries = entries_of(&noisy, &first);
    assert_eq!((entries[0].verdict, entries[0].sound_ratio()), (Some(Verdict::Invalid), None));
}

#[test]
fn what_has_no_logarithm_and_what_failed_is_left_out() {
    let first = |change: fn(&mut TrialRecord)| {
        stored("20261101-000000-0001", 7e6, |trial| {
            if trial.order == 0 {
                change(trial);
            }
        })
    };
    assert_eq!(entries_of(&first(|trial| trial.metrics[0].value = 0.0), &[]), []);
    assert_eq!(entries_of(&first(|trial| trial.outcome = Outcome::Failed), &[])[0].trials, 11);
}

#[test]
fn a_run_that_is_not_complete_or_of_an_unknown_host_is_refused() {
    let mut partial = run("20261101-000000-0001", 7e6);
    partial.file.outcome = RunOutcome::Interrupted;
    assert!(host_of(&partial.file).unwrap_err().reason.contains("--resume"));
    let mut nowhere = run("20261101-000000-0001", 7e6);
    nowhere.file.host.clear();
    assert!(host_of(&nowhere.file).unwrap_err().reason.starts_with("its host's facts"));
}

#[test]
fn a_shift_beyond_all_numbers_is_no_ratio() {
    assert_eq!(ratio(Estimate { value: 1e9, interval: None }), None);
    let wide = Interval { low: -1e9, high: 1e9, level: 0.98 };
    assert_eq!(ratio(Estimate { value: 0.0, interval: Some(wide) }), Some(Estimate { value: 1.0, interval: None }));
}
