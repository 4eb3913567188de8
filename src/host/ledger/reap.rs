//! Removes what a run left: first its processes, then its containers, networks and images, then its cgroups, mounts and
//! directories.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::error::LedgerError;
use super::{LINES, LOCK, Leftovers, Resource, hold};
use crate::host::error::failed_to;
use crate::host::limits::{Change, restore};
use crate::model::run::{NAME_PREFIX, RUN_VARIABLE, RunId};

/// How long reaping waits for killed processes to end.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often reaping checks again.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// How long an engine may still work on the last request of a dead harness. It does not report when it is done. To create
/// a container takes 20 ms, or about 500 ms on a host that creates many.
const ENGINE_LAG: Duration = Duration::from_secs(2);

/// Removes the resources of the run that container engines hold, and counts them in the leftovers.
///
/// # Errors
/// The first resource that could not be removed, or the engine that could not be reached.
pub type EngineReaper = fn(resources: &[Resource], run: &RunId, left: &mut Leftovers) -> io::Result<()>;

/// Whether the harness of a run with a ledger still lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It has the lock; the run must not be touched.
    Alive,
    /// It has ended; the run can be reaped.
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
                // A run of another user, whose state is unknown and which we must not reap.
                Err(e) => e.kind() != io::ErrorKind::NotFound,
            };
            let run_state = if held { RunState::Alive } else { RunState::Dead };
            (run, run_state)
        })
        .collect();
    runs.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(runs)
}

/// The resources that the ledger of `run` lists, in the order of creation. Some may be removed already or were never made.
///
/// # Errors
/// When its ledger exists but cannot be read.
pub fn resources(state: &Path, run: &RunId) -> io::Result<Vec<Resource>> {
    read(&state.join(run.name()).join(LINES))
}

/// Removes everything that the dead run `run` left.
///
/// # Errors
/// Names what could not be removed; the ledger then remains. [`io::ErrorKind::ResourceBusy`] when the run is alive.
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

/// Waits until engines have finished every request of the run. Otherwise a container that appears after the sweep would
/// stay forever. Each line is written before its request, so the age of the last line is enough.
fn await_engines(lines: &Path) -> io::Result<()> {
    if read(lines)?.iter().any(|resource| resource.engine().is_some()) {
        let age = fs::metadata(lines)?.modified()?.elapsed().unwrap_or_default();
        thread::sleep(ENGINE_LAG.saturating_sub(age));
    }
    Ok(())
}

