//! `--save-baseline` and `--baseline` on the real targets, and `cargo xtask compare` on what they stored.

mod bench;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use assert_cmd::assert::{Assert, OutputAssertExt};
use bench::{Desk, build, entries};
use featherweight::model::record::{Experiment, Outcome, TrialRecord};
use featherweight::store::{RUN_FILE, TRIALS_FILE};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The options of a run that ends at once and has enough trials to compare.
const SMALL: &str = "--platform fake --runs 30 --benchmark_time 1 --instances_per_benchmark 2";

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).expect("valid UTF-8")
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).expect("valid UTF-8")
}

fn boot(desk: &Desk, more: &str) -> Command {
    desk.command(Experiment::Boot, &format!("{SMALL} {more}"))
}

/// Applies `change` to the trials in the folder `dir`.
fn rewrite(dir: &Path, change: impl Fn(&mut TrialRecord)) {
    let path = dir.join(TRIALS_FILE);
    let text = fs::read_to_string(&path).expect("the file is stored");
    let changed = text.lines().map(|line| {
        let mut record: TrialRecord = serde_json::from_str(line).expect("a record");
        change(&mut record);
        serde_json::to_string(&record).expect("a record is text") + "\n"
    });
    fs::write(&path, changed.collect::<String>()).expect("the file is writable");
}

/// Multiplies the stored values by `factor`.
fn stretch(dir: &Path, factor: f64) {
    rewrite(dir, |record| record.metrics.iter_mut().for_each(|metric| metric.value *= factor));
}

/// Marks every stored trial as failed.
fn fail(dir: &Path) {
    rewrite(dir, |record| {
        record.metrics.clear();
        (record.outcome, record.reason) = (Outcome::Failed, Some("no main line".to_owned()));
    });
}

/// Applies `change` to the description of the run in the folder `dir`.
fn describe(dir: &Path, change: impl Fn(&mut Value)) {
    let path = dir.join(RUN_FILE);
    let mut file: Value = serde_json::from_str(&fs::read_to_string(&path).expect("the file is stored")).expect("a run");
    change(&mut file);
    fs::write(&path, file.to_string()).expect("the file is writable");
}

/// A desk with a run that is also saved as the baseline `main`. The run is measured once for all tests.
fn desk_with_baseline() -> Desk {
    static MODEL: OnceLock<Desk> = OnceLock::new();
    let model = MODEL.get_or_init(|| {
        let desk = Desk::new();
        boot(&desk, "").assert().success();
        desk
    });
    let (desk, run) = (Desk::new(), model.run().dir);
    let runs = desk.output().join("runs");
    for to in [baseline(&desk), runs.join(run.file_name().expect("a folder"))] {
        fs::create_dir_all(&to).expect("a folder can be made");
        for file in [RUN_FILE, TRIALS_FILE] {
            fs::copy(run.join(file), to.join(file)).expect("a copy");
        }
    }
    desk
}

fn baseline(desk: &Desk) -> std::path::PathBuf {
    desk.output().join("baselines/main/boot")
}

/// `cargo xtask compare` in the folders of `desk`.
fn compare(desk: &Desk, arguments: &[&str]) -> Command {
    static XTASK: OnceLock<std::path::PathBuf> = OnceLock::new();
    let xtask = XTASK.get_or_init(|| build(&["test", "--workspace", "--no-run", "--test", "chores"])["xtask"].clone());
    let mut command = Command::new(xtask);
    command.arg("compare").args(arguments).env("CARGO_TARGET_DIR", desk.path("target"));
    command
}

#[test]
fn a_baseline_outlives_its_run_and_the_same_again_is_no_regression() {
    let desk = Desk::new();
    let saved = stdout(&boot(&desk, "--save-baseline main").assert().success());
    assert_eq!(saved.lines().last(), Some(format!("baseline main: {}", baseline(&desk).display()).as_str()));
    desk.runs().iter().for_each(|dir| fs::remove_dir_all(dir).unwrap());
    let text = stdout(&boot(&desk, "--baseline main").assert().success());
    assert!(text.contains("A: main\n") && text.contains("boot/fake/hello/2"), "{text}");
    assert!(text.trim_end().ends_with("EQUIVALENT.") && text.contains("No regression found."), "{text}");
    assert_eq!(desk.runs().len(), 1, "nothing is measured again");
}

