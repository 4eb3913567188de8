//! Real failures around a run: engines that are missing, stop or hang, images that vanish, servers that never answer. Each
//! is reported with its remedy, the run continues, and nothing hangs or remains.

#[path = "crash/available.rs"]
#[expect(dead_code, reason = "shared with the tests of crashes, which use all of it")]
mod available;
#[expect(dead_code, reason = "shared with the tests of the command line, which use all of it")]
mod bench;
#[path = "crash/engine.rs"]
#[expect(dead_code, reason = "shared with the tests of crashes, which use all of it")]
mod engine;
#[path = "crash/host.rs"]
#[expect(dead_code, reason = "shared with the tests of crashes, which use all of it")]
mod host;
#[path = "faults/proxy.rs"]
mod proxy;

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use assert_cmd::assert::OutputAssertExt;
use bench::Desk;
use featherweight::host::ledger;
use featherweight::model::record::{Experiment, Outcome, TrialRecord};
use featherweight::store::{RunOutcome, StoredRun};
use proxy::Proxy;
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process};

/// A run takes less, unless it hangs: the deadline of one call to an engine, and a few seconds for the rest.
const HANG: Duration = Duration::from_secs(90);

/// The socket of the host's engine.
const ENGINE: &str = "/var/run/docker.sock";

#[rstest]
#[case::no_socket("docker", "unix:///nowhere.sock", &["unix:///nowhere.sock", "start it: dockerd", "DOCKER_HOST"])]
#[case::nobody_listens("docker", "tcp://127.0.0.1:1", &["tcp://127.0.0.1:1", "start it: dockerd", "DOCKER_HOST"])]
#[case::nobody_for_the_command("docker-cli", "tcp://127.0.0.1:1", &["tcp://127.0.0.1:1", "start it: dockerd"])]
#[case::no_address("docker", "localhost", &["invalid engine address `localhost`", "unix:///PATH or tcp://HOST:PORT"])]
fn an_engine_that_cannot_be_reached_runs_nothing(
    #[case] platform: &str,
    #[case] engine: &str,
    #[case] message: &[&str],
) {
    let desk = Desk::new();
    let mut command = desk.command(Experiment::Boot, &format!("--platform {platform} --runs 1"));
    let start = Instant::now();
    let refused = command.env("DOCKER_HOST", engine).assert().code(3);
    assert_contains(&refused.get_output().stderr, message);
    assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
    assert!(desk.runs().is_empty() && ledger::list(&desk.state()).expect("listed").is_empty());
}

#[rstest]
#[case::of_an_engine("docker:nosuch", &["no runtime nosuch, only ", "runc", "daemon.json and restart dockerd"])]
#[case::of_the_command("docker-cli:nosuch", &["no runtime nosuch, only ", "runc", "daemon.json and restart dockerd"])]
#[case::in_the_path("oci:nosuch", &["no `nosuch` in PATH", "install nosuch"])]
fn a_missing_runtime_runs_nothing(#[case] platform: &str, #[case] message: &[&str]) {
    if platform.starts_with("docker")
        && let Some(reason) = engine::unavailable()
    {
        return eprintln!("skipped: {reason}");
    }
    let desk = Desk::new();
    let refused = desk.command(Experiment::Boot, &format!("--platform {platform} --runs 1")).assert().code(3);
    assert_contains(&refused.get_output().stderr, message);
    assert!(desk.runs().is_empty() && ledger::list(&desk.state()).expect("listed").is_empty());
}

/// What happens to the engine during the trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stops,
    StopsAndComesBack,
    Hangs,
}

