//! The experiments of the thesis, selected by their codes.

use std::collections::BTreeMap;

use assert_cmd::assert::OutputAssertExt;
use featherweight::model::platform::Networking;
use featherweight::model::record::{Experiment, Outcome, TrialRecord};
use rstest::rstest;

use super::stderr;
use crate::bench::{Desk, entries};

#[rstest]
#[case(Experiment::Boot, "d_boot", "docker-cli")]
#[case(Experiment::Footprint, "d_mem", "docker")]
#[case(Experiment::Scalability, "d_sql_s", "docker")]
#[case(Experiment::Scalability, "d_ng_s", "docker")]
#[case(Experiment::Scalability, "d_re_s", "docker")]
#[case(Experiment::Isolation, "d_sqlite_perf_iso", "docker")]
#[case(Experiment::Isolation, "d_nginx_perf_iso", "docker")]
#[case(Experiment::Isolation, "d_redis_perf_iso", "docker")]
fn a_code_selects_the_platform_of_the_thesis(
    #[case] experiment: Experiment,
    #[case] code: &str,
    #[case] platform: &str,
) {
    let desk = Desk::new();
    let assert = desk.command(experiment, &format!("--name {code} --dry-run")).assert();
    let output = assert.get_output();
    let text = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    assert!(text.contains(platform), "{text}");
}

#[rstest]
#[case(Experiment::Boot, "uk_boot")]
#[case(Experiment::Footprint, "uk_mem")]
#[case(Experiment::Scalability, "uk_sql_s")]
#[case(Experiment::Isolation, "uk_sqlite_perf_iso")]
fn a_code_on_unikraft_without_images_reports_how_to_build_them_and_another_platform(
    #[case] experiment: Experiment,
    #[case] code: &str,
) {
    let desk = Desk::new();
    let mut command = desk.command(experiment, &format!("--name {code}"));
    let assert = command.env("CARGO_TARGET_DIR", desk.path("nothing-is-built")).assert().code(3);
    let message = stderr(&assert);
    assert!(message.contains("qemu:unikraft"), "{message}");
    if featherweight::host::tools::find("qemu-system-x86_64").is_some() {
        let help = "cargo xtask images --platform unikraft; or measure --platform qemu:linux";
        assert!(message.contains(help), "{message}");
    }
    assert!(desk.runs().is_empty() && entries(&desk.state()).is_empty(), "no run started");
}

#[rstest]
#[case(Experiment::Boot, "d_boot")]
#[case(Experiment::Boot, "uk_boot")]
#[case(Experiment::Footprint, "d_mem")]
#[case(Experiment::Scalability, "uk_sql_s")]
#[case(Experiment::Scalability, "d_ng_s")]
#[case(Experiment::Scalability, "d_re_s")]
fn a_code_gives_runs_times_steps_plus_one_results_elsewhere(#[case] experiment: Experiment, #[case] code: &str) {
    let desk = Desk::new();
    let line = format!("--name {code} --platform fake --runs 2 --benchmark_time 3 --instances_per_benchmark 4");
    desk.command(experiment, &line).assert().success();
    let run = desk.run();
    let mut results = BTreeMap::new();
    for trial in run.trials.iter().filter(|trial| trial.outcome == Outcome::Ok) {
        *results.entry(trial.case.background).or_insert(0) += 1;
    }
    assert_eq!(results, BTreeMap::from([(0, 2), (4, 2), (8, 2), (12, 2)]));
    assert_eq!(run.file.configuration.name.as_deref(), Some(code));
}

#[test]
fn the_thesis_line_for_nginx_gives_its_twenty_results() {
    let desk = Desk::new();
    let line = "--name d_ng_s --runs 5 --benchmark_time 3 --instances_per_benchmark 10 --platform fake";
    desk.command(Experiment::Scalability, line).assert().success();
    let run = desk.run();
    assert_eq!(run.trials.len(), 20);
    let good = |t: &&TrialRecord| {
        t.outcome == Outcome::Ok && t.case.workload.name() == "nginx" && t.metric("throughput").is_some()
    };
    assert_eq!(run.trials.iter().filter(good).count(), 20);
    assert_eq!(run.file.configuration.network, Networking::Bridge);
}

#[rstest]
#[case("d_sqlite_perf_iso", "sqlite", &["fork", "open", "prime", "read", "stat", "stream", "write"])]
#[case("d_nginx_perf_iso", "nginx", &["prime", "stream"])]
#[case("uk_redis_perf_iso", "redis", &["prime", "stream"])]
fn an_isolation_code_selects_the_attackers_of_its_victim(
    #[case] code: &str,
    #[case] victim: &str,
    #[case] attackers: &[&str],
) {
    let desk = Desk::new();
    let line = format!("--name {code} --platform fake --placement same-thread --runs 1 --rows 100");
    desk.command(Experiment::Isolation, &line).assert().success();
    let trials = desk.run().trials;
    assert!(trials.iter().all(|trial| trial.case.workload.name() == victim));
    let mut sorted: Vec<String> = trials.iter().filter_map(|trial| Some(trial.case.attacker?.to_string())).collect();
    sorted.sort();
    assert_eq!(sorted, attackers);
}
