//! Kills and interrupts the real harness, and fills its disk: nothing remains, and no trial is lost or repeated.
//!
//! `FEATHERWEIGHT_CRASHES=50` sets the number of kills, and `FEATHERWEIGHT_CRASH_SEED` repeats the times of an earlier test.

#[path = "crash/available.rs"]
mod available;
#[expect(dead_code, reason = "shared with the tests of the command line, which use all of it")]
mod bench;
#[path = "crash/engine.rs"]
mod engine;
#[path = "crash/host.rs"]
mod host;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use bench::Desk;
use engine::User;
use featherweight::host::ledger::{self, Resource, RunState};
use featherweight::model::record::{Experiment, Outcome};
use featherweight::model::run::RunId;
use featherweight::store::{RunOutcome, StoredRun, read_run};
use host::{Disk, Stranger};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The latest time of a kill after the start of a run.
const LATEST_CRASH: Duration = Duration::from_millis(4_000);

/// Every step takes less, unless it hangs.
const HANG: Duration = Duration::from_secs(120);

/// The time within which an interrupted run must end. A busy machine needs much less.
const PROMPT: Duration = Duration::from_secs(5);

/// The options of a small run on every platform of this host. Isolation has attackers in control groups, scalability has
/// servers in the background, and boot has virtual machines in the background.
fn small(experiment: Experiment) -> String {
    if experiment == Experiment::Boot {
        let network = "--network bridge --benchmark_time 1 --instances_per_benchmark 2";
        return format!("--platform {} --runs 1 {network}", available::machines().join(","));
    }
    let platforms = available::platforms().join(",");
    let workload = match experiment {
        // With fewer rows, a guest may end before its engine has reported it, and its placement cannot be verified.
        Experiment::Isolation => "--workload sqlite --attacker fork --placement same-thread --rows 60000",
        _ if available::has_servers() => {
            "--workload nginx --load-seconds 1 --benchmark_time 1 --instances_per_benchmark 3"
        }
        _ => "--workload sqlite --rows 20000 --benchmark_time 1 --instances_per_benchmark 8",
    };
    format!("--platform {platforms} --runs 1 {workload}")
}

#[rstest]
fn a_run_that_is_killed_again_and_again_leaves_nothing_and_loses_or_repeats_no_trial(
    #[values(Experiment::Isolation, Experiment::Scalability, Experiment::Boot)] experiment: Experiment,
) {
    if experiment == Experiment::Boot && available::machines().is_empty() {
        return eprintln!("skipped: no virtual machine can run on this host");
    }
    let crashes = env::var("FEATHERWEIGHT_CRASHES").map_or(2, |n| n.parse().expect("a count of crashes"));
    let seed = env::var("FEATHERWEIGHT_CRASH_SEED")
        .map_or_else(|_| u64::from(std::process::id()), |n| n.parse().expect("a seed"));
    println!("FEATHERWEIGHT_CRASH_SEED={seed}");
    let mut moments = ChaCha8Rng::seed_from_u64(seed);
    let (desk, mut stranger, user) = (Desk::new(), Stranger::new(), User::new());

    for crash in 0..crashes {
        // Even crashes happen during or after the start of the run, odd ones once it has an instance.
        let moment = Duration::from_millis(moments.next_u64() % LATEST_CRASH.as_millis() as u64);
        let mut harness = begin_or_resume(&desk, experiment);
        if crash % 2 == 1 {
            await_instance(&desk, &mut harness);
        }
        thread::sleep(moment);
        let runs = runs_with_ledger(&desk);
        let namespaces = runs.iter().flat_map(host::namespaces).collect::<BTreeSet<_>>();
        let containers = runs.iter().flat_map(engine::containers).collect::<Vec<_>>();
        harness.kill().and_then(|()| harness.wait()).expect("it is killed");
        let killed = host::ticks();

        let dead = await_dead(&desk);
        let counts = (namespaces.len(), containers.len());
        println!("crash {crash} after {moment:?}: {dead:?}, namespaces and containers: {counts:?}");
        println!("  {}", available::clean(&desk));
        assert_eq!(ledger::list(&desk.state()).expect("listed"), []);
        for run in &dead {
            assert_eq!(host::traces(run, &desk.state()), [""; 0]);
            assert_eq!(engine::traces(run), [""; 0]);
        }
        assert_eq!(host::holders(&namespaces, killed, &dead), [""; 0]);
        assert_gone(&containers);
        stranger.assert_unharmed();
        user.iter().for_each(User::assert_unharmed);
    }

    finish(&desk, experiment);
    desk.runs().iter().for_each(|dir| assert_whole(&read_run(dir).expect("the run is readable")));
}