#[test]
fn a_confirmed_slowdown_is_a_regression_with_exit_code_1() {
    let desk = Desk::new();
    boot(&desk, "--save-baseline main").assert().success();
    // The baseline was quicker in one of its two cases.
    rewrite(&baseline(&desk), |record| {
        let factor = if record.case.background == 0 { 0.8 } else { 1.0 };
        record.metrics.iter_mut().for_each(|metric| metric.value *= factor);
    });
    let text = stdout(&boot(&desk, "--baseline main").assert().code(1));
    assert!(text.contains("possible regressions; provisioning again"), "{text}");
    assert!(text.contains("2 metrics regressed. 2 REGRESSED, 2 EQUIVALENT."), "{text}");
    assert!(text.contains("REGRESSED: boot/fake/hello/0 boot") && text.contains("+25."), "{text}");
    let runs: Vec<_> = desk.runs().iter().map(|dir| featherweight::store::read_run(dir).unwrap()).collect();
    assert_eq!(
        runs.iter().map(|run| run.trials.len()).collect::<Vec<_>>(),
        [60, 60, 30],
        "only what was flagged again"
    );
    assert!(entries(&desk.state()).is_empty(), "no ledger is left");
    let confirms: Vec<_> = runs.iter().map(|run| run.file.confirms.as_ref()).collect();
    assert_eq!(confirms, [None, None, Some(&runs[1].file.run)]);
    let last = stdout(&compare(&desk, &["main", "last"]).assert().code(1));
    assert!(last.contains(runs[1].file.run.as_str()) && last.contains("boot/fake/hello/2"), "{last}");
}

#[test]
fn a_speedup_is_an_improvement() {
    let desk = desk_with_baseline();
    stretch(&baseline(&desk), 1.3);
    let text = stdout(&boot(&desk, "--baseline main").assert().success());
    assert!(text.contains("4 IMPROVED"), "{text}");
}

#[rstest]
#[case::unknown("--baseline other", "--baseline other: unknown baseline (known: main)")]
#[case::a_path("--baseline ../main", "invalid baseline name `../main`; expected up to 64 letters")]
#[case::a_word("--save-baseline last", "neither `last` nor a run's id")]
#[case::both("--save-baseline main --baseline main", "cannot be used with")]
#[case::configuration("--network bridge --baseline main", "configuration: network: none against bridge")]
fn invalid_options_are_refused_before_anything_is_measured(#[case] line: &str, #[case] message: &str) {
    let desk = desk_with_baseline();
    let refused = stderr(&boot(&desk, line).assert().code(2));
    let words = refused.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(message), "{refused}");
    assert_eq!(desk.runs().len(), 1);
}

#[test]
fn a_baseline_of_another_host_or_of_few_trials_is_refused_before_anything_is_measured() {
    let desk = desk_with_baseline();
    for option in ["--baseline", "--save-baseline"] {
        let line = format!("--platform fake --benchmark_time 1 --runs 4 {option} main");
        let refused = stderr(&desk.command(Experiment::Boot, &line).assert().code(2));
        assert!(refused.contains(&format!("{option} main: 4 trials per case are too few to compare")), "{refused}");
        assert!(refused.contains("add --runs 5"), "{refused}");
    }
    describe(&baseline(&desk), |file| file["configuration"]["runs"] = 2.into());
    let refused = stderr(&boot(&desk, "--baseline main").assert().code(2));
    assert!(refused.contains("as saved, 2 trials per case are too few") && refused.contains("--runs 5"), "{refused}");
    describe(&baseline(&desk), |file| file["host"]["kernel"] = "1.0".into());
    let refused = stderr(&boot(&desk, "--baseline main").assert().code(2));
    assert!(refused.contains("not comparable: different hosts: kernel: 1.0 against "), "{refused}");
    assert_eq!(desk.runs().len(), 1);
}