#[rstest]
#[case::stops("docker", Fate::Stops, "cannot be reached", "start it: dockerd")]
#[case::stops_the_command("docker-cli", Fate::Stops, "", "start it: dockerd")]
#[case::comes_back("docker", Fate::StopsAndComesBack, "cannot be reached", "start it: dockerd")]
#[case::hangs("docker", Fate::Hangs, "does not answer", "restart it")]
fn an_engine_that_fails_during_a_run_fails_only_its_own_trials(
    #[case] platform: &str,
    #[case] fate: Fate,
    #[case] problem: &str,
    #[case] cure: &str,
) {
    if let Some(reason) = engine::unavailable() {
        return eprintln!("skipped: {reason}");
    }
    let desk = Desk::new();
    let mut proxy = Proxy::start(desk.path("engine.sock"), PathBuf::from(ENGINE));
    // With an engine that hangs, every trial takes a few seconds.
    let runs = if fate == Fate::Hangs { 4 } else { 12 };
    let line = format!("--platform native,{platform} --runs {runs} --benchmark_time 0 --timeout 10");
    let mut run = Running::start(desk.command(Experiment::Boot, &line).env("DOCKER_HOST", proxy.address()));
    run.await_line(" left");
    match fate {
        Fate::Hangs => proxy.hang(),
        Fate::Stops | Fate::StopsAndComesBack => proxy.stop(),
    }
    run.await_line("failed: ");
    if fate == Fate::StopsAndComesBack {
        proxy.work();
    }
    // If the engine comes back, the run itself removes everything, at the latest by its ledger.
    let messages = run.await_end(if fate == Fate::StopsAndComesBack { &[0, 4] } else { &[4] });
    proxy.work();

    let stored = desk.run();
    assert_eq!(
        (stored.file.outcome, stored.trials.len() as u64),
        (RunOutcome::Complete, stored.file.planned),
        "{messages}"
    );
    let (engines, others): (Vec<_>, Vec<_>) =
        stored.trials.iter().partition(|trial| trial.case.platform.as_str() == platform);
    assert!(others.iter().all(|trial| trial.outcome == Outcome::Ok), "{messages}");
    let failed = failed(&engines);
    assert!(!failed.is_empty() && (fate == Fate::Hangs || failed.len() < engines.len()), "{messages}");
    let is_expected = |reason: &&String| reason.contains(problem) && reason.contains(cure);
    // A docker command that is running when the engine stops prints a message of its own.
    let allowed = usize::from(platform == "docker-cli");
    let unexpected: Vec<_> = failed.iter().filter(|reason| !is_expected(reason)).collect();
    assert!(unexpected.len() <= allowed && unexpected.len() < failed.len(), "{unexpected:?}");
    if fate == Fate::StopsAndComesBack {
        let last = engines.last().expect("trials of the engine");
        assert_eq!(last.outcome, Outcome::Ok, "{messages}");
    }
    assert_clean(&desk, &stored);
}

#[rstest]
fn an_image_that_vanishes_fails_the_trials_that_need_it(#[values("docker", "docker-cli")] platform: &str) {
    if let Some(reason) = engine::unavailable() {
        return eprintln!("skipped: {reason}");
    }
    let desk = Desk::new();
    let line = format!("--platform native,{platform} --runs 12 --benchmark_time 0");
    let mut run = Running::start(&mut desk.command(Experiment::Boot, &line));
    run.await_line(" left");
    let id = desk.run().file.run;
    let images = engine::traces(&id).into_iter().filter_map(|it| Some(it.strip_prefix("image ")?.to_owned()));
    let hello: Vec<String> = images.filter(|image| image.contains("/hello-")).collect();
    engine::docker(&["rmi", "--force", hello.first().expect("it is loaded")]).expect("removed");
    let messages = run.await_end(&[0]);

    let stored = desk.run();
    assert_eq!(
        (stored.file.outcome, stored.trials.len() as u64),
        (RunOutcome::Complete, stored.file.planned),
        "{messages}"
    );
    let all: Vec<_> = stored.trials.iter().collect();
    let failed = failed(&all);
    assert!(!failed.is_empty() && failed.len() < 12, "{messages}");
    for reason in failed {
        assert!(reason.to_lowercase().contains("no such image") && reason.contains("a new run loads it"), "{reason}");
    }
    assert_clean(&desk, &stored);
}

