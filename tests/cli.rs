//! The command line of the bench targets: output, files and exit codes of the real binaries.

mod bench;
#[path = "cli/refusals.rs"]
mod refusals;
#[path = "cli/terminal.rs"]
mod terminal;
#[path = "cli/thesis.rs"]
mod thesis;
#[path = "cli/verdicts.rs"]
mod verdicts;

use std::fs;
use std::process::Stdio;

use assert_cmd::assert::{Assert, OutputAssertExt};
use bench::{Desk, entries};
use featherweight::model::record::Experiment;
use featherweight::platform::registry;
use featherweight::store::{RunOutcome, list_runs};
use rstest::rstest;

/// The options of a run that ends at once.
const TINY: &str = "--platform fake --runs 1 --benchmark_time 1 --instances_per_benchmark 2";

fn stdout(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stdout.clone()).expect("valid UTF-8")
}

fn stderr(assert: &Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).expect("valid UTF-8")
}

#[rstest]
fn help_has_examples_and_every_known_value(#[values(Experiment::Boot, Experiment::Isolation)] experiment: Experiment) {
    let help = stdout(&Desk::new().command(experiment, "--help").assert().success());
    let sections =
        ["Examples:", "cargo bench --bench isolation -- --resume last", "Exit codes: 0 success 1 confirmed regression"];
    let options = ["--profile", "--platform", "--attacker", "--placement", "--runs", "--benchmark_time", "--out"];
    let forms = format!("Platforms, comma-separated: {}", registry::accepted());
    let values =
        ["quick", "standard", "paper", "prime", "same-thread", "nginx", "bridge", "[default: native,youki", &forms];
    // Long lists are wrapped.
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in sections.iter().chain(&options).chain(&values) {
        assert!(help.contains(text), "`{text}` in {help}");
    }
    assert!(!help.contains("--nocapture"), "options of test runners are hidden");
}

#[test]
fn a_list_names_every_case_once_and_runs_nothing() {
    let desk = Desk::new();
    let line = "--platform fake --placement same-thread --workload redis,sqlite --attacker prime,open --list";
    let text = stdout(&desk.command(Experiment::Isolation, line).assert().success());
    let names: Vec<&str> = text.lines().collect();
    let expected =
        ["redis/same-thread/open", "redis/same-thread/prime", "sqlite/same-thread/open", "sqlite/same-thread/prime"]
            .map(|case| format!("isolation/fake/{case}"));
    assert_eq!(names, expected);
    assert!(desk.runs().is_empty());
    assert!(entries(&desk.state()).is_empty(), "no ledger is left");
}

#[test]
fn a_dry_run_prints_every_trial_with_the_time_it_takes_and_runs_nothing() {
    let desk = Desk::new();
    let assert =
        desk.command(Experiment::Scalability, &format!("{TINY} --workload sqlite --dry-run")).assert().success();
    let text = stdout(&assert);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["    0  scalability/fake/sqlite/0 #0", "    1  scalability/fake/sqlite/2 #0"]);
    assert!(lines[2].starts_with("2 trials, about ") && lines.len() == 3, "{text}");
    assert!(desk.runs().is_empty());
    assert!(entries(&desk.state()).is_empty(), "no ledger is left");
}

#[test]
fn a_seed_gives_the_same_plan_again_and_another_seed_another() {
    let desk = Desk::new();
    let plan = |seed| {
        let line = format!("--platform fake --placement same-thread --dry-run --seed {seed}");
        stdout(&desk.command(Experiment::Isolation, &line).assert().success())
    };
    assert_eq!(plan(7), plan(7));
    assert_ne!(plan(7), plan(8));
}

#[rstest]
fn a_run_prints_its_table_its_folder_and_last_its_report(
    #[values(Experiment::Boot, Experiment::Footprint, Experiment::Scalability)] experiment: Experiment,
) {
    let desk = Desk::new();
    let assert = desk.command(experiment, TINY).assert().success();
    let text = stdout(&assert);
    let lines: Vec<&str> = text.lines().collect();
    let [.., run, report] = lines.as_slice() else { panic!("{text}") };
    let stored = desk.run();
    assert_eq!(*run, format!("run: {}", stored.dir.display()));
    assert_eq!(*report, format!("report: {}", desk.output().join("report/index.html").display()));
    let measured = if experiment == Experiment::Scalability { 3 } else { 1 };
    assert_eq!((stored.file.outcome, stored.trials.len()), (RunOutcome::Complete, 2 * measured));
    assert!(text.contains("fake") && text.contains("SIMULATED"), "{text}");
}

