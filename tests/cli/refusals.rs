//! Invalid input: exit code 2, and a message that names the option, the value and the expected ones. No run starts.

use std::fs;
use std::path::Path;

use assert_cmd::assert::OutputAssertExt;
use featherweight::model::record::Experiment;
use featherweight::store::{RUN_FILE, RunOutcome, Writer, read_run};
use rstest::rstest;

use super::{TINY, stderr};
use crate::bench::{Desk, entries};

/// Runs a line that must be refused and returns the message.
fn refused(desk: &Desk, experiment: Experiment, line: &str) -> String {
    let assert = desk.command(experiment, line).assert().code(2);
    assert!(assert.get_output().stdout.is_empty(), "a refusal goes to standard error");
    assert!(entries(&desk.state()).is_empty(), "no run started");
    stderr(&assert)
}

#[rstest]
#[case::platform("--platform", "xen", "known: native, youki, ")]
#[case::typo("--platform", "dokcer", "did you mean `docker`? (known: native, youki, ")]
#[case::one_of_several("--platform", "fake,xen", "unknown platform `xen`")]
#[case::attacker("--attacker", "bomb", "known: prime, stream, open, read, write, stat, fork")]
#[case::placement("--placement", "moon", "same-thread, same-core, same-socket, other-socket, fill")]
#[case::no_attacker_there("--placement", "alone", "expected one of same-thread, same-core")]
#[case::workload("--workload", "postgres", "known: sqlite, nginx, redis")]
#[case::workload_of_boot("--workload", "hello", "expected one of sqlite, nginx, redis")]
#[case::network("--network", "vpn", "known: none, bridge")]
#[case::profile("--profile", "huge", "known: quick, standard, paper")]
#[case::code("--name", "d_nothing", "known: d_boot, d_mem")]
#[case::empty("--platform", "", "known: native, youki, ")]
fn an_unknown_name_is_refused_with_the_known_ones(#[case] option: &str, #[case] value: &str, #[case] expected: &str) {
    let desk = Desk::new();
    let assert = desk.command(Experiment::Isolation, "").args([option, value]).assert().code(2);
    let message = stderr(&assert);
    let wrong = value.rsplit(',').next().unwrap_or_default();
    for part in [option, wrong, expected] {
        assert!(message.contains(part), "`{part}` in {message}");
    }
}

#[rstest]
fn an_invalid_count_is_refused(
    #[values(
        "--runs",
        "--benchmark_time",
        "--instances_per_benchmark",
        "--rows",
        "--timeout",
        "--seed",
        "--load-seconds",
        "--requests"
    )]
    option: &str,
    #[values("-1", "0", "99999999999", "1e9", "many", "1.5", "18446744073709551616")] value: &str,
) {
    let fits = [("--benchmark_time", "0"), ("--seed", "0"), ("--seed", "99999999999")];
    if fits.contains(&(option, value)) {
        return;
    }
    let message = refused(&Desk::new(), Experiment::Boot, &format!("{option} {value} --platform fake"));
    assert!(message.contains(option) && message.contains(value), "{message}");
}

#[rstest]
#[case::runs("--runs", "1..=10000")]
#[case::steps("--benchmark_time", "0..=10000")]
#[case::instances("--instances_per_benchmark", "1..=10000")]
#[case::rows("--rows", "1..=100000000")]
#[case::timeout("--timeout", "1..=86400")]
#[case::load("--load-seconds", "1..=3600")]
fn a_count_out_of_range_is_refused_with_the_range(#[case] option: &str, #[case] range: &str) {
    let message = refused(&Desk::new(), Experiment::Boot, &format!("{option} 999999999 --platform fake"));
    assert!(message.contains(range), "{message}");
}

#[rstest]
#[case(Experiment::Boot, "--attacker open", &["--attacker", "isolation", "boot"])]
#[case(Experiment::Footprint, "--placement fill", &["--placement", "isolation", "footprint"])]
#[case(Experiment::Scalability, "--name d_boot", &["--name d_boot", "cargo bench --bench boot -- --name d_boot"])]
#[case(Experiment::Boot, "--benchmark_time 10000 --instances_per_benchmark 10000", &["--benchmark_time 10000", "at most 10000"])]
#[case(Experiment::Boot, "--resume last --runs 3", &["--resume", "--runs"])]
#[case(Experiment::Isolation, "--resume last --load-seconds 3", &["--resume", "--load-seconds"])]
#[case(Experiment::Isolation, "--workload redis --network none --platform fake", &["--network none", "redis", "bridge"])]
#[case(Experiment::Scalability, "--workload sqlite --name d_ng_s --platform fake", &["--workload sqlite", "d_ng_s measures nginx"])]
#[case(Experiment::Boot, "--workload sqlite --platform fake", &["--workload sqlite", "expected one of hello, nginx, redis"])]
#[case(Experiment::Footprint, "--workload hello --platform fake", &["--workload hello", "expected one of sleep, nginx, redis"])]
#[case(Experiment::Boot, "--no-such-option", &["--no-such-option"])]
fn conflicting_options_are_refused(#[case] experiment: Experiment, #[case] line: &str, #[case] parts: &[&str]) {
    let message = refused(&Desk::new(), experiment, line);
    assert!(parts.iter().all(|part| message.contains(part)), "{parts:?} in {message}");
}

