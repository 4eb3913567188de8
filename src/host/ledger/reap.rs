//! Removing what a run left: its processes, then what it made through engines, its cgroups, mounts and directories.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::{LINES, LOCK, Resource, hold};
use crate::host::limits::{Change, restore};
use crate::model::run::{NAME_PREFIX, RUN_VARIABLE, RunId};

/// How long reaping waits for killed processes to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often reaping looks again.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// For this long an engine may be at work on what a harness asked of it that is gone: it neither stops nor tells when it
/// is done. Making a container takes 20 ms, and some 500 ms on a host that makes many.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// What was found and removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Processes that still lived and were ended.
    pub processes: usize,
    /// Cgroups that still existed.
    pub cgroups: usize,
    /// Mounts that still existed.
    pub mounts: usize,
    /// Directories outside the run's own that still existed.
    pub dirs: usize,
    /// Containers of engines that still existed.
    pub containers: usize,
    /// Networks of engines that still existed.
    pub networks: usize,
    /// Images of engines that still existed.
    pub images: usize,
}

/// Removes from container engines what `resources` list of the run, and counts it in the leftovers.
///
/// # Errors
/// The first resource that could not be removed, or the engine that could not be reached.
pub type EngineReaper = fn(resources: &[Resource], run: &RunId, left: &mut Leftovers) -> io::Result<()>;

/// Whether a run that has a ledger still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// A harness holds it: leave it alone.
    Alive,
    /// Its harness is gone: it can be reaped.
    Dead,
}

/// The runs that have a ledger under `state`.
///
/// # Errors
/// When the folder exists but cannot be read.
pub fn list(state: &Path) -> io::Result<Vec<(RunId, RunState)>> {
    let entries = match fs::read_dir(state) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut runs: Vec<_> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix(NAME_PREFIX)?.parse::<RunId>().ok())
        .map(|run| {
            let held = match File::open(state.join(run.name()).join(LOCK)) {
                Ok(lock) => lock.try_lock().is_err(),
                // Another user's: not ours to judge, let alone to reap.
                Err(e) => e.kind() != io::ErrorKind::NotFound,
            };
            let run_state = if held { RunState::Alive } else { RunState::Dead };
            (run, run_state)
        })
        .collect();
    runs.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(runs)
}

/// What the run `run` has written down, in the order of making; a part of it may be gone, or was never made.
///
/// # Errors
/// When its ledger exists but cannot be read.
pub fn resources(state: &Path, run: &RunId) -> io::Result<Vec<Resource>> {
    read(&state.join(run.name()).join(LINES))
}

/// Removes everything that the dead run `run` left.
///
/// # Errors
/// Names what could not be removed; its ledger then stays. [`io::ErrorKind::ResourceBusy`] when the run lives after all.
pub fn reap(state: &Path, run: &RunId, reap_engines: EngineReaper) -> io::Result<Leftovers> {
    let dir = state.join(run.name());
    match hold(&dir, run) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Leftovers::default()),
        Err(e) => Err(e),
        Ok(_lock) => {
            await_engines(&dir.join(LINES))?;
            sweep(&dir, run, reap_engines)
        }
    }
}

/// Waits until nothing that was asked of engines can be under way: what appears after they were asked for what there is
/// would stay for ever. A line comes before what it asks for, so the age of the last one tells.
fn await_engines(lines: &Path) -> io::Result<()> {
    if read(lines)?.iter().any(|resource| resource.engine().is_some()) {
        let age = fs::metadata(lines)?.modified()?.elapsed().unwrap_or_default();
        thread::sleep(UNDER_WAY.saturating_sub(age));
    }
    Ok(())
}

/// Removes what stands in the ledger in `dir`, then `dir`. Idempotent. What cannot be removed keeps nothing else from
/// being removed; `dir` stays then, and the first error is returned.
pub(super) fn sweep(dir: &Path, run: &RunId, reap_engines: EngineReaper) -> io::Result<Leftovers> {
    let resources = read(&dir.join(LINES))?;
    let processes = end_processes(run)?;
    let mut left = Leftovers { processes, ..Leftovers::default() };
    // First, since the groups of containers are their engines'.
    let by_engines = reap_engines(&resources, run, &mut left);
    let removed: Vec<_> = resources.iter().rev().map(|resource| remove(resource, run, &mut left)).collect();
    removed.into_iter().chain([by_engines]).collect::<io::Result<()>>()?;
    left.mounts += unmount_below(dir)?;
    remove_dir(dir)?;
    Ok(left)
}

fn remove(resource: &Resource, run: &RunId, left: &mut Leftovers) -> io::Result<()> {
    match resource {
        Resource::Process { .. } => {}
        Resource::Container { .. } | Resource::Network { .. } | Resource::Image { .. } => {}
        Resource::Setting(change) => restore(&[setting(change)?.clone()])?,
        Resource::Cgroup { path } => {
            left.processes += end_members(owned(path, run)?)?;
            left.cgroups += remove_cgroup(path)?;
        }
        Resource::Dir { path } => {
            left.mounts += unmount_below(owned(path, run)?)?;
            left.dirs += remove_dir(path)?;
        }
    }
    Ok(())
}

