//! The harness is killed, interrupted and starved of disk, for real: nothing is left, nothing is lost, nothing is doubled.
//!
//! `FEATHERWEIGHT_CRASHES=50` kills it as often, `FEATHERWEIGHT_CRASH_SEED` repeats the moments of an earlier test.

#[expect(dead_code, reason = "shared with the tests of the command line, which use all of it")]
mod bench;
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
use featherweight::ledger::{self, RunState};
use featherweight::run::RunId;
use featherweight::store::{Experiment, Outcome, RunOutcome, StoredRun, read_run};
use host::{Disk, Stranger};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rstest::rstest;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// A run is killed at a moment between its start and this.
const LATEST_CRASH: Duration = Duration::from_millis(4_000);

/// Longer than anything takes that works: only a hang is as slow.
const HANG: Duration = Duration::from_secs(120);

/// How soon a run ends that was asked to. Generous: it tells a hang from an end, on a busy machine too.
const PROMPT: Duration = Duration::from_secs(5);

/// A small run with attackers in control groups on the platforms that can run here.
fn small(experiment: Experiment, runs: u32) -> String {
    let platforms = if rustix::process::geteuid().is_root() {
        "native,youki"
    } else {
        eprintln!("youki is left out: containers need root");
        "native"
    };
    match experiment {
        Experiment::Isolation => {
            let what = "--workload sqlite --attacker write,fork --placement same-thread --rows 200";
            format!("--platform {platforms} --runs {runs} {what}")
        }
        _ => {
            let what = "--workload sqlite --benchmark_time 2 --instances_per_benchmark 8 --rows 200";
            format!("--platform {platforms} --runs {runs} {what}")
        }
    }
}

#[rstest]
fn a_run_that_is_killed_again_and_again_leaves_nothing_loses_nothing_and_doubles_nothing(
    #[values(Experiment::Isolation, Experiment::Scalability)] experiment: Experiment,
) {
    let crashes = env::var("FEATHERWEIGHT_CRASHES").map_or(3, |n| n.parse().expect("a count of crashes"));
    let seed = env::var("FEATHERWEIGHT_CRASH_SEED")
        .map_or_else(|_| u64::from(std::process::id()), |n| n.parse().expect("a seed"));
    println!("FEATHERWEIGHT_CRASH_SEED={seed}");
    let mut moments = ChaCha8Rng::seed_from_u64(seed);
    let (desk, mut stranger) = (Desk::new(), Stranger::new());

    for crash in 0..crashes {
        let moment = Duration::from_millis(moments.next_u64() % LATEST_CRASH.as_millis() as u64);
        let mut harness = begin_or_resume(&desk, experiment);
        thread::sleep(moment);
        let namespaces = living(&desk).iter().flat_map(host::namespaces).collect::<BTreeSet<_>>();
        harness.kill().and_then(|()| harness.wait()).expect("it is killed");

        let dead = await_dead(&desk);
        println!("crash {crash} after {moment:?}: {dead:?}, {} namespaces", namespaces.len());
        for run in &dead {
            let left = ledger::reap(&desk.state(), run).expect("reaped");
            println!("  {left:?}");
            assert_eq!(host::traces(run, &desk.state()), [""; 0]);
        }
        assert_eq!(host::holders(&namespaces, &dead), [""; 0]);
        stranger.assert_unharmed();
    }

    finish(&desk, experiment);
    desk.runs().iter().for_each(|dir| assert_whole(&read_run(dir).expect("the run is readable")));
}

