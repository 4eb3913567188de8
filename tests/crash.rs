//! The harness is killed, interrupted and starved of disk, for real: nothing is left, nothing is lost, nothing is doubled.
//!
//! `FEATHERWEIGHT_CRASHES=50` kills it as often, `FEATHERWEIGHT_CRASH_SEED` repeats the moments of an earlier test.

#[expect(dead_code, reason = "shared with the tests of the command line, which use all of it")]
mod bench;
#[path = "crash/engine.rs"]
mod engine;
#[path = "crash/here.rs"]
mod here;
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

/// A run is killed at a moment between its start and this.
const LATEST_CRASH: Duration = Duration::from_millis(4_000);

/// Longer than anything takes that works: only a hang is as slow.
const HANG: Duration = Duration::from_secs(120);

/// How soon a run ends that was asked to. Generous: it tells a hang from an end, on a busy machine too.
const PROMPT: Duration = Duration::from_secs(5);

/// A small run on every platform that can run here: attackers in control groups, or servers beside idle ones; or boots of
/// virtual machines beside idle ones.
fn small(experiment: Experiment) -> String {
    if experiment == Experiment::Boot {
        let network = "--network bridge --benchmark_time 1 --instances_per_benchmark 2";
        return format!("--platform {} --runs 1 {network}", here::machines().join(","));
    }
    let platforms = here::platforms().join(",");
    let what = match experiment {
        // Not fewer rows: a guest that ends before its engine has answered cannot vouch for its placement.
        Experiment::Isolation => "--workload sqlite --attacker fork --placement same-thread --rows 60000",
        _ if here::has_servers() => "--workload nginx --load-seconds 1 --benchmark_time 1 --instances_per_benchmark 3",
        _ => "--workload sqlite --rows 20000 --benchmark_time 1 --instances_per_benchmark 8",
    };
    format!("--platform {platforms} --runs 1 {what}")
}

#[rstest]
fn a_run_that_is_killed_again_and_again_leaves_nothing_loses_nothing_and_doubles_nothing(
    #[values(Experiment::Isolation, Experiment::Scalability, Experiment::Boot)] experiment: Experiment,
) {
    if experiment == Experiment::Boot && here::machines().is_empty() {
        return eprintln!("not tried: no virtual machine can run here");
    }
    let crashes = env::var("FEATHERWEIGHT_CRASHES").map_or(2, |n| n.parse().expect("a count of crashes"));
    let seed = env::var("FEATHERWEIGHT_CRASH_SEED")
        .map_or_else(|_| u64::from(std::process::id()), |n| n.parse().expect("a seed"));
    println!("FEATHERWEIGHT_CRASH_SEED={seed}");
    let mut moments = ChaCha8Rng::seed_from_u64(seed);
    let (desk, mut stranger, user) = (Desk::new(), Stranger::new(), User::new());

    for crash in 0..crashes {
        // At any moment of its start, and at any of what it does with instances.
        let moment = Duration::from_millis(moments.next_u64() % LATEST_CRASH.as_millis() as u64);
        let mut harness = begin_or_resume(&desk, experiment);
        if crash % 2 == 1 {
            await_instance(&desk, &mut harness);
        }
        thread::sleep(moment);
        let lived = living(&desk);
        let namespaces = lived.iter().flat_map(host::namespaces).collect::<BTreeSet<_>>();
        let containers = lived.iter().flat_map(engine::containers).collect::<Vec<_>>();
        harness.kill().and_then(|()| harness.wait()).expect("it is killed");
        let killed = host::ticks();

        let dead = await_dead(&desk);
        let counts = (namespaces.len(), containers.len());
        println!("crash {crash} after {moment:?}: {dead:?}, namespaces and containers: {counts:?}");
        println!("  {}", here::clean(&desk));
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

/// The containers have left nothing of what an engine makes for them. It ends its own helpers when it likes.
fn assert_gone(containers: &[String]) {
    let give_up = Instant::now() + HANG;
    while let left = host::naming(containers)
        && !left.is_empty()
    {
        assert!(Instant::now() < give_up, "{left:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A kill of the process, of its group as a terminal's Ctrl-C is, and a service manager's.
#[rstest]
#[case::interrupt(Signal::INT, false, "native,youki --rows 200 --runs 4")]
#[case::interrupt_among_engines(Signal::INT, false, "docker-cli,docker --rows 60000 --runs 1")]
#[case::ctrl_c_on_a_terminal(Signal::INT, true, "native,youki --rows 200 --runs 4")]
#[case::ctrl_c_among_engines(Signal::INT, true, "oci:runc,docker --rows 60000 --runs 1")]
#[case::terminate(Signal::TERM, false, "native,youki --rows 200 --runs 4")]
#[case::terminal_closed(Signal::HUP, false, "native,youki --rows 200 --runs 4")]
fn a_run_that_is_asked_to_stop_does_so_and_can_be_gone_on_with(
    #[case] signal: Signal,
    #[case] to_group: bool,
    #[case] platforms: &str,
) {
    let Some(platforms) = here::those_of(platforms) else { return };
    if host::ignores(signal) {
        return eprintln!(
            "skipped: whoever started this test has {signal:?} ignored, as nohup does, and a run leaves it so"
        );
    }
    let (desk, mut stranger) = (Desk::new(), Stranger::new());
    let line = "--workload sqlite --attacker write,fork --placement same-thread --platform";
    let mut command = desk.command(Experiment::Isolation, &format!("{line} {platforms}"));
    let mut harness = command.process_group(0).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
    let mut said = BufReader::new(harness.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    said.find(|line| line.contains(": about ") && line.contains(" left")).expect("it tells of its progress");

    assert_lives(&desk);
    let pid = Pid::from_child(&harness);
    let asked = Instant::now();
    let sent = if to_group { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    sent.expect("it can be asked");
    assert!(said.any(|line| line.contains("the run is interrupted; continue with --resume last")), "it says what now");
    assert_eq!(wait(&mut harness).code(), Some(130));
    assert!(asked.elapsed() < PROMPT, "it took {:?} to stop", asked.elapsed());

    let run = desk.run();
    assert_eq!(run.file.outcome, RunOutcome::Interrupted);
    assert!(!run.trials.is_empty() && (run.trials.len() as u64) < run.file.planned);
    assert!(run.trials.iter().all(|trial| trial.outcome == Outcome::Ok), "a trial that was cut short is no record");
    assert!(run.dir.join("report/index.html").is_file(), "the report tells what there is");
    assert_eq!(host::traces(&run.file.run, &desk.state()), [""; 0]);
    assert_eq!(engine::traces(&run.file.run), [""; 0]);
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
        let made = seen.iter().any(|trace| trace.starts_with("process ")) || !engine::traces(&run).is_empty();
        assert!(made, "its launchers or images: {seen:?}");
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
        false => desk.command(experiment, &small(experiment)),
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

/// Waits until the harness has written down the first container of an engine or the first machine, or has ended.
fn await_instance(desk: &Desk, harness: &mut Child) {
    let machines = unfinished_machines(desk);
    let is_one = |resource: &Resource| match resource {
        Resource::Container { .. } => true,
        Resource::Process { .. } => machines,
        _ => false,
    };
    let of_engine = |run: &RunId| ledger::resources(&desk.state(), run).is_ok_and(|all| all.iter().any(is_one));
    while !living(desk).iter().any(of_engine) && harness.try_wait().expect("asked").is_none() {
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the latest run is one of virtual machines alone.
fn unfinished_machines(desk: &Desk) -> bool {
    desk.runs().last().is_some_and(|dir| dir.to_string_lossy().ends_with("-boot"))
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