#[rstest]
#[case::saving("--save-baseline", "not saved as baseline main: the run is interrupted")]
#[case::comparing("--baseline", "not compared with main: the run is interrupted")]
fn an_interrupted_run_reports_that_it_is_not_saved_or_compared(#[case] option: &str, #[case] message: &str) {
    let desk = desk_with_baseline();
    let line = format!("--platform fake --benchmark_time 1 --instances_per_benchmark 2 --runs 10000 {option} main");
    let mut command = desk.command(Experiment::Boot, &line);
    let mut harness = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(harness.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    lines.find(|line| line.contains(" trials, about ")).expect("the run starts");
    kill_process(Pid::from_child(&harness), Signal::INT).expect("it runs");
    let lines: Vec<String> = lines.collect();
    assert_eq!(harness.wait().expect("waited").code(), Some(130), "{lines:?}");
    let help = format!("help: continue with --resume last {option} main");
    assert!(lines.windows(2).any(|pair| pair[0].contains(message) && pair[1] == help), "{lines:?}");
}

#[test]
fn a_case_that_fails_only_in_b_is_a_failure() {
    let desk = desk_with_baseline();
    fail(&desk.runs()[0]);
    let lost = stdout(&compare(&desk, &["main", "last"]).assert().code(4));
    assert!(lost.contains("2 cases have no number in B.") && lost.contains("no main line"), "{lost}");
    fail(&baseline(&desk));
    let nothing = stdout(&compare(&desk, &["main", "last"]).assert().code(3));
    assert!(nothing.contains("Nothing could be compared."), "{nothing}");
}

#[test]
fn a_baseline_without_the_experiment_is_refused() {
    let desk = desk_with_baseline();
    let line = "--platform fake --runs 1 --baseline main";
    let refused = stderr(&desk.command(Experiment::Footprint, line).assert().code(2));
    assert!(refused.contains("has no footprint run, only boot"), "{refused}");
}

#[test]
fn stored_runs_are_compared_by_id_folder_name_and_last() {
    let desk = desk_with_baseline();
    let run = desk.runs()[0].clone();
    let id = run.file_name().unwrap().to_str().unwrap();
    for b in ["last", id, &id[..20], run.to_str().unwrap()] {
        let text = stdout(&compare(&desk, &["main", b]).assert().success());
        assert!(text.contains("A: main\n") && text.contains("4 EQUIVALENT"), "{text}");
    }
    stretch(&run, 1.25);
    let text = stdout(&compare(&desk, &["main", "last"]).assert().code(1));
    assert!(text.contains("4 REGRESSED") && text.contains("claims less than `cargo xtask ab`"), "{text}");
    assert!(stdout(&compare(&desk, &["last", "main"]).assert().success()).contains("4 IMPROVED"));
}

#[test]
fn every_format_is_written_to_its_output() {
    let desk = desk_with_baseline();
    stretch(&desk.runs()[0], 1.25);
    let file = desk.path("out.json");
    let output = file.to_str().unwrap();
    compare(&desk, &["main", "last", "--format", "json", "--output", output]).assert().code(1);
    let value: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!((&value["schema"], &value["verdicts"]["REGRESSED"]), (&1.into(), &4.into()));
    let github = stdout(&compare(&desk, &["main", "last", "--format", "github"]).assert().code(1));
    assert_eq!(github.lines().filter(|line| line.starts_with("::error title=Regression")).count(), 4, "{github}");
    let markdown = compare(&desk, &["main", "last", "--format", "markdown", "--metric", "removal"]).assert().code(1);
    assert!(stdout(&markdown).starts_with("### 2 metrics regressed."), "{}", stdout(&markdown));
    compare(&desk, &["main", "last", "--output", "/proc/no/such"]).assert().code(2);
    compare(&desk, &["main", "last", "--format", "xml"]).assert().code(2);
    let unknown = stderr(&compare(&desk, &["main", "last", "--metric", "boot,no-such"]).assert().code(2));
    assert!(
        unknown.contains("--metric no-such: unknown metric; expected one of ") && unknown.contains("removal"),
        "{unknown}"
    );
    let mixed = stderr(&compare(&desk, &["main", "last", "--metric", "all,boot"]).assert().code(2));
    assert!(mixed.contains("`all` cannot be combined with other metrics"), "{mixed}");
}

#[test]
fn an_unreadable_or_different_run_is_refused_with_the_reason() {
    let desk = desk_with_baseline();
    assert!(stderr(&compare(&Desk::new(), &["a", "last"]).assert().code(3)).contains("no run is stored"));
    let wrong = stderr(&compare(&desk, &["tuesday", "last"]).assert().code(2));
    assert!(wrong.contains("A tuesday: ") && wrong.contains("expected a baseline's name (known: main), "), "{wrong}");
    let bench =
        |names: [&str; 2]| stderr(&compare(&desk, &[&names[..], &["--bench", "isolation"]].concat()).assert().code(2));
    assert!(bench(["main", "main"]).contains("--bench isolation: baseline main has boot"));
    assert!(bench(["last", "last"]).contains("--bench isolation: A last is a run of boot"));
    desk.command(Experiment::Footprint, "--platform fake --runs 1").assert().success();
    let experiments = stderr(&compare(&desk, &["main", "last"]).assert().code(2));
    assert!(experiments.contains("baseline main: has boot; the other side has footprint"), "{experiments}");
    let footprint = desk.runs()[1].clone();
    let refused = compare(&desk, &[desk.runs()[0].to_str().unwrap(), footprint.to_str().unwrap()]).assert().code(2);
    assert!(stdout(&refused).contains("not comparable: different experiments: boot against footprint"));
}

#[rstest]
#[case::torn("{\"schema\":1,\"ru", 0, "torn, skipped")]
#[case::damaged("{}\n", 2, "missing field")]
#[case::newer("{\"schema\":9}\n", 2, "has schema 9")]
#[case::foreign_text("\u{0}\u{1}\n", 2, "line 61")]
fn a_damaged_run_is_reported(#[case] last: &str, #[case] code: i32, #[case] message: &str) {
    let desk = desk_with_baseline();
    let path = baseline(&desk).join(TRIALS_FILE);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text + last).unwrap();
    let assert = compare(&desk, &["main", "last"]).assert().code(code);
    let text = stdout(&assert) + &stderr(&assert);
    assert!(text.contains(message), "{text}");
}

#[test]
fn another_host_and_an_empty_run_are_refused() {
    let desk = desk_with_baseline();
    describe(&baseline(&desk), |file| file["host"]["kernel"] = "1.0".into());
    let refused = stdout(&compare(&desk, &["main", "last"]).assert().code(2));
    assert!(refused.contains("not comparable: different hosts: kernel: 1.0 against "), "{refused}");
    fs::write(baseline(&desk).join(TRIALS_FILE), "").unwrap();
    let empty = stdout(&compare(&desk, &["main", "last"]).assert().code(2));
    assert!(empty.contains("not comparable: A has no trials"), "{empty}");
}