/// Waits until nothing of the containers is left. An engine ends its helper processes later than the containers.
fn assert_gone(containers: &[String]) {
    let deadline = Instant::now() + HANG;
    while let left = host::naming(containers)
        && !left.is_empty()
    {
        assert!(Instant::now() < deadline, "{left:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends signals to the process, as a user or a service manager does, and to its process group, as a terminal does.
#[rstest]
#[case::interrupt(Signal::INT, false, "native,youki --rows 200 --runs 4")]
#[case::interrupt_among_engines(Signal::INT, false, "docker-cli,docker --rows 60000 --runs 1")]
#[case::ctrl_c_on_a_terminal(Signal::INT, true, "native,youki --rows 200 --runs 4")]
#[case::ctrl_c_among_engines(Signal::INT, true, "oci:runc,docker --rows 60000 --runs 1")]
#[case::terminate(Signal::TERM, false, "native,youki --rows 200 --runs 4")]
#[case::terminal_closed(Signal::HUP, false, "native,youki --rows 200 --runs 4")]
fn an_interrupted_run_stops_and_can_be_resumed(
    #[case] signal: Signal,
    #[case] to_group: bool,
    #[case] platforms: &str,
) {
    let Some(platforms) = available::only(platforms) else { return };
    if host::ignores(signal) {
        return eprintln!("skipped: this test was started with {signal:?} ignored, as by nohup, and runs inherit that");
    }
    let (desk, mut stranger) = (Desk::new(), Stranger::new());
    let line = "--workload sqlite --attacker write,fork --placement same-thread --platform";
    let mut command = desk.command(Experiment::Isolation, &format!("{line} {platforms}"));
    let mut harness = command.process_group(0).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut messages = BufReader::new(harness.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    messages.find(|line| line.contains(": about ") && line.contains(" left")).expect("it reports its progress");

    assert_lives(&desk);
    let pid = Pid::from_child(&harness);
    let signaled = Instant::now();
    let sent = if to_group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    sent.expect("the signal is sent");
    let is_hint = |line: String| line.contains("the run is interrupted; continue with --resume last");
    assert!(messages.any(is_hint), "it prints how to continue");
    assert_eq!(wait(&mut harness).code(), Some(130));
    assert!(signaled.elapsed() < PROMPT, "it took {:?} to stop", signaled.elapsed());

    let run = desk.run();
    assert_eq!(run.file.outcome, RunOutcome::Interrupted);
    assert!(!run.trials.is_empty() && (run.trials.len() as u64) < run.file.planned);
    assert!(run.trials.iter().all(|trial| trial.outcome == Outcome::Ok), "an interrupted trial is not recorded");
    assert!(run.dir.join("report/index.html").is_file(), "there is a report on the completed trials");
    assert_eq!(host::traces(&run.file.run, &desk.state()), [""; 0]);
    assert_eq!(engine::traces(&run.file.run), [""; 0]);
    stranger.assert_unharmed();

    finish(&desk, Experiment::Isolation);
    assert_whole(&desk.run());
}

#[test]
fn a_full_disk_stops_the_run_which_can_be_resumed() {
    const FREE: u64 = 64 << 10;
    let desk = Desk::new();
    let disk = match Disk::mount(desk.path("disk"), 2 << 20) {
        Ok(disk) => disk,
        Err(error) => return eprintln!("skipped: {error}"),
    };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; (disk.free() - FREE) as usize]).expect("there is room");

    let line = format!("--platform fake --runs 500 --benchmark_time 0 --out {}", disk.path().display());
    let stopped = desk.command(Experiment::Boot, &line).output().expect("it starts");
    let messages = String::from_utf8_lossy(&stopped.stderr);
    assert_eq!(stopped.status.code(), Some(4), "{messages}");
    assert!(messages.contains("No space left on device"), "{messages}");

    let dir = featherweight::store::list_runs(disk.path()).pop().expect("the run's folder");
    let run = read_run(&dir).expect("the recorded trials are readable");
    let recorded = run.trials.len() as u64;
    assert!(recorded > 10 && recorded < 500 && run.warnings.is_empty(), "{recorded} trials, {:?}", run.warnings);
    assert!((0..recorded).eq(run.trials.iter().map(|trial| trial.order)), "no trial is missing");
    assert_eq!(host::traces(&run.file.run, &desk.state()), [""; 0]);

    fs::remove_file(ballast).expect("space is freed");
    let resumed = desk.command(Experiment::Boot, "").arg("--resume").arg(&dir).output().expect("it starts");
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert_whole(&read_run(&dir).expect("the run is readable"));
}

/// Asserts that traces of the run are found on the host, since otherwise their absence later would prove nothing, and that
/// the run is locked.
fn assert_lives(desk: &Desk) {
    let run = desk.run().file.run;
    let traces = host::traces(&run, &desk.state());
    assert!(traces.iter().any(|trace| trace.ends_with(&run.name())), "its folder: {traces:?}");
    if rustix::process::geteuid().is_root() {
        let has_process = traces.iter().any(|trace| trace.starts_with("process "));
        assert!(has_process || !engine::traces(&run).is_empty(), "its launchers or images: {traces:?}");
    }
    let second = desk.command(Experiment::Isolation, "--resume last").output().expect("it starts");
    let messages = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && messages.contains(&format!("run {run} is still in progress")), "{messages}");
    assert_eq!(ledger::list(&desk.state()).expect("listed"), [(run, RunState::Alive)]);
}

/// Resumes the run that was killed, or starts a new one.
fn begin_or_resume(desk: &Desk, experiment: Experiment) -> Child {
    let mut command = match unfinished(desk) {
        true => desk.command(experiment, "--resume last"),
        false => desk.command(experiment, &small(experiment)),
    };
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

fn unfinished(desk: &Desk) -> bool {
    let runs = desk.runs();
    let outcomes = runs.iter().map(|dir| read_run(dir).expect("the run is readable").file.outcome);
    outcomes.into_iter().any(|outcome| outcome != RunOutcome::Complete)
}

/// Completes the last run and asserts that it succeeds.
fn finish(desk: &Desk, experiment: Experiment) {
    let line = if unfinished(desk) { "--resume last".to_owned() } else { small(experiment) };
    let mut command: Command = desk.command(experiment, &line);
    let done = command.output().expect("it starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(ledger::list(&desk.state()).expect("listed"), []);
}

#[track_caller]
fn assert_whole(run: &StoredRun) {
    assert_eq!((run.file.outcome, run.warnings.len()), (RunOutcome::Complete, 0));
    let orders: Vec<u64> = run.trials.iter().map(|trial| trial.order).collect();
    assert_eq!(orders, (0..run.file.planned).collect::<Vec<_>>(), "every trial of the plan, once");
    assert_eq!(host::traces(&run.file.run, Path::new("/nowhere")), [""; 0]);
    assert_eq!(engine::traces(&run.file.run), [""; 0]);
}

fn runs_with_ledger(desk: &Desk) -> Vec<RunId> {
    ledger::list(&desk.state()).expect("listed").into_iter().map(|(run, _)| run).collect()
}

/// Waits until all runs are dead, and returns them. A guest that is being started has the lock until its `exec`.
fn await_dead(desk: &Desk) -> Vec<RunId> {
    let deadline = Instant::now() + HANG;
    loop {
        let runs = ledger::list(&desk.state()).expect("listed");
        if runs.iter().all(|&(_, state)| state == RunState::Dead) {
            return runs.into_iter().map(|(run, _)| run).collect();
        }
        assert!(Instant::now() < deadline, "{runs:?} seem to live");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the harness has recorded the first container of an engine or the first machine, or has ended.
fn await_instance(desk: &Desk, harness: &mut Child) {
    let is_boot = is_boot(desk);
    let is_instance = |resource: &Resource| match resource {
        Resource::Container { .. } => true,
        Resource::Process { .. } => is_boot,
        _ => false,
    };
    let has_instance = |run: &RunId| ledger::resources(&desk.state(), run).is_ok_and(|all| all.iter().any(is_instance));
    while !runs_with_ledger(desk).iter().any(has_instance) && harness.try_wait().expect("its status").is_none() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the latest run is one of boot, which has only virtual machines.
fn is_boot(desk: &Desk) -> bool {
    desk.runs().last().is_some_and(|dir| dir.to_string_lossy().ends_with("-boot"))
}

/// Waits for a process and kills it if it hangs.
fn wait(harness: &mut Child) -> std::process::ExitStatus {
    let deadline = Instant::now() + HANG;
    loop {
        if let Some(status) = harness.try_wait().expect("its status") {
            return status;
        }
        if Instant::now() > deadline {
            harness.kill().expect("killed");
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