/// Reads a ledger. A torn last line is passed over: its resource was not made, since the line comes first.
fn read(path: &Path) -> io::Result<Vec<Resource>> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Refuses a path that does not carry the run's name: a damaged ledger must not cost the user anything.
fn owned<'a>(path: &'a Path, run: &RunId) -> io::Result<&'a Path> {
    let name = run.name();
    let carries = path.is_absolute()
        && path.components().all(|c| !matches!(c, std::path::Component::ParentDir))
        && path.components().any(|c| c.as_os_str().to_str().is_some_and(|c| c.starts_with(&name)));
    match carries {
        true => Ok(path),
        false => Err(io::Error::other(format!("{} does not carry the name {name}: left alone", path.display()))),
    }
}

/// Refuses a file that is no kernel setting.
fn setting(change: &Change) -> io::Result<&Change> {
    let stays_below = change.path.components().all(|c| c != std::path::Component::ParentDir);
    match change.path.starts_with("/proc/sys") && stays_below {
        true => Ok(change),
        false => Err(io::Error::other(format!("{} is no kernel setting: left alone", change.path.display()))),
    }
}

/// Kills every process with the run's id in its environment until two looks in a row find none: a process that was
/// being forked at the first look shows at the second.
fn end_processes(run: &RunId) -> io::Result<usize> {
    let give_up = Instant::now() + PATIENCE;
    let (mut ended, mut quiet) = (0, 0);
    while quiet < 2 {
        let living = kill_all(run);
        if Instant::now() > give_up {
            return Err(io::Error::other(format!("{living} processes of run {run} do not end")));
        }
        quiet = if living == 0 { quiet + 1 } else { 0 };
        ended = ended.max(living);
        if quiet < 2 {
            thread::sleep(LOOK_EVERY);
        }
    }
    Ok(ended)
}

fn kill_all(run: &RunId) -> usize {
    let marker = format!("{RUN_VARIABLE}={run}");
    let Ok(processes) = fs::read_dir("/proc") else { return 0 };
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|&pid| pid != std::process::id() as i32 && kill_if_marked(pid, marker.as_bytes()))
        .count()
}

/// Kills `pid` if its environment carries `marker`. The descriptor is opened before the environment is read, so that
/// a reused process number is never hit.
fn kill_if_marked(pid: i32, marker: &[u8]) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return false };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
    environment.split(|&b| b == 0).any(|variable| variable == marker)
        && pidfd_send_signal(&handle, Signal::KILL).is_ok()
}

/// Kills the processes in a cgroup of the run and in those below it: a sandbox clears its environment, and so loses the
/// marker.
fn end_members(path: &Path) -> io::Result<usize> {
    let Ok(children) = fs::read_dir(path) else { return Ok(0) };
    let mut ended = 0;
    for child in children.filter_map(Result::ok).filter(|c| c.file_type().is_ok_and(|t| t.is_dir())) {
        ended += end_members(&child.path())?;
    }
    let give_up = Instant::now() + PATIENCE;
    let (mut most, file) = (0, path.join("cgroup.procs"));
    loop {
        let members = numbers(&file);
        most = most.max(members.len());
        if members.is_empty() {
            return Ok(ended + most);
        }
        if Instant::now() > give_up {
            return Err(io::Error::other(format!("the processes in cgroup {} do not end", path.display())));
        }
        members.into_iter().for_each(|pid| kill_if_member(pid, &file));
        thread::sleep(LOOK_EVERY);
    }
}

/// Kills `pid` if it is still in the group after the descriptor was opened, so that a reused number is never hit.
fn kill_if_member(pid: i32, file: &Path) {
    if let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        && numbers(file).contains(&pid)
    {
        // It fails only when the process is gone already.
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
}

fn numbers(file: &Path) -> Vec<i32> {
    fs::read_to_string(file).unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

/// Removes a cgroup and those below it, deepest first; waits for its killed processes to leave it.
fn remove_cgroup(path: &Path) -> io::Result<usize> {
    let Ok(children) = fs::read_dir(path) else { return Ok(0) };
    let mut removed = 0;
    for child in children.filter_map(Result::ok).filter(|c| c.file_type().is_ok_and(|t| t.is_dir())) {
        removed += remove_cgroup(&child.path())?;
    }
    let give_up = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(removed + 1),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(removed),
            Err(e) if Instant::now() > give_up => {
                return Err(io::Error::new(e.kind(), format!("remove cgroup {}: {e}", path.display())));
            }
            Err(_) => thread::sleep(LOOK_EVERY),
        }
    }
}

