//! One control group in several hierarchies: created, limited, joined, read back and removed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::hierarchy::{CgroupUnavailable, Controller, Hierarchies, Version};
use crate::host::error::failed_to;
use crate::model::cpuset::CpuSet;
use crate::model::units::Bytes;

/// How often removal is retried while a group still has processes.
const RETRY_EVERY: Duration = Duration::from_millis(1);

/// One instance's control group, in all its hierarchies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    hierarchies: Arc<Hierarchies>,
    dirs: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl Cgroup {
    pub(super) fn at(hierarchies: Arc<Hierarchies>, path: &Path) -> Self {
        let path = path.strip_prefix("/").unwrap_or(path);
        let dirs = hierarchies.list().iter().map(|hierarchy| hierarchy.mount.join(path)).collect();
        let others = hierarchies.others().iter().map(|mount| mount.join(path)).collect();
        Self { hierarchies, dirs, others }
    }

    /// Its directories, one per hierarchy.
    pub fn dirs(&self) -> &[PathBuf] {
        &self.dirs
    }

    /// Directories with the same path in other hierarchies, which a runtime may have created. This type only removes them.
    pub fn others(&self) -> &[PathBuf] {
        &self.others
    }

    /// Creates the group below its parent, which must exist. An existing directory is used as it is.
    ///
    /// # Errors
    /// Names the directory that cannot be created, or the controller that the parent cannot delegate. In version 2 only
    /// the root group can delegate while it has processes of its own ("no internal processes").
    pub fn create(&self) -> io::Result<()> {
        for (hierarchy, dir) in self.hierarchies.list().iter().zip(&self.dirs) {
            if hierarchy.version == Version::Two {
                delegate(dir.parent().unwrap_or(&hierarchy.mount), &hierarchy.controllers)?;
            }
            match fs::create_dir(dir) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(at("create", dir, e)),
                _ => {}
            }
            if hierarchy.version == Version::One && hierarchy.controllers.contains(&Controller::Cpuset) {
                inherit_cpuset(dir)?;
            }
        }
        Ok(())
    }

    /// Whether all its directories exist.
    pub fn exists(&self) -> bool {
        self.dirs.iter().all(|dir| dir.is_dir())
    }

    /// Confines its processes to `cpus`.
    ///
    /// # Errors
    /// When the kernel refuses, such as for a CPU that the parent does not have.
    pub fn set_cpus(&self, cpus: &CpuSet) -> io::Result<()> {
        let (_, dir) = self.dir_with(Controller::Cpuset)?;
        write(&dir.join("cpuset.cpus"), &cpus.to_string())
    }

    /// Limits its memory, including swap if the kernel accounts for swap.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_memory(&self, most: Bytes) -> io::Result<()> {
        let (version, dir) = self.dir_with(Controller::Memory)?;
        let (limit, swap, swap_limit) = match version {
            Version::One => ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", most.0),
            Version::Two => ("memory.max", "memory.swap.max", 0),
        };
        write(&dir.join(limit), &most.0.to_string())?;
        match write(&dir.join(swap), &swap_limit.to_string()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// Whether the kernel accounts for its swap.
    pub fn limits_swap(&self) -> bool {
        let Ok((_, dir)) = self.dir_with(Controller::Memory) else { return false };
        ["memory.memsw.limit_in_bytes", "memory.swap.max"].iter().any(|file| dir.join(file).exists())
    }

    /// Limits the number of its processes and threads.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_pids(&self, most: u32) -> io::Result<()> {
        let (_, dir) = self.dir_with(Controller::Pids)?;
        write(&dir.join("pids.max"), &most.to_string())
    }

    /// Opens the files to which a process writes `0` to join. Open them before a fork and write after it.
    ///
    /// # Errors
    /// Names the file that cannot be opened.
    pub fn open_cgroup_fds(&self) -> io::Result<Vec<OwnedFd>> {
        let open = |dir: &PathBuf| {
            let path = dir.join("cgroup.procs");
            OpenOptions::new().write(true).open(&path).map(OwnedFd::from).map_err(|e| at("open", &path, e))
        };
        self.dirs.iter().map(open).collect()
    }

    /// The CPUs it is confined to, read from the kernel.
    pub fn cpus(&self) -> Option<CpuSet> {
        let (_, dir) = self.dir_with(Controller::Cpuset).ok()?;
        let effective = ["cpuset.cpus.effective", "cpuset.effective_cpus", "cpuset.cpus"];
        effective.iter().find_map(|file| value::<CpuSet>(&dir.join(file))).filter(|cpus| !cpus.is_empty())
    }

    /// Its memory limit; `None` if it is unlimited.
    pub fn memory_limit(&self) -> Option<Bytes> {
        let (version, dir) = self.dir_with(Controller::Memory).ok()?;
        match version {
            // "No limit" is the largest multiple of the page size that fits a signed 64-bit number.
            Version::One => {
                value(&dir.join("memory.limit_in_bytes")).filter(|&most| most < i64::MAX as u64 >> 12 << 12)
            }
            Version::Two => value(&dir.join("memory.max")),
        }
        .map(Bytes)
    }

    /// Its limit of processes and threads; `None` if it is unlimited.
    pub fn pids_limit(&self) -> Option<u32> {
        let (_, dir) = self.dir_with(Controller::Pids).ok()?;
        value(&dir.join("pids.max"))
    }

    /// The memory charged to it now.
    pub fn charge(&self) -> Option<Bytes> {
        let (version, dir) = self.dir_with(Controller::Memory).ok()?;
        let file = match version {
            Version::One => "memory.usage_in_bytes",
            Version::Two => "memory.current",
        };
        value(&dir.join(file)).map(Bytes)
    }

    /// The processes in it now.
    pub fn procs(&self) -> Vec<i32> {
        let first = self.dirs.first().map(PathBuf::as_path);
        self.dir_with(Controller::Pids).map(|(_, dir)| dir).ok().or(first).map(procs_of).unwrap_or_default()
    }

    /// Kills every process in it. In version 1, a process that is being forked may survive until the next call.
    pub fn kill(&self) {
        for dir in self.dirs.iter().chain(&self.others) {
            // Version 2 kills all at once and has no such race (since Linux 5.14).
            if fs::write(dir.join("cgroup.kill"), "1").is_ok() {
                continue;
            }
            for pid in procs_of(dir).into_iter().filter_map(rustix::process::Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }

    /// Kills its processes and removes it, waiting at most `patience` for the processes to end.
    ///
    /// # Errors
    /// Names the directory that could not be removed in time.
    pub fn remove(&self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        for dir in self.dirs.iter().chain(&self.others) {
            while let Err(e) = fs::remove_dir(dir) {
                match e.kind() {
                    io::ErrorKind::NotFound => break,
                    _ if Instant::now() > deadline => return Err(at("remove cgroup", dir, e)),
                    _ => self.kill(),
                }
                thread::sleep(RETRY_EVERY);
            }
        }
        Ok(())
    }

    /// Removes each of its directories that has no process and no group in it.
    pub fn remove_if_empty(&self) {
        for dir in self.dirs.iter().chain(&self.others) {
            // Best effort: the ledger lists whatever remains.
            let _ = fs::remove_dir(dir);
        }
    }

    /// Its directory in the hierarchy that has `controller`.
    pub(super) fn dir_with(&self, controller: Controller) -> io::Result<(Version, &Path)> {
        let index = self.hierarchies.index_of(controller).ok_or_else(|| {
            let missing = CgroupUnavailable::NoController { controller, mode: self.hierarchies.mode() };
            io::Error::new(io::ErrorKind::Unsupported, missing)
        })?;
        Ok((self.hierarchies.list()[index].version, &self.dirs[index]))
    }
}

/// Version 2: lets the groups below `parent` use `controllers`.
fn delegate(parent: &Path, controllers: &[Controller]) -> io::Result<()> {
    let path = parent.join("cgroup.subtree_control");
    let present = fs::read_to_string(&path).map_err(|e| at("read", &path, e))?;
    for controller in controllers {
        if !present.split_whitespace().any(|name| name == controller.name()) {
            write(&path, &format!("+{controller}"))?;
        }
    }
    Ok(())
}

/// Version 1: copies CPUs and memory nodes from the parent. A new cpuset group has none, and no process can join it until
/// it has both.
fn inherit_cpuset(dir: &Path) -> io::Result<()> {
    let parent = dir.parent().unwrap_or(dir);
    for file in ["cpuset.cpus", "cpuset.mems"] {
        let path = dir.join(file);
        if fs::read_to_string(&path).map_err(|e| at("read", &path, e))?.trim().is_empty() {
            let inherited = parent.join(file);
            write(&path, fs::read_to_string(&inherited).map_err(|e| at("read", &inherited, e))?.trim())?;
        }
    }
    Ok(())
}

/// Writes to an existing file in one call, as the kernel requires.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file: File = OpenOptions::new().write(true).open(path).map_err(|e| at("open", path, e))?;
    file.write_all(text.as_bytes()).map_err(|e| at(&format!("write {text} to"), path, e))
}

fn at(action: &str, path: &Path, e: io::Error) -> io::Error {
    failed_to(format!("{action} {}", path.display()), e)
}

pub(super) fn value<T: FromStr>(path: &Path) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn procs_of(dir: &Path) -> Vec<i32> {
    let text = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}
