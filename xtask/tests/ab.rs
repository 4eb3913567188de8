//! `cargo xtask ab` as a script sees it: the output and the exit codes of the real executable.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use featherweight::compare::live::{list_sessions, read_session};
use featherweight::compare::rule::{Comparison, Verdict};
use featherweight::store::RunOutcome;
use rstest::rstest;
use rustix::process::{Pid, Signal};

/// Runs `xtask ab` with empty folders in `home`.
fn ab(home: &Path, line: &str) -> Output {
    command(home, line).output().expect("xtask starts")
}

fn command(home: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("ab").args(line.split_whitespace());
    command.env("CARGO_TARGET_DIR", home).env("FEATHERWEIGHT_STATE", home.join("state"));
    command
}

/// The options of a session that ends at once.
const TINY: &str = "--no-noise-guard --blocks 12 --runs 1 --seed 7";

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn is_empty(folder: &Path) -> bool {
    std::fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none())
}

#[rstest]
#[case::the_same("--a fake --b fake", 0, Verdict::Equivalent)]
#[case::slower("--a fake --b fake,inject=busy:300us", 1, Verdict::Regressed)]
#[case::set("--a fake --b fake --set a.inject=busy:300us", 0, Verdict::Improved)]
#[case::skipped("--a fake --b oci:moon", 3, Verdict::Skipped)]
fn a_comparison_has_a_verdict_a_code_and_a_folder(#[case] arms: &str, #[case] code: i32, #[case] verdict: Verdict) {
    let home = tempfile::tempdir().unwrap();
    let output = ab(home.path(), &format!("{arms} {TINY} --format json"));
    assert_eq!(output.status.code(), Some(code), "{}", error(&output));
    let comparison: Comparison = serde_json::from_slice(&output.stdout).expect("one JSON object and nothing else");
    assert_eq!(comparison.lines.iter().map(|line| line.decision.verdict).collect::<Vec<_>>(), [verdict; 2]);
    let sessions = list_sessions(&home.path().join("featherweight/ab"));
    let [session] = sessions.as_slice() else { panic!("{sessions:?}") };
    assert!(error(&output).trim_end().ends_with(&format!("session: {}", session.display())), "{}", error(&output));
    assert_eq!(read_session(session).unwrap().file.comparison, Some(comparison));
    assert!(is_empty(&home.path().join("state")), "no ledger is left");
}

#[test]
fn a_session_that_ran_out_of_time_continues() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let stopped =
        ab(home.path(), &format!("--a fake --b fake {TINY} --record 2000 --time-limit 1 --out {}", out.display()));
    assert_eq!(stopped.status.code(), Some(0), "{}", error(&stopped));
    let [session] = <[_; 1]>::try_from(list_sessions(&out)).expect("one session");
    let outcome = || read_session(&session).unwrap().file.outcome;
    assert_eq!(outcome(), RunOutcome::Stopped);
    let again = ab(home.path(), &format!("--resume last --time-limit 1 --out {}", out.display()));
    assert_eq!((again.status.code(), outcome()), (Some(0), RunOutcome::Stopped), "{}", error(&again));
    assert!(String::from_utf8_lossy(&again.stdout).ends_with(&format!("session: {}\n", session.display())));
}

