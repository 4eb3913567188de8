//! `cargo xtask` as a script sees it: the output and the exit codes of the real executable.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use featherweight::host::ledger::Ledger;
use featherweight::model::run::RunId;
use rstest::rstest;

/// Runs xtask with empty folders in `home`.
fn xtask(home: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).env("CARGO_TARGET_DIR", home).env("FEATHERWEIGHT_STATE", home.join("state"));
    command.output().expect("xtask starts")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[rstest]
#[case::unknown_command(&["frobnicate"], 2, "'frobnicate'")]
#[case::unknown_format(&["export", "--format", "pdf"], 2, "'pdf'")]
#[case::unknown_run(&["report", "tuesday"], 2, "run tuesday: failed to read tuesday/run.json")]
#[case::unknown_tools(&["setup", "--only", "wkr,docker"], 2, "--only: unknown tool `wkr`; expected one of cc, crun, ")]
#[case::confirmed_and_dry(&["setup", "--dry-run", "--yes"], 2, "'--dry-run' cannot be used with '--yes'")]
#[case::two_files_to_standard_output(&["export", "--format", "github"], 2, "--output FOLDER for both, or --direction")]
#[case::a_folder_to_standard_output(&["export", "--format", "critcmp"], 2, "such as --output target")]
#[case::a_direction_of_csv(&["export", "--direction", "smaller"], 2, "--direction: expected --format github")]
#[case::a_baseline_of_csv(&["export", "--baseline", "x"], 2, "--baseline: expected --format critcmp")]
#[case::a_metric_of_csv(&["export", "--metric", "boot"], 2, "csv always has every metric")]
#[case::not_a_baseline(&["export", "--format", "critcmp", "--output", "x", "--baseline", "change"], 2, "`change`: not a folder")]
#[case::nothing_to_report(&["report"], 3, "help: run `cargo bench` first")]
#[case::nothing_to_export(&["export", "last"], 3, "help: run `cargo bench` first")]
fn a_failure_has_an_exit_code_and_names_the_cause(#[case] arguments: &[&str], #[case] code: i32, #[case] cause: &str) {
    let home = tempfile::tempdir().unwrap();
    let output = xtask(home.path(), arguments);
    assert_eq!(output.status.code(), Some(code), "{}", error(&output));
    assert!(error(&output).contains(cause), "{}", error(&output));
}

#[test]
fn an_export_that_cannot_be_written_is_bad_input() {
    let home = tempfile::tempdir().unwrap();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/20261121-084514-0b00");
    let output = xtask(home.path(), &["export", stored.to_str().unwrap(), "--output", "/nowhere/at/all.csv"]);
    assert_eq!(output.status.code(), Some(2), "{}", error(&output));
    assert!(error(&output).contains("--output /nowhere/at/all.csv"), "{}", error(&output));
    assert_eq!(xtask(home.path(), &["export", stored.to_str().unwrap()]).status.code(), Some(0));
}

#[test]
fn simulations_are_exported_only_with_an_option() {
    let home = tempfile::tempdir().unwrap();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/20261121-084514-0b00");
    let (stored, to) = (stored.to_str().unwrap(), home.path().join("bench"));
    let export = ["export", stored, "--format", "github", "--output", to.to_str().unwrap()];
    let refused = xtask(home.path(), &export);
    assert_eq!(refused.status.code(), Some(3), "{}", error(&refused));
    assert!(error(&refused).contains("nothing to export: boot/fake/hello/0 (simulated), "), "{}", error(&refused));
    let done = xtask(home.path(), &[&export[..], &["--simulated", "--metric", "boot,removal"]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", error(&done));
    let entries: Vec<serde_json::Value> =
        serde_json::from_str(&fs::read_to_string(to.join("smaller-is-better.json")).unwrap()).unwrap();
    assert_eq!((entries.len(), to.join("bigger-is-better.json").exists()), (20, false), "no empty file");
    assert!(error(&done).contains("bigger-is-better.json: it would be empty"), "{}", error(&done));
    let empty = xtask(home.path(), &["export", stored, "--format", "github", "--direction", "bigger", "--simulated"]);
    assert_eq!((empty.status.code(), empty.stdout.len()), (Some(3), 0), "{}", error(&empty));
}

#[test]
fn an_export_lists_the_known_metrics_and_what_it_cannot_hold() {
    let home = tempfile::tempdir().unwrap();
    let stored = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/runs/20261121-085001-0f00");
    let export = ["export", stored.to_str().unwrap(), "--simulated", "--format", "hyperfine"];
    let unknown = xtask(home.path(), &[&export[..], &["--metric", "boots"]].concat());
    assert_eq!(unknown.status.code(), Some(2), "{}", error(&unknown));
    assert!(error(&unknown).contains("--metric boots: no case has this metric (known: charge_per_instance, "));
    let done = xtask(home.path(), &export);
    assert_eq!(done.status.code(), Some(0), "{}", error(&done));
    assert!(error(&done).contains(" more: not a time: the format holds only times"), "{}", error(&done));
}

#[test]
fn doctor_prints_json_for_every_platform_and_leaves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let output = xtask(home.path(), &["doctor", "--json"]);
    assert!(output.status.success(), "{}", error(&output));
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    let native = &findings["platforms"][0];
    assert_eq!((native["what"].as_str(), native["state"].as_str()), (Some("native"), Some("ok")), "{native}");
    // Only the detection of the accelerator stores its guest and its result.
    let kept = |path: &PathBuf| {
        path.ends_with("featherweight/accelerator.json") || path.parent().unwrap().ends_with("images/null")
    };
    let others: Vec<_> = files_below(home.path()).into_iter().filter(|path| !kept(path)).collect();
    assert_eq!(others, [] as [PathBuf; 0], "doctor changes nothing");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let paths =
        fs::read_dir(folder).expect("the folder is readable").map(|entry| entry.expect("the entry is readable").path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[test]
fn the_exit_code_of_clean_shows_whether_something_is_left() {
    let home = tempfile::tempdir().unwrap();
    let run: RunId = "20261121-084514-00cc".parse().unwrap();
    drop(Ledger::open(&home.path().join("state"), &run, featherweight::platform::reap_engines).unwrap());
    let codes = [&["clean", "--dry-run"][..], &["clean"], &["clean", "--dry-run"]]
        .map(|arguments| xtask(home.path(), arguments).status.code());
    assert_eq!(codes, [Some(4), Some(0), Some(0)], "left, removed, nothing left");
}

#[test]
fn setup_without_confirmation_changes_nothing_and_stops_only_its_own_daemon() {
    let home = tempfile::tempdir().unwrap();
    let shown = xtask(home.path(), &["setup", "--dry-run", "--only", "cc"]);
    assert!(shown.status.success(), "{}", error(&shown));
    assert_eq!(String::from_utf8_lossy(&shown.stdout), "nothing to do\n", "a compiler has built the tests");
    let stopped = xtask(home.path(), &["setup", "--stop"]);
    assert_eq!(
        (stopped.status.code(), &*String::from_utf8_lossy(&stopped.stdout)),
        (Some(0), "setup has started no daemon\n")
    );
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}
