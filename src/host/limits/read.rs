//! Reads the limits from `/proc` and from the harness's own control groups.

use std::fs;
use std::path::{Path, PathBuf};

use super::Limits;
use crate::host::tree;
use crate::model::units::Bytes;

impl Limits {
    /// Reads the limits of the calling process under `root` (`/` in production).
    pub fn read(root: &Path) -> Self {
        let sysctl = |name: &str| tree::known(&root.join("proc/sys").join(name));
        let neighbors = |n: u32| sysctl(&format!("net/ipv4/neigh/default/gc_thresh{n}"));
        let text = |path: &str| tree::line(&root.join(path)).unwrap_or_default();
        let limits = text("proc/self/limits");
        let groups = Groups::parse(root, &text("proc/self/cgroup"));
        let is_root = tree::field(&text("proc/self/status"), "Uid", ':').and_then(|ids| ids.split_whitespace().nth(1))
            == Some("0");
        Self {
            pid_max: sysctl("kernel/pid_max"),
            threads_max: sysctl("kernel/threads-max"),
            threads: threads(&text("proc/loadavg")),
            cgroup_pids_left: groups.pids_left(),
            cgroup_memory_left: groups.memory_left(),
            user_processes: rlimit(&limits, "Max processes").filter(|_| !is_root).and_then(|(soft, _)| soft),
            open_files: rlimit(&limits, "Max open files").and_then(|(soft, _)| soft),
            open_files_hard: rlimit(&limits, "Max open files").and_then(|(_, hard)| hard),
            host_files: sysctl("fs/file-max"),
            host_files_open: text("proc/sys/fs/file-nr").split_whitespace().next().and_then(|n| n.parse().ok()),
            inotify_instances: sysctl("fs/inotify/max_user_instances"),
            inotify_watches: sysctl("fs/inotify/max_user_watches"),
            neighbors_kept: neighbors(1),
            neighbors_soft: neighbors(2),
            neighbors_hard: neighbors(3),
            neighbors: tree::line(&root.join("proc/net/arp")).map(|t| t.lines().count().saturating_sub(1) as u64),
            memory_available: tree::kib_field(&text("proc/meminfo"), "MemAvailable"),
        }
    }
}

/// The threads of the host: the number after the slash in the fourth field (`proc_loadavg(5)`).
fn threads(loadavg: &str) -> Option<u64> {
    loadavg.split_whitespace().nth(3)?.split_once('/')?.1.parse().ok()
}

/// The soft and the hard limit called `name`; `None` for `unlimited`.
fn rlimit(limits: &str, name: &str) -> Option<(Option<u64>, Option<u64>)> {
    let mut values = limits.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace();
    let mut next = || values.next().map(|v| v.parse().ok());
    Some((next()?, next()?))
}

/// The control groups of the harness with their ancestors. The tightest limit among them applies.
struct Groups {
    pids: Vec<PathBuf>,
    memory: Vec<PathBuf>,
}

impl Groups {
    /// Parses `/proc/self/cgroup` (`cgroups(7)`): a line of version 1 lists controllers, one of version 2 does not.
    /// Hierarchies are expected at the usual mount points; others are ignored.
    fn parse(root: &Path, cgroup: &str) -> Self {
        let mounts = root.join("sys/fs/cgroup");
        let mut groups = Self { pids: Vec::new(), memory: Vec::new() };
        for line in cgroup.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            let chain = |mount: &str| ancestors(&mounts.join(mount), path);
            match controllers {
                "" => ["", "unified"].into_iter().map(chain).for_each(|dirs| groups.add(&dirs)),
                "pids" => groups.pids.extend(chain("pids")),
                "memory" => groups.memory.extend(chain("memory")),
                _ => {}
            }
        }
        groups
    }

    fn add(&mut self, dirs: &[PathBuf]) {
        self.pids.extend_from_slice(dirs);
        self.memory.extend_from_slice(dirs);
    }

    fn pids_left(&self) -> Option<u64> {
        self.pids.iter().filter_map(|d| left(d, "pids.max", "pids.current")).min()
    }

    fn memory_left(&self) -> Option<Bytes> {
        let v2 = self.memory.iter().filter_map(|d| left(d, "memory.max", "memory.current"));
        let v1 = self.memory.iter().filter_map(|d| left(d, "memory.limit_in_bytes", "memory.usage_in_bytes"));
        v2.chain(v1).min().map(Bytes)
    }
}

fn ancestors(mount: &Path, path: &str) -> Vec<PathBuf> {
    let own = mount.join(path.trim_start_matches('/'));
    own.ancestors().take_while(|dir| dir.starts_with(mount)).map(Path::to_owned).collect()
}

/// The amount that a group still allows; `None` without a limit, which is `max`, or a huge number in version 1.
fn left(dir: &Path, max: &str, current: &str) -> Option<u64> {
    let max: u64 = fs::read_to_string(dir.join(max)).ok()?.trim().parse().ok()?;
    let current = tree::known(&dir.join(current)).unwrap_or(0);
    Some(max).filter(|&max| max < i64::MAX as u64 / 2).map(|max| max.saturating_sub(current))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::fixture::Host;

    #[test]
    fn the_limits_of_a_host_are_read() {
        let limits = Limits::read(Host::materialize("vm-2x1").root());
        assert_eq!((limits.pid_max, limits.threads, limits.neighbors), (Some(32768), Some(87), Some(1)));
        assert_eq!((limits.open_files, limits.open_files_hard), (Some(1024), Some(20000)));
        assert_eq!((limits.host_files_open, limits.neighbors_hard), (Some(451), Some(1024)));
        assert_eq!(limits.user_processes, None, "the limit does not apply to root");
        assert_eq!((limits.cgroup_pids_left, limits.cgroup_memory_left), (None, None));
    }

    #[test]
    fn the_tightest_limit_of_all_ancestors_applies() {
        let host = Host::materialize("vm-2x1");
        host.write("sys/fs/cgroup/pids/jobs/bench/pids.max", "max\n");
        host.write("sys/fs/cgroup/pids/jobs/pids.max", "500\n");
        host.write("sys/fs/cgroup/pids/jobs/pids.current", "120\n");
        host.write("sys/fs/cgroup/memory/jobs/memory.limit_in_bytes", "1000\n");
        host.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        host.write("sys/fs/cgroup/unified/memory.max", "900\n");
        let limits = Limits::read(host.root());
        assert_eq!((limits.cgroup_pids_left, limits.cgroup_memory_left), (Some(380), Some(Bytes(900))));
    }

    #[test]
    fn limits_apply_to_an_ordinary_user_and_unlimited_has_no_number() {
        let host = Host::materialize("vm-2x1");
        host.write("proc/self/status", "Uid:\t1000\t1000\t1000\t1000\n");
        host.write("proc/self/limits", "Max processes             77      unlimited      processes\n");
        let limits = Limits::read(host.root());
        assert_eq!((limits.user_processes, limits.open_files), (Some(77), None));
        assert_eq!(rlimit("Max open files  unlimited  unlimited files", "Max open files"), Some((None, None)));
    }
}