#[test]
fn a_run_leaves_its_records_its_series_and_both_reports() {
    let desk = Desk::new();
    desk.command(Experiment::Boot, TINY).assert().success();
    let run = desk.run().dir;
    let own = ["run.json", "trials.jsonl", "series/host.csv", "report/index.html", "report/summary.json"];
    let common = ["report/index.html", "report/summary.json"];
    let files = own.iter().map(|f| run.join(f)).chain(common.iter().map(|f| desk.output().join(f)));
    for file in files {
        assert!(fs::metadata(&file).is_ok_and(|m| m.len() > 0), "{}", file.display());
    }
    let figures = entries(&run.join("report/figures"));
    assert!(!figures.is_empty() && figures.iter().all(|f| f.extension().is_some_and(|e| e == "svg")), "{figures:?}");
    for json in ["run.json", "report/summary.json"] {
        let text = fs::read_to_string(run.join(json)).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&text).unwrap().is_object(), "{json}");
    }
    assert!(entries(&desk.state()).is_empty(), "no ledger is left");
}

#[test]
fn servers_are_measured_without_installing_anything() {
    let desk = Desk::new();
    let line = "--platform fake --runs 1 --placement same-thread --load-seconds 2 --requests 5000";
    let assert = desk.command(Experiment::Isolation, line).assert().success();
    let run = desk.run();
    let measured = |workload| {
        run.trials.iter().filter(move |t| t.case.workload.name() == workload && t.metric("throughput").is_some())
    };
    assert_eq!((measured("nginx").count(), measured("redis").count()), (4, 4));
    assert_eq!((run.file.configuration.load().seconds, run.file.configuration.load().requests), (2, 5000));
    assert!(!stdout(&assert).contains("skipped: "));
}

#[test]
fn a_closed_pipe_does_not_stop_a_run() {
    let desk = Desk::new();
    let mut command = desk.command(Experiment::Boot, TINY);
    let mut harness = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the target starts");
    drop((harness.stdout.take(), harness.stderr.take()));
    assert_eq!(harness.wait().expect("waited").code(), Some(0));
    assert_eq!(desk.run().file.outcome, RunOutcome::Complete);
}

#[test]
fn the_run_is_written_to_the_out_folder_with_any_name() {
    let desk = Desk::new();
    let out = desk.path("a folder, größer");
    let assert = desk.command(Experiment::Boot, TINY).arg("--out").arg(&out).assert().success();
    assert_eq!((list_runs(&out).len(), desk.runs().len()), (1, 0));
    let page = out.join("report/index.html");
    assert_eq!(stdout(&assert).lines().last(), Some(format!("report: {}", page.display()).as_str()));
    assert!(page.is_file() && !desk.output().join("report").exists(), "the default page is over the default folder");
}

#[test]
fn a_pipe_gets_no_escape_sequences() {
    let desk = Desk::new();
    let assert = desk.command(Experiment::Boot, TINY).assert().success();
    assert!(!stdout(&assert).contains('\u{1b}'));
    assert!(!stderr(&assert).contains('\u{1b}'));
}

#[test]
fn progress_and_problems_go_to_standard_error_only() {
    let desk = Desk::new();
    let assert = desk.command(Experiment::Boot, TINY).assert().success();
    assert!(stderr(&assert).contains("2 trials, about "));
    assert!(!stdout(&assert).contains("trials, about "));
}

#[rstest]
fn a_test_runner_tries_a_target_once_on_fake_and_leaves_no_run(
    #[values(Experiment::Boot, Experiment::Footprint, Experiment::Scalability, Experiment::Isolation)]
    experiment: Experiment,
) {
    let desk = Desk::new();
    let assert = desk.bare_command(experiment, "").assert().success();
    assert!(stdout(&assert).starts_with(&format!("{experiment}: tried on fake, ")));
    assert_eq!(entries(&desk.output()), [desk.output().join("images")]);
    assert!(entries(&desk.state()).is_empty(), "no ledger is left");
}

#[test]
fn a_test_runner_can_list_the_target_as_one_test() {
    let desk = Desk::new();
    let listed = desk.bare_command(Experiment::Boot, "--list --format terse").assert().success();
    assert_eq!(stdout(&listed), "boot: test\n");
    let ignored = desk.bare_command(Experiment::Boot, "--list --format terse --ignored").assert().success();
    assert_eq!(stdout(&ignored), "");
}