#[rstest]
#[case(Experiment::Boot)]
#[case(Experiment::Isolation)]
fn a_filter_that_leaves_nothing_is_refused(#[case] experiment: Experiment) {
    let message = refused(&Desk::new(), experiment, "no-such-case --platform fake");
    assert!(message.contains("`no-such-case`") && message.contains("--list"), "{message}");
}

#[test]
fn a_folder_that_cannot_be_written_is_refused_before_anything_is_measured() {
    let desk = Desk::new();
    let file = desk.path("file");
    fs::write(&file, "").unwrap();
    for out in [file.join("below"), file, "/proc/no/such".into()] {
        let message = refused(&desk, Experiment::Boot, &format!("{TINY} --out {}", out.display()));
        assert!(message.contains(&format!("--out {}", out.display())), "{message}");
    }
}

#[test]
fn a_resume_of_nothing_is_refused() {
    let desk = Desk::new();
    assert!(refused(&desk, Experiment::Boot, "--resume last").contains("no unfinished boot run under"));
    assert!(refused(&desk, Experiment::Boot, "--resume /no/such/folder").contains("/no/such/folder"));
    assert!(
        refused(&desk, Experiment::Boot, &format!("--resume {}", desk.path("").display())).contains("failed to read")
    );
}

#[test]
fn a_resume_of_a_complete_run_or_of_another_targets_is_refused() {
    let desk = Desk::new();
    desk.command(Experiment::Boot, TINY).assert().success();
    let dir = desk.run().dir;
    let line = format!("--resume {}", dir.display());
    assert!(refused(&desk, Experiment::Boot, &line).contains("is complete"));
    let message = refused(&desk, Experiment::Footprint, &line);
    assert!(message.contains("cargo bench --bench boot -- --resume"), "{message}");
    assert!(refused(&desk, Experiment::Boot, "--resume last").contains("no unfinished boot run"));
}

#[test]
fn a_resume_of_a_newer_schema_is_refused_by_its_number() {
    let desk = Desk::new();
    let dir = interrupted_run(&desk);
    let path = dir.join(RUN_FILE);
    let text = fs::read_to_string(&path).unwrap().replacen("\"schema\": 1", "\"schema\": 9", 1);
    fs::write(&path, text).unwrap();
    let message = refused(&desk, Experiment::Boot, &format!("--resume {}", dir.display()));
    assert!(message.contains("schema 9") && message.contains("at most schema 1"), "{message}");
}

#[test]
fn a_run_is_resumed_by_its_folder_its_id_or_last_in_any_folder() {
    let desk = Desk::new();
    let dir = interrupted_run(&desk);
    let run = desk.run();
    let elsewhere = desk.path("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let moved = elsewhere.join(dir.file_name().unwrap());
    let names = [moved.display().to_string(), run.file.run.to_string(), "last".to_owned()];
    fs::rename(&dir, &moved).unwrap();
    for name in names {
        Writer::open(&moved).and_then(|writer| writer.describe(&run.file)).expect("interrupted again");
        let line = format!("--resume {name} --out {}", elsewhere.display());
        desk.command(Experiment::Boot, &line).assert().success();
        let resumed = read_run(&moved).unwrap();
        assert_eq!((resumed.file.outcome, resumed.trials.len()), (RunOutcome::Complete, run.trials.len()), "{name}");
    }
}

/// A run that looks interrupted.
fn interrupted_run(desk: &Desk) -> Box<Path> {
    desk.command(Experiment::Boot, TINY).assert().success();
    let mut run = desk.run();
    run.file.outcome = RunOutcome::Interrupted;
    Writer::open(&run.dir).and_then(|writer| writer.describe(&run.file)).expect("the run's file can be written");
    run.dir.into_boxed_path()
}