/// Detaches the mounts at or below `dir` in this mount namespace, innermost first.
fn unmount_below(dir: &Path) -> io::Result<usize> {
    let mounts = procfs::process::Process::myself().and_then(|me| me.mountinfo()).map_err(io::Error::other)?;
    let mut points: Vec<PathBuf> = mounts.0.into_iter().map(|m| m.mount_point).filter(|p| p.starts_with(dir)).collect();
    points.sort_by_key(|p| std::cmp::Reverse(p.components().count()));
    for point in &points {
        umount2(point, MntFlags::MNT_DETACH)
            .map_err(|e| io::Error::other(format!("unmount {}: {e}", point.display())))?;
    }
    Ok(points.len())
}

fn remove_dir(path: &Path) -> io::Result<usize> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(1),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(io::Error::new(e.kind(), format!("remove {}: {e}", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::Ledger;
    use super::*;

    fn no_engines(_: &[Resource], _: &RunId, _: &mut Leftovers) -> io::Result<()> {
        Ok(())
    }

    #[test]
    fn a_session_that_resumes_a_run_names_its_instances_otherwise() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let run: RunId = "20200101-000000-0001".parse().expect("an id");
        let name = Ledger::open(state.path(), &run, no_engines).expect("a ledger opens").instance_name();
        let session = name.strip_prefix("fw-20200101-000000-0001-").and_then(|rest| rest.strip_suffix("-0"));
        assert!(session.is_some_and(|age| age.parse::<u64>().is_ok_and(|seconds| seconds > 86_400 * 365)), "{name}");
    }

    #[test]
    fn a_dead_run_is_reaped_and_nothing_else() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let run = RunId::generate();
        let other = tempfile::tempdir().expect("a temporary folder");
        let ours = other.path().join(run.name());
        let ledger = Ledger::open(state.path(), &run, no_engines).expect("a ledger opens");
        ledger.record(&Resource::Dir { path: ours.clone() }).expect("a line is written");
        fs::create_dir(&ours).expect("a folder is made");
        let mut marked = Command::new("sleep").arg("60").env(RUN_VARIABLE, run.as_str()).spawn().expect("sleep starts");
        let mut stranger = Command::new("sleep").arg("60").spawn().expect("sleep starts");

        assert_eq!(list(state.path()).expect("listed"), [(run.clone(), RunState::Alive)]);
        drop(ledger);
        // A process that another test is starting holds a copy of the lock until its `exec`.
        while list(state.path()).expect("listed") != [(run.clone(), RunState::Dead)] {
            thread::yield_now();
        }
        // Reaped in the background: an unreaped child stays in /proc as a zombie without an environment.
        let left = reap(state.path(), &run, no_engines).expect("reaped");

        assert_eq!((left.processes, left.dirs), (1, 1));
        assert!(marked.wait().expect("waited").code().is_none(), "killed by a signal");
        assert!(stranger.try_wait().expect("asked").is_none(), "the stranger lives");
        assert!(other.path().exists() && !ours.exists());
        assert_eq!(list(state.path()).expect("listed"), []);
        stranger.kill().and_then(|()| stranger.wait()).expect("the stranger is ended");
    }

    #[test]
    fn a_path_without_the_runs_name_is_left_alone() {
        let run = RunId::generate();
        for path in ["/etc", "relative", &format!("/x/{}/../../etc", run.name())] {
            assert!(owned(Path::new(path), &run).is_err(), "{path}");
        }
        assert!(owned(Path::new(&format!("/sys/fs/cgroup/{}/1", run.name())), &run).is_ok());
    }

    #[test]
    fn what_cannot_be_removed_keeps_nothing_else_from_it() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let run = RunId::generate();
        let ledger = Ledger::open(state.path(), &run, no_engines).expect("a ledger opens");
        let ours = state.path().join(format!("{}-files", run.name()));
        fs::create_dir(&ours).expect("a folder is made");
        for path in [ours.clone(), PathBuf::from("/etc")] {
            ledger.record(&Resource::Dir { path }).expect("a line is written");
        }
        drop(ledger);
        let error = reap(state.path(), &run, no_engines).expect_err("/etc is not ours").to_string();
        assert!(error.contains("left alone") && !ours.exists(), "{error}");
        assert_eq!(list(state.path()).expect("listed"), [(run, RunState::Dead)], "the ledger stays");
    }

    #[test]
    fn a_torn_line_does_not_stop_the_reaper() {
        let state = tempfile::tempdir().expect("a temporary folder");
        let run = RunId::generate();
        let dir = state.path().join(run.name());
        fs::create_dir(&dir).expect("a folder is made");
        fs::write(dir.join(LINES), "{\"kind\":\"process\",\"name\":\"a\"}\n{\"kind\":\"cgr").expect("written");
        assert_eq!(reap(state.path(), &run, no_engines).expect("reaped"), Leftovers::default());
        assert!(!dir.exists());
    }
}
