//! The host as a contract sees it: processes, control groups, mounts.

use std::fs;
use std::path::{Path, PathBuf};

use featherweight::host::cgroup::Hierarchies;
use featherweight::model::run::{RUN_VARIABLE, RunId};

/// A field of `/proc/<pid>/status`.
pub(crate) fn status(pid: i32, field: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// The session of a process in this PID namespace: 0 if its leader is outside.
pub(crate) fn session(pid: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("its state");
    let after_the_name = stat.rsplit_once(')').expect("a name in brackets").1;
    after_the_name.split_whitespace().nth(3).expect("a session").parse().expect("a number")
}

/// Whether the process exists and has not ended.
pub(crate) fn lives(pid: i32) -> bool {
    status(pid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// The other living processes with the run's marker in their environment.
pub(crate) fn marked(run: &RunId) -> Vec<i32> {
    let marker = format!("{RUN_VARIABLE}={run}");
    let pids = fs::read_dir("/proc").expect("/proc is readable").filter_map(|entry| {
        let pid = entry.ok()?.file_name().to_str()?.parse::<i32>().ok()?;
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        (lives(pid) && environment.split(|&b| b == 0).any(|variable| variable == marker.as_bytes())).then_some(pid)
    });
    pids.collect()
}

/// Kills a process and waits until it has ended.
pub(crate) fn kill(pid: i32) {
    let handle = rustix::process::Pid::from_raw(pid).expect("a process number");
    rustix::process::kill_process(handle, rustix::process::Signal::KILL).expect("killed");
    while lives(pid) {
        std::thread::yield_now();
    }
}

/// The control groups, mounts and in-memory directories that have `name` in their path.
pub(crate) fn traces(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let hierarchies = Hierarchies::read(Path::new("/")).expect("the mount table is readable");
    let mounts = hierarchies.list().iter().map(|h| &h.mount).chain(hierarchies.others()).cloned();
    for top in mounts.chain([PathBuf::from("/dev/shm")]) {
        let entries = fs::read_dir(&top).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
        found.extend(entries.filter(|path| path.to_string_lossy().contains(name)));
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("the mount table is readable");
    found.extend(mounts.lines().filter(|line| line.contains(name)).map(PathBuf::from));
    found
}