#[test]
fn a_server_that_never_answers_fails_its_trial_at_the_deadline() {
    if !available::has_servers() {
        return;
    }
    let desk = Desk::new();
    let line = "--platform native --workload nginx --runs 1 --benchmark_time 0 --load-seconds 1 --timeout 31";
    let mut run = Running::start(&mut desk.command(Experiment::Scalability, line));
    run.await_line("run ");
    let harness = run.harness.id() as i32;
    while run.harness.try_wait().expect("its status").is_none() {
        assert!(run.start.elapsed() < HANG, "it hangs");
        for server in servers_of(harness).into_iter().filter_map(Pid::from_raw) {
            // It fails if the server has ended.
            let _ = kill_process(server, Signal::STOP);
        }
        thread::sleep(Duration::from_millis(1));
    }
    let messages = run.await_end(&[4]);

    let stored = desk.run();
    let all: Vec<_> = stored.trials.iter().collect();
    let reasons = failed(&all);
    assert!(reasons.len() == all.len(), "{messages}");
    // The server may be stopped before or after it is ready.
    assert!(["ready", "throughput"].iter().any(|word| reasons[0].contains(word)), "{reasons:?}");
    assert_clean(&desk, &stored);
}

/// The processes of Nginx that the harness has started. Nginx clears its environment, so they carry no run's marker.
fn servers_of(harness: i32) -> Vec<i32> {
    let is_nginx = |pid: i32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|it| it.contains("nginx"));
    let all = procfs::process::all_processes().expect("/proc is readable").filter_map(Result::ok);
    all.map(|process| process.pid)
        .filter(|&pid| pid != harness && descends_from(pid, harness) && is_nginx(pid))
        .collect()
}

fn descends_from(pid: i32, ancestor: i32) -> bool {
    let parent = procfs::process::Process::new(pid).and_then(|process| process.stat()).map(|stat| stat.ppid);
    match parent {
        Ok(parent) if parent == ancestor => true,
        Ok(parent) if parent > 1 => descends_from(parent, ancestor),
        _ => false,
    }
}

/// A run in progress.
struct Running {
    harness: Child,
    messages: Lines<BufReader<ChildStderr>>,
    start: Instant,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let mut harness = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
        let messages = BufReader::new(harness.stderr.take().expect("a pipe")).lines();
        Self { harness, messages, start: Instant::now() }
    }

    /// Reads messages until one contains `text`.
    #[track_caller]
    fn await_line(&mut self, text: &str) {
        let found = self.messages.by_ref().map_while(Result::ok).any(|line| line.contains(text));
        assert!(found, "it ended without printing `{text}`");
    }

    /// Waits for the end of the run, asserts that its exit code is one of `codes`, and returns the remaining messages.
    #[track_caller]
    fn await_end(mut self, codes: &[i32]) -> String {
        let rest: Vec<String> = self.messages.by_ref().map_while(Result::ok).collect();
        let status = self.harness.wait().expect("waited");
        assert!(status.code().is_some_and(|code| codes.contains(&code)), "{status}: {rest:#?}");
        assert!(self.start.elapsed() < HANG, "it took {:?}", self.start.elapsed());
        rest.join("\n")
    }
}

#[track_caller]
fn assert_contains(stderr: &[u8], parts: &[&str]) {
    let text = String::from_utf8_lossy(stderr);
    assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} in {text}");
}

/// The reasons of failed trials.
fn failed(trials: &[&TrialRecord]) -> Vec<String> {
    let failed = trials.iter().filter(|trial| trial.outcome == Outcome::Failed);
    failed.map(|trial| trial.reason.clone().expect("a reason")).collect()
}

/// Asserts that `cargo xtask clean` leaves nothing of the run.
#[track_caller]
fn assert_clean(desk: &Desk, run: &StoredRun) {
    available::clean(desk);
    assert_eq!(ledger::list(&desk.state()).expect("listed"), []);
    assert_eq!(host::traces(&run.file.run, &desk.state()), [""; 0]);
    assert_eq!(engine::traces(&run.file.run), [""; 0]);
}
