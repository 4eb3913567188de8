//! `cargo xtask history` as a script sees it: the output and the exit codes of the real executable.

#[path = "history/step.rs"]
mod step;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rstest::rstest;
use serde_json::{Value, json};
use step::{HOST, line, with_a_step};

fn xtask(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("history").args(arguments);
    command.env("CARGO_TARGET_DIR", home).env("FEATHERWEIGHT_STATE", home.join("state"));
    command.output().expect("xtask starts")
}

/// Its standard output; it must succeed.
fn printed(home: &Path, arguments: &[&str]) -> String {
    let output = xtask(home, arguments);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stored_run() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/20261121-084514-0b00")
}

#[rstest]
#[case::nothing_is_stored(&[], 3, "help: add runs and ab sessions with `cargo xtask history add`")]
#[case::no_name(&["add"], 2, "<NAMES>")]
#[case::unknown_name(&["add", "tuesday"], 2, "run tuesday: failed to read tuesday/run.json")]
#[case::nothing_to_add(&["add", "--all"], 3, "help: run `cargo bench` first")]
#[case::nothing_to_merge(&["merge", "/nowhere/at/all"], 2, "file /nowhere/at/all: failed to read /nowhere/at/all")]
#[case::a_folder_without_a_history(&["merge", "/proc/self/fdinfo"], 2, "a folder without a history")]
#[case::nothing_stays(&["prune"], 2, "--keep")]
#[case::nothing_to_prune(&["prune", "--keep", "9", "--dir", "/nowhere/at/all"], 3, "no history in /nowhere/at/all")]
#[case::unknown_format(&["--format", "pdf"], 2, "'pdf'")]
fn a_failure_has_an_exit_code_and_names_the_cause(#[case] arguments: &[&str], #[case] code: i32, #[case] cause: &str) {
    let home = tempfile::tempdir().unwrap();
    let output = xtask(home.path(), arguments);
    assert_eq!(output.status.code(), Some(code), "{}", error(&output));
    assert!(error(&output).contains(cause), "{}", error(&output));
}

#[test]
fn a_run_added_twice_is_stored_once_in_any_folder() {
    let home = tempfile::tempdir().unwrap();
    let (stored_run, dir) = (stored_run(), home.path().join("branch"));
    let add = ["add", stored_run.to_str().unwrap(), "--dir", dir.to_str().unwrap()];
    assert!(printed(home.path(), &add).contains(" added, 0 already known"));
    assert!(printed(home.path(), &add).contains(": 0 added, "));
    assert!(printed(home.path(), &["--dir", dir.to_str().unwrap()]).contains("boot/hello/0"));
    assert_eq!(xtask(home.path(), &[]).status.code(), Some(3), "the default folder is empty");
}

#[test]
fn a_step_is_shown_in_every_format_with_the_command_to_confirm_it() {
    let home = tempfile::tempdir().unwrap();
    with_a_step(home.path());
    for format in ["text", "markdown", "json"] {
        let text = printed(home.path(), &["--format", format]);
        assert!(text.contains("5.0 % worse"), "{text}");
    }
    let markdown = printed(home.path(), &["--format", "markdown"]);
    let command = format!("cargo xtask ab --a youki,guests={} --b youki,guests={}", "a".repeat(40), "b".repeat(40));
    assert!(markdown.contains(&command) && markdown.contains("| case"), "{markdown}");
    let json: Value = serde_json::from_str(&printed(home.path(), &["--format", "json"])).expect("JSON");
    assert_eq!(json["questions"][0]["between"][1], line(24, 1.0, 'b')["session"]);
    assert_eq!(json["series"][0]["entries"].as_array().map(Vec::len), Some(40));
    let alert = format!("{HOST} youki boot/hello/0 boot against a1: change 1, worse, 2026-11");
    assert_eq!(json["alerts"], json!([alert]));
}