/// Starts a long recording, sends `signal` after a tenth of it, and returns its exit code.
fn ended_by(home: &Path, signal: Signal) -> Option<i32> {
    let line = format!("--a fake --b fake {TINY} --record {BLOCKS}");
    let mut child = command(home, &line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("xtask starts");
    let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let tenth = format!("{}/{BLOCKS} blocks", BLOCKS / 10);
    let has_progress = lines.map_while(Result::ok).any(|line| line.contains(&tenth));
    assert!(has_progress, "progress is printed");
    rustix::process::kill_process(Pid::from_child(&child), signal).expect("xtask runs");
    child.wait().expect("xtask ends").code()
}

/// More blocks than are measured before the signal arrives.
const BLOCKS: u32 = 400;

#[rstest]
#[case::ctrl_c(Signal::INT, Some(130))]
#[case::a_crash(Signal::KILL, None)]
fn an_ended_session_continues_to_its_last_block(#[case] signal: Signal, #[case] code: Option<i32>) {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(ended_by(home.path(), signal), code);
    assert_eq!(is_empty(&home.path().join("state")), signal == Signal::INT, "a crash leaves its ledgers");
    let [dir] = <[_; 1]>::try_from(list_sessions(&home.path().join("featherweight/ab"))).expect("one session");
    let before = read_session(&dir).unwrap().trials;
    let again = ab(home.path(), "--resume last");
    assert_eq!(again.status.code(), Some(0), "{}", error(&again));
    let session = read_session(&dir).unwrap();
    assert_eq!((session.file.outcome, session.blocks().len()), (RunOutcome::Complete, BLOCKS as usize));
    assert_eq!(session.trials[..before.len()], before, "recorded trials are unchanged");
    assert!(is_empty(&home.path().join("state")), "no ledger is left");
}

#[test]
fn a_dry_run_names_the_cases_and_measures_nothing() {
    let home = tempfile::tempdir().unwrap();
    let line = "--a fake --b fake --bench isolation --workload sqlite --attacker open,prime --placement same-thread";
    let output = ab(home.path(), &format!("{line} open --dry-run"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.starts_with("isolation/sqlite/same-thread/open: about "), "{text}");
    assert!(!text.contains("prime") && text.lines().count() == 2, "{text}");
    assert!(is_empty(&home.path().join("state")) && is_empty(&home.path().join("featherweight/ab")));
}

#[test]
fn a_file_receives_the_comparison() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("it.json");
    let output = ab(home.path(), &format!("--a fake --b fake {TINY} --format json --output {}", file.display()));
    assert!(output.status.success() && output.stdout.is_empty(), "{}", error(&output));
    assert!(serde_json::from_slice::<Comparison>(&std::fs::read(file).unwrap()).is_ok());
}

#[rstest]
#[case("--a xen --b fake", "unknown platform `xen`")]
#[case("--a fake", "--b <ARM>")]
#[case("--a fake --b fake --tolerance 40%", "from 0.1% to 20%")]
#[case("--a fake --b fake --set c.x=1", "--set c.x=1: ")]
#[case("--a fake --b fake --bench isolation --background 3", "--background: not supported by isolation")]
#[case("--a fake --b fake --workload moon", "--workload moon: unknown workload `moon` (known: hello, nginx, redis)")]
#[case("--a fake --b fake --rows -1", "--rows")]
#[case("--a fake --b fake moon", "no case's name contains `moon`")]
#[case("--a fake --b fake --no-noise-guard --metric moon", "--metric moon: unknown in these cases")]
#[case("--resume last", "--resume: no unfinished session under ")]
#[case("--resume nowhere", "failed to read nowhere/session.json")]
#[case("--show nowhere", "--show nowhere: failed to read nowhere/session.json")]
#[case("--show last", "--show last: no sessions; expected a session's id under ")]
#[case("--a fake --b fake --output nowhere/it.json", "--output nowhere/it.json: not writable")]
#[case("--a fake --b fake --output src", "--output src: not writable")]
#[case("--a fake --b fake --out /proc/nowhere", "--out /proc/nowhere: not writable")]
fn invalid_input_has_exit_code_2_and_a_reason(#[case] line: &str, #[case] message: &str) {
    let home = tempfile::tempdir().unwrap();
    let output = ab(home.path(), line);
    assert_eq!(output.status.code(), Some(2), "{}", error(&output));
    assert!(error(&output).contains(message), "{}", error(&output));
    assert!(is_empty(&home.path().join("state")), "no ledger is left");
    assert!(is_empty(&home.path().join("featherweight/ab")), "no session is left");
}

#[test]
fn a_session_is_shown_by_its_id_its_folder_and_as_the_last() {
    let home = tempfile::tempdir().unwrap();
    let measured = ab(home.path(), &format!("--a fake --b fake,inject=busy:300us {TINY} --format json"));
    let dir = list_sessions(&home.path().join("featherweight/ab")).pop().unwrap();
    let id = dir.file_name().unwrap().to_string_lossy().into_owned();
    for name in [id, dir.display().to_string(), "last".to_owned()] {
        let shown = ab(home.path(), &format!("--show {name} --format json"));
        assert_eq!((shown.status.code(), &shown.stdout), (Some(1), &measured.stdout), "{}", error(&shown));
    }
}

#[test]
fn a_recording_has_no_verdict_to_show() {
    let home = tempfile::tempdir().unwrap();
    let recorded = ab(home.path(), &format!("--a fake --b fake {TINY} --record 1"));
    assert_eq!(recorded.status.code(), Some(0), "{}", error(&recorded));
    let unjudged = ab(home.path(), "--show last");
    assert_eq!(unjudged.status.code(), Some(2));
    assert!(error(&unjudged).contains("has no verdicts\nhelp: measure without --record"), "{}", error(&unjudged));
}

#[test]
fn an_unavailable_platform_has_exit_code_3() {
    let home = tempfile::tempdir().unwrap();
    let output = ab(home.path(), "--a oci:moon --b oci:moon");
    assert_eq!(output.status.code(), Some(3), "{}", error(&output));
    assert!(error(&output).contains("nothing can run here:\n  a: "), "{}", error(&output));
}
