//! Traces of a run on the host, found without its ledger, and objects that do not belong to the run.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use featherweight::model::run::{NAME_PREFIX, RUN_VARIABLE, RunId};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use procfs::Current as _;
use rustix::process::Signal;

const NAMESPACES: [&str; 6] = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

/// All processes, control groups, mounts and directories on the host that belong to `run`.
pub(crate) fn traces(run: &RunId, state: &Path) -> Vec<String> {
    let name = run.name();
    let processes = processes_of(run).into_iter().map(describe);
    let groups = group_mounts().into_iter().flat_map(|top| named_below(&top, &name));
    let folders = [Path::new("/dev/shm"), Path::new("/tmp"), Path::new("/run"), state].into_iter();
    let dirs = folders.flat_map(entries).filter(|path| has_name(path, &name));
    let paths = groups.chain(dirs).map(|path| path.display().to_string());
    let mounts = lines("/proc/self/mountinfo").filter(|line| line.contains(&name));
    processes.chain(paths).chain(mounts).collect()
}

/// The namespaces of the processes of `run`, without those of this process.
pub(crate) fn namespaces(run: &RunId) -> BTreeSet<PathBuf> {
    let own: BTreeSet<_> = namespaces_of("self").collect();
    processes_of(run).into_iter().flat_map(|pid| namespaces_of(&pid.to_string())).filter(|n| !own.contains(n)).collect()
}

/// The living processes in one of `namespaces` that were started before `moment` (in ticks) or have the marker of one of
/// `runs`. Other processes do not count, since the kernel reuses the numbers of namespaces.
pub(crate) fn holders(namespaces: &BTreeSet<PathBuf>, moment: u64, runs: &[RunId]) -> Vec<String> {
    let is_inside = |&pid: &i32| namespaces_of(&pid.to_string()).any(|namespace| namespaces.contains(&namespace));
    let stat = |pid| procfs::process::Process::new(pid).and_then(|process| process.stat()).ok();
    let is_earlier = |&pid: &i32| stat(pid).is_some_and(|stat| stat.starttime < moment);
    let is_marked = |&pid: &i32| marker(pid).is_some_and(|id| runs.iter().any(|run| run.as_str() == id));
    let is_ours = |pid: &i32| is_earlier(pid) || is_marked(pid);
    processes().filter(|&pid| lives(pid)).filter(is_inside).filter(is_ours).map(describe).collect()
}

/// The time since the host's boot, in the ticks of `/proc/<pid>/stat`.
pub(crate) fn ticks() -> u64 {
    let seconds = procfs::Uptime::current().expect("/proc/uptime is readable").uptime;
    (seconds * procfs::ticks_per_second() as f64) as u64
}

/// Whether this process ignores the signal, which its child processes inherit.
pub(crate) fn ignores(signal: Signal) -> bool {
    let status = procfs::process::Process::myself().and_then(|me| me.status()).expect("its status is readable");
    status.sigign >> (signal.as_raw() - 1) & 1 == 1
}

/// The living processes of `run`.
pub(crate) fn processes_of(run: &RunId) -> Vec<i32> {
    processes().filter(|&pid| belongs(pid, run)).collect()
}

/// The processes, mounts and control groups whose command line or name contains one of `names`.
pub(crate) fn naming(names: &[String]) -> Vec<String> {
    let has_any_name = |text: &str| names.iter().any(|name| text.contains(name));
    let processes = processes().filter(|&pid| lives(pid)).map(describe).filter(|text| has_any_name(text));
    let mounts = lines("/proc/self/mountinfo").filter(|line| has_any_name(line));
    let below = |top: &PathBuf| names.iter().flat_map(|name| named_below(top, name)).collect::<Vec<_>>();
    let groups = group_mounts().iter().flat_map(below).map(|path| path.display().to_string()).collect::<Vec<_>>();
    processes.chain(mounts).chain(groups).collect()
}

/// The run's id in a process's environment.
fn marker(pid: i32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let mut variables = environment.split(|&byte| byte == 0).map(String::from_utf8_lossy);
    variables.find_map(|variable| Some(variable.strip_prefix(RUN_VARIABLE)?.strip_prefix('=')?.to_owned()))
}