/// Removes every resource that the ledger in `dir` lists, then `dir`. Idempotent. If a resource cannot be removed, the
/// others are removed nevertheless; then `dir` remains and the first error is returned.
pub(super) fn sweep(dir: &Path, run: &RunId, reap_engines: EngineReaper) -> io::Result<Leftovers> {
    let resources = read(&dir.join(LINES))?;
    let processes = end_processes(run)?;
    let mut left = Leftovers { processes, ..Leftovers::default() };
    // Engines go first because they own the cgroups of their containers.
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

/// Reads a ledger. A torn last line is skipped: its resource does not exist, since the line is written first.
fn read(path: &Path) -> io::Result<Vec<Resource>> {
    let text = match fs::read_to_string(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// Rejects a path without the run's name, so that a damaged ledger cannot remove a user's files.
fn owned<'a>(path: &'a Path, run: &RunId) -> Result<&'a Path, LedgerError> {
    let name = run.name();
    let has_name = path.is_absolute()
        && path.components().all(|c| !matches!(c, std::path::Component::ParentDir))
        && path.components().any(|c| c.as_os_str().to_str().is_some_and(|c| c.starts_with(&name)));
    if has_name { Ok(path) } else { Err(LedgerError::ForeignPath { path: path.to_owned(), name }) }
}

/// Rejects a file that is not a kernel setting.
fn setting(change: &Change) -> Result<&Change, LedgerError> {
    let stays_below = change.path.components().all(|c| c != std::path::Component::ParentDir);
    match change.path.starts_with("/proc/sys") && stays_below {
        true => Ok(change),
        false => Err(LedgerError::ForeignSetting { path: change.path.clone() }),
    }
}

/// Kills every process with the run's id in its environment until two scans in a row find none. A process that is being
/// forked during the first scan appears in the second.
fn end_processes(run: &RunId) -> Result<usize, LedgerError> {
    let deadline = Instant::now() + PATIENCE;
    let (mut ended, mut empty_scans) = (0, 0);
    while empty_scans < 2 {
        let count = kill_all(run);
        if Instant::now() > deadline {
            return Err(LedgerError::Processes { count, run: run.clone() });
        }
        empty_scans = if count == 0 { empty_scans + 1 } else { 0 };
        ended = ended.max(count);
        if empty_scans < 2 {
            thread::sleep(CHECK_EVERY);
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

/// Kills `pid` if its environment contains `marker`. The pidfd is opened before the environment is read, so that a process
/// which reuses the number is never killed.
fn kill_if_marked(pid: i32, marker: &[u8]) -> bool {
    let Some(pid) = Pid::from_raw(pid) else { return false };
    let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
    environment.split(|&b| b == 0).any(|variable| variable == marker)
        && pidfd_send_signal(&handle, Signal::KILL).is_ok()
}

/// Kills the processes in a cgroup of the run and in its descendants. Some of them have no marker because a sandbox cleared
/// its environment.
fn end_members(path: &Path) -> Result<usize, LedgerError> {
    let Ok(children) = fs::read_dir(path) else { return Ok(0) };
    let mut ended = 0;
    for child in children.filter_map(Result::ok).filter(|c| c.file_type().is_ok_and(|t| t.is_dir())) {
        ended += end_members(&child.path())?;
    }
    let deadline = Instant::now() + PATIENCE;
    let (mut most, file) = (0, path.join("cgroup.procs"));
    loop {
        let members = numbers(&file);
        most = most.max(members.len());
        if members.is_empty() {
            return Ok(ended + most);
        }
        if Instant::now() > deadline {
            return Err(LedgerError::Members { path: path.to_owned() });
        }
        members.into_iter().for_each(|pid| kill_if_member(pid, &file));
        thread::sleep(CHECK_EVERY);
    }
}

/// Kills `pid` if it is still in the group after its pidfd was opened, so that a reused number is never killed.
fn kill_if_member(pid: i32, file: &Path) {
    if let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
        && numbers(file).contains(&pid)
    {
        // It fails only if the process has already ended.
        let _ = pidfd_send_signal(&handle, Signal::KILL);
    }
}

fn numbers(file: &Path) -> Vec<i32> {
    fs::read_to_string(file).unwrap_or_default().lines().filter_map(|line| line.parse().ok()).collect()
}

/// Removes a cgroup and its descendants, deepest first, and waits until their killed processes have ended.
fn remove_cgroup(path: &Path) -> io::Result<usize> {
    let Ok(children) = fs::read_dir(path) else { return Ok(0) };
    let mut removed = 0;
    for child in children.filter_map(Result::ok).filter(|c| c.file_type().is_ok_and(|t| t.is_dir())) {
        removed += remove_cgroup(&child.path())?;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match fs::remove_dir(path) {
            Ok(()) => return Ok(removed + 1),
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(removed),
            Err(e) if Instant::now() > deadline => {
                return Err(failed_to(format!("remove cgroup {}", path.display()), e));
            }
            Err(_) => thread::sleep(CHECK_EVERY),
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
            .map_err(|e| failed_to(format!("unmount {}", point.display()), e.into()))?;
    }
    Ok(points.len())
}

fn remove_dir(path: &Path) -> io::Result<usize> {
    match fs::remove_dir_all(path) {
        Ok(()) => Ok(1),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(e) => Err(failed_to(format!("remove {}", path.display()), e)),
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
    fn a_session_that_resumes_a_run_gives_its_instances_new_names() {
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
        // A process that another test starts has a copy of the lock until its `exec`.
        while list(state.path()).expect("listed") != [(run.clone(), RunState::Dead)] {
            thread::yield_now();
        }
        // The killed child remains in /proc as a zombie, which has no environment and so is not found again.
        let left = reap(state.path(), &run, no_engines).expect("reaped");

        assert_eq!((left.processes, left.dirs), (1, 1));
        assert!(marked.wait().expect("waited").code().is_none(), "killed by a signal");
        assert!(stranger.try_wait().expect("its status").is_none(), "the stranger lives");
        assert!(other.path().exists() && !ours.exists());
        assert_eq!(list(state.path()).expect("listed"), []);
        stranger.kill().and_then(|()| stranger.wait()).expect("the stranger is ended");
    }

    #[test]
    fn a_path_without_the_runs_name_is_rejected() {
        let run = RunId::generate();
        for path in ["/etc", "relative", &format!("/x/{}/../../etc", run.name())] {
            assert!(owned(Path::new(path), &run).is_err(), "{path}");
        }
        assert!(owned(Path::new(&format!("/sys/fs/cgroup/{}/1", run.name())), &run).is_ok());
    }

    #[test]
    fn a_failed_removal_does_not_prevent_the_others() {
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
        assert!(error.contains("not removed") && !ours.exists(), "{error}");
        assert_eq!(list(state.path()).expect("listed"), [(run, RunState::Dead)], "the ledger remains");
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