/// A kill of the process, of its group as a terminal's Ctrl-C is, and a service manager's.
#[rstest]
#[case::interrupt(Signal::INT, false)]
#[case::ctrl_c_on_a_terminal(Signal::INT, true)]
#[case::terminate(Signal::TERM, false)]
#[case::terminal_closed(Signal::HUP, false)]
fn a_run_that_is_asked_to_stop_does_so_and_can_be_gone_on_with(#[case] signal: Signal, #[case] to_group: bool) {
    let (desk, mut stranger) = (Desk::new(), Stranger::new());
    let mut command = desk.command(Experiment::Isolation, &small(Experiment::Isolation, 4));
    let mut harness = command.process_group(0).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut said = BufReader::new(harness.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    said.find(|line| line.contains(": about ") && line.contains(" left")).expect("it tells of its progress");

    assert_lives(&desk);
    let pid = Pid::from_child(&harness);
    let asked = Instant::now();
    let sent = if to_group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    sent.expect("it can be asked");
    assert!(said.any(|line| line.contains("the run is interrupted; --resume last goes on")), "it says what now");
    assert_eq!(wait(&mut harness).code(), Some(130));
    assert!(asked.elapsed() < PROMPT, "it took {:?} to stop", asked.elapsed());

    let run = desk.run();
    assert_eq!(run.file.outcome, RunOutcome::Interrupted);
    assert!(!run.trials.is_empty() && (run.trials.len() as u64) < run.file.planned);
    assert!(run.trials.iter().all(|trial| trial.outcome == Outcome::Ok), "a trial that was cut short is no record");
    assert!(run.dir.join("report/index.html").is_file(), "the report tells what there is");
    assert_eq!(host::traces(&run.file.run, &desk.state()), [""; 0]);
    stranger.assert_unharmed();

    finish(&desk, Experiment::Isolation);
    assert_whole(&desk.run());
}

#[test]
fn a_full_disk_stops_the_run_and_what_was_recorded_is_gone_on_with() {
    const FREE: u64 = 64 << 10;
    let desk = Desk::new();
    let disk = match Disk::mount(desk.path("disk"), 2 << 20) {
        Ok(disk) => disk,
        Err(why) => return eprintln!("not tried: {why}"),
    };
    let ballast = disk.path().join("ballast");
    fs::write(&ballast, vec![1; (disk.free() - FREE) as usize]).expect("there is room");

    let line = format!("--platform fake --runs 500 --benchmark_time 0 --out {}", disk.path().display());
    let stopped = desk.command(Experiment::Boot, &line).output().expect("it starts");
    let said = String::from_utf8_lossy(&stopped.stderr);
    assert_eq!(stopped.status.code(), Some(4), "{said}");
    assert!(said.contains("No space left on device"), "{said}");

    let dir = featherweight::store::list_runs(disk.path()).pop().expect("the run's folder");
    let run = read_run(&dir).expect("what was recorded is readable");
    let recorded = run.trials.len() as u64;
    assert!(recorded > 10 && recorded < 500 && run.warnings.is_empty(), "{recorded} trials, {:?}", run.warnings);
    assert!((0..recorded).eq(run.trials.iter().map(|trial| trial.order)), "nothing is missing");
    assert_eq!(host::traces(&run.file.run, &desk.state()), [""; 0]);

    fs::remove_file(ballast).expect("space is freed");
    let resumed = desk.command(Experiment::Boot, "").arg("--resume").arg(&dir).output().expect("it starts");
    assert!(resumed.status.success(), "{}", String::from_utf8_lossy(&resumed.stderr));
    assert_whole(&read_run(&dir).expect("the run is readable"));
}

/// The run is seen on the host, which is what makes its absence worth something later, and nobody else can take it.
fn assert_lives(desk: &Desk) {
    let run = desk.run().file.run;
    let seen = host::traces(&run, &desk.state());
    assert!(seen.iter().any(|trace| trace.ends_with(&run.name())), "its folder: {seen:?}");
    if rustix::process::geteuid().is_root() {
        assert!(seen.iter().any(|trace| trace.starts_with("process ")), "its launchers: {seen:?}");
    }
    let second = desk.command(Experiment::Isolation, "--resume last").output().expect("it starts");
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(!second.status.success() && said.contains(&format!("run {run} is still in progress")), "{said}");
    assert_eq!(ledger::list(&desk.state()).expect("listed"), [(run, RunState::Alive)]);
}

/// Goes on with the run that was killed, or begins one.
fn begin_or_resume(desk: &Desk, experiment: Experiment) -> Child {
    let mut command = match unfinished(desk) {
        true => desk.command(experiment, "--resume last"),
        false => desk.command(experiment, &small(experiment, 2)),
    };
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

fn unfinished(desk: &Desk) -> bool {
    let runs = desk.runs();
    let outcomes = runs.iter().map(|dir| read_run(dir).expect("the run is readable").file.outcome);
    outcomes.into_iter().any(|outcome| outcome != RunOutcome::Complete)
}

/// Lets the last run end, and expects that all is well.
fn finish(desk: &Desk, experiment: Experiment) {
    let line = if unfinished(desk) { "--resume last".to_owned() } else { small(experiment, 2) };
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
}

/// The runs that have a ledger.
fn living(desk: &Desk) -> Vec<RunId> {
    ledger::list(&desk.state()).expect("listed").into_iter().map(|(run, _)| run).collect()
}

/// The runs whose harness is gone. A guest that was being started holds the lock until it is.
fn await_dead(desk: &Desk) -> Vec<RunId> {
    let give_up = Instant::now() + HANG;
    loop {
        let runs = ledger::list(&desk.state()).expect("listed");
        if runs.iter().all(|&(_, state)| state == RunState::Dead) {
            return runs.into_iter().map(|(run, _)| run).collect();
        }
        assert!(Instant::now() < give_up, "{runs:?} seem to live");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Waits for a process; one that hangs is killed.
fn wait(harness: &mut Child) -> std::process::ExitStatus {
    let give_up = Instant::now() + HANG;
    loop {
        if let Some(status) = harness.try_wait().expect("asked") {
            return status;
        }
        if Instant::now() > give_up {
            harness.kill().expect("killed");
            panic!("it hangs");
        }
        thread::sleep(Duration::from_millis(5));
    }
}