#[test]
fn a_question_without_its_revision_is_skipped_and_not_a_regression() {
    let home = tempfile::tempdir().unwrap();
    with_a_step(home.path());
    let output = xtask(home.path(), &["--confirm"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert!(error(&output).contains("is not in this repository; fetch it first"), "{}", error(&output));
}

#[test]
fn histories_of_two_machines_merge_into_one() {
    let home = tempfile::tempdir().unwrap();
    let dir = with_a_step(home.path());
    let theirs = home.path().join("theirs.jsonl");
    let mut other = line(3, 1.0, 'a');
    other["host"] = "ffffffffffffffff".into();
    let text = format!("{other}\n{}\n{}\n{{\"torn", line(3, 1.0, 'a'), line(40, 1.05, 'b'));
    fs::write(&theirs, text).unwrap();
    assert!(printed(home.path(), &["merge", theirs.to_str().unwrap()]).contains(": 2 added, 1 already known"));
    assert!(dir.join("ffffffffffffffff.jsonl").is_file());
    let theirs = home.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::write(theirs.join("a.jsonl"), format!("{}\n{{\"torn", line(41, 1.05, 'b'))).unwrap();
    let merged = xtask(home.path(), &["merge", theirs.to_str().unwrap()]);
    assert!(error(&merged).contains("its last line is torn"), "a folder is read as its files are: {}", error(&merged));
    assert!(String::from_utf8_lossy(&merged.stdout).contains(": 1 added, 0 already known"));
}

#[test]
fn a_full_disk_adds_nothing_and_keeps_the_stored_history() {
    let home = tempfile::tempdir().unwrap();
    let file = with_a_step(home.path()).join(format!("{HOST}.jsonl"));
    let stored = fs::read(&file).unwrap();
    let theirs = home.path().join("theirs.jsonl");
    let more: String = (40..300).map(|n| line(n, 1.0, 'b').to_string() + "\n").collect();
    assert!(more.len() > 20_000, "some lines fit below the limit, and some do not");
    fs::write(&theirs, &more).unwrap();
    // Limits the size of files; with the signal ignored, the write fails (setrlimit(2)).
    let mut command = Command::new("env");
    command.args(["--ignore-signal=XFSZ", "prlimit", &format!("--fsize={}", stored.len() + 10_000)]);
    command.args([env!("CARGO_BIN_EXE_xtask"), "history", "merge", theirs.to_str().unwrap()]);
    let output = command.env("CARGO_TARGET_DIR", home.path()).output().expect("env starts");
    assert_eq!(output.status.code(), Some(4), "{}", error(&output));
    assert!(error(&output).contains("write "), "{}", error(&output));
    assert!(fs::read(&file).unwrap() == stored, "a partial write is undone");
}

#[test]
fn a_damaged_or_newer_history_is_refused_by_line_and_not_changed() {
    let home = tempfile::tempdir().unwrap();
    let file = with_a_step(home.path()).join(format!("{HOST}.jsonl"));
    let good = fs::read_to_string(&file).unwrap();
    for (from, to, cause) in
        [("\"session\"", "\"sessions\"", "line 1: "), ("\"schema\":1", "\"schema\":7", "line 1 has schema 7")]
    {
        let bad = good.replacen(from, to, 1);
        fs::write(&file, &bad).unwrap();
        let shown = xtask(home.path(), &[]);
        assert_eq!(shown.status.code(), Some(4), "{}", error(&shown));
        let pruned = xtask(home.path(), &["prune", "--keep", "1"]);
        assert_eq!(pruned.status.code(), Some(4));
        assert!(error(&pruned).contains(cause), "{}", error(&pruned));
        assert_eq!(fs::read_to_string(&file).unwrap(), bad);
    }
}

#[test]
fn the_page_is_written_and_the_report_links_to_it() {
    let home = tempfile::tempdir().unwrap();
    with_a_step(home.path());
    let run = home.path().join("featherweight/runs/20261121-084514-0b00");
    fs::create_dir_all(&run).unwrap();
    for name in ["run.json", "trials.jsonl"] {
        fs::copy(stored_run().join(name), run.join(name)).unwrap();
    }
    let output = xtask(home.path(), &["--report"]);
    assert!(output.status.success() && error(&output).contains("report/history/index.html"), "{}", error(&output));
    let report = home.path().join("featherweight/report");
    assert!(fs::read_to_string(report.join("index.html")).unwrap().contains("href=\"history/index.html\""));
    let page = fs::read_to_string(report.join("history/index.html")).unwrap();
    assert!(page.contains("<svg") && !page.contains("<script"));
}

#[test]
fn pruning_keeps_the_latest() {
    let home = tempfile::tempdir().unwrap();
    with_a_step(home.path());
    assert_eq!(printed(home.path(), &["prune", "--keep", "30"]), "10 removed, 30 left\n");
    assert_eq!(printed(home.path(), &["prune", "--keep-days", "100000"]), "0 removed, 30 left\n");
}