/// Whether another process than this one has the run in its environment, its control group or its command line.
fn belongs(pid: i32, run: &RunId) -> bool {
    let text = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let is_marked = marker(pid).is_some_and(|id| id == run.as_str());
    let has_name = ["cgroup", "cmdline"].iter().any(|file| String::from_utf8_lossy(&text(file)).contains(&run.name()));
    pid != std::process::id() as i32 && lives(pid) && (is_marked || has_name)
}

/// Whether the process has not ended. A dead process remains in `/proc` until its parent waits for it.
fn lives(pid: i32) -> bool {
    let dead = |stat: String| [") Z ", ") X "].iter().any(|state| stat.contains(state));
    !lines(&format!("/proc/{pid}/stat")).any(dead)
}

fn describe(pid: i32) -> String {
    let command_line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    format!("process {pid}: {}", String::from_utf8_lossy(&command_line).replace('\0', " "))
}

fn namespaces_of(process: &str) -> impl Iterator<Item = PathBuf> + use<> {
    let dir = PathBuf::from(format!("/proc/{process}/ns"));
    NAMESPACES.into_iter().filter_map(move |kind| fs::read_link(dir.join(kind)).ok())
}

fn processes() -> impl Iterator<Item = i32> {
    entries(Path::new("/proc")).into_iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok())
}

/// The mount points of control groups of any version.
fn group_mounts() -> Vec<PathBuf> {
    let mounts = lines("/proc/self/mountinfo").filter(|line| line.contains(" - cgroup"));
    mounts.filter_map(|line| line.split(' ').nth(4).map(PathBuf::from)).collect()
}

fn named_below(dir: &Path, name: &str) -> Vec<PathBuf> {
    let below = entries(dir).into_iter().filter(|path| path.is_dir());
    below.flat_map(|path| if has_name(&path, name) { vec![path] } else { named_below(&path, name) }).collect()
}

fn has_name(path: &Path, name: &str) -> bool {
    path.file_name().is_some_and(|file| file.to_string_lossy().contains(name))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn lines(file: &str) -> impl Iterator<Item = String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect::<Vec<_>>().into_iter()
}

/// A process and a directory of another run, and control groups if they can be created.
#[derive(Debug)]
pub(crate) struct Stranger {
    process: Child,
    dirs: Vec<PathBuf>,
}

impl Stranger {
    pub(crate) fn new() -> Self {
        let other: RunId = "20010101-000000-0000".parse().expect("a well-formed id");
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{NAME_PREFIX}stranger-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let process = Command::new("sleep").arg("600").env(RUN_VARIABLE, other.as_str()).spawn().expect("sleep starts");
        let tops = group_mounts().into_iter().chain([PathBuf::from("/dev/shm")]);
        let dirs = tops.map(|top| top.join(&name)).filter(|dir| fs::create_dir(dir).is_ok()).collect();
        Self { process, dirs }
    }

    /// Asserts that process and directories are still there.
    pub(crate) fn assert_unharmed(&mut self) {
        assert!(self.process.try_wait().expect("its status").is_none(), "a stranger's process was ended");
        assert!(!self.dirs.is_empty() && self.dirs.iter().all(|dir| dir.is_dir()), "a stranger's folder was removed");
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.process.kill().and_then(|()| self.process.wait());
        for dir in &self.dirs {
            let _ = fs::remove_dir(dir);
        }
    }
}

/// A small file system; unmounted on drop.
#[derive(Debug)]
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Mounts a file system of `bytes` at `path`.
    pub(crate) fn mount(path: PathBuf, bytes: u64) -> Result<Self, String> {
        fs::create_dir_all(&path).map_err(|e| e.to_string())?;
        let options = format!("size={bytes}");
        mount(Some("tmpfs"), &path, Some("tmpfs"), MsFlags::empty(), Some(options.as_str()))
            .map_err(|e| format!("failed to mount a file system: {e}"))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The free space in bytes.
    pub(crate) fn free(&self) -> u64 {
        let stat = nix::sys::statvfs::statvfs(&self.0).expect("it is mounted");
        stat.blocks_available() * stat.fragment_size()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}
