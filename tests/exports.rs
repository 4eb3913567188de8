//! The exports of the frozen runs: by snapshots, by the documentation of their formats, and by their readers.

#[path = "exports/readers.rs"]
mod readers;

use std::path::Path;

use featherweight::model::record::Experiment;
use featherweight::report;
use featherweight::report::export::{
    Better, Exported, Selection, Simulated, bencher, critcmp, github, hyperfine, openmetrics,
};
use featherweight::store::StoredRun;
use serde_json::Value;

/// The frozen run of that experiment. Its platforms are simulated.
fn frozen(experiment: Experiment) -> [StoredRun; 1] {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/runs");
    let runs = report::latest(&folder).runs;
    [runs.into_iter().find(|run| run.file.experiment() == experiment).expect("every experiment has a frozen run")]
}

/// All of `runs`, or one metric of them.
fn selected<'a>(runs: &'a [StoredRun], metric: Option<&str>) -> Selection<'a> {
    let mut selection = Selection::of(runs, Simulated::Marked);
    let unknown = metric.map(|metric| selection.keep_metrics(&[metric.to_owned()]));
    assert_eq!(unknown.unwrap_or_default(), [] as [&str; 0]);
    selection
}

fn parsed(exported: &Exported) -> Value {
    serde_json::from_str(&exported.content).expect("an export is JSON")
}

/// The lines of what was left out.
fn left_out<T>(exported: &Exported<T>) -> String {
    exported.left_out.iter().map(|one| format!("{}: {}\n", one.what, one.why)).collect()
}

#[test]
fn every_format_matches_its_snapshot() {
    let boot = frozen(Experiment::Boot);
    let scalability = frozen(Experiment::Scalability);
    insta::assert_snapshot!("bencher", bencher(&selected(&boot, Some("boot"))).content);
    insta::assert_snapshot!("github-smaller", github(&selected(&boot, Some("boot")), Better::Smaller).content);
    insta::assert_snapshot!("github-bigger", github(&selected(&scalability, None), Better::Bigger).content);
    insta::assert_snapshot!("openmetrics", openmetrics(&selected(&scalability, Some("fairness"))).content);
    insta::assert_snapshot!("hyperfine", hyperfine(&selected(&boot, Some("removal"))).content);
    let tree = critcmp(&selected(&boot, Some("boot")), "main").content;
    let paths = tree.iter().map(|(path, _)| path.as_str()).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!("critcmp", format!("{paths}\n\n{}\n{}", tree[0].1, tree[1].1));
}

#[test]
fn simulated_cases_are_left_out_unless_requested() {
    let boot = frozen(Experiment::Boot);
    let selection = Selection::of(&boot, Simulated::LeftOut);
    assert_eq!(selection.cases, []);
    assert!(selection.left_out.iter().all(|one| one.why.starts_with("simulated")));
    assert!(selected(&boot, None).cases.iter().all(|case| case.name.ends_with(" (simulated)")));
}

#[test]
fn metrics_that_a_format_cannot_hold_are_reported() {
    let footprint = frozen(Experiment::Footprint);
    let selection = selected(&footprint, None);
    let count_of_case = |text: String| text.lines().filter(|line| line.starts_with("footprint/fake/sleep/10 ")).count();
    let metrics = selection.cases[0].metrics.len();
    // Three metrics are the host's state, one is a time.
    assert_eq!(count_of_case(left_out(&bencher(&selection))), 3);
    assert_eq!(count_of_case(left_out(&github(&selection, Better::Smaller))), 3);
    assert_eq!(count_of_case(left_out(&hyperfine(&selection))), metrics - 1);
    assert_eq!(count_of_case(left_out(&critcmp(&selection, "main"))), metrics - 1);
    assert_eq!(count_of_case(left_out(&openmetrics(&selection))), 0);
}

#[test]
fn one_trial_has_no_interval_and_no_place_in_criterions_tree() {
    let mut boot = frozen(Experiment::Boot);
    boot[0].trials.truncate(1);
    let selection = selected(&boot, Some("boot"));
    let metric = parsed(&bencher(&selection))["boot/fake/hello/0 (simulated)"]["boot_ns"].clone();
    assert_eq!(metric, serde_json::json!({ "value": 7_187_834.0 }));
    assert_eq!(parsed(&github(&selection, Better::Smaller))[0]["range"], Value::Null);
    assert_eq!(parsed(&hyperfine(&selection))["results"][0]["stddev"], Value::Null);
    let tree = critcmp(&selection, "main");
    assert_eq!(
        (tree.content, tree.metrics, tree.left_out[0].why.as_str()),
        (vec![], 0, "a single trial has no spread, which the format requires")
    );
}

#[test]
fn an_invalid_or_incomplete_run_has_a_caution() {
    let mut boot = frozen(Experiment::Boot);
    boot[0].file.outcome = featherweight::store::RunOutcome::Interrupted;
    boot[0].file.noise.as_mut().expect("a frozen run has its noise").invalid = vec!["much stolen".into()];
    let id = boot[0].file.run.to_string();
    let expected = [format!("run {id} is INVALID: much stolen"), format!("run {id} is interrupted")];
    assert_eq!(selected(&boot, None).cautions(), expected);
}
