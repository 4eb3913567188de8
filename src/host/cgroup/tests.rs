//! Groups on fake trees of every mode, and on this host if its user may create groups.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;

use super::{Cgroup, CgroupMode, Controller, Hierarchies, Version};
use crate::model::cpuset::CpuSet;
use crate::model::run::RunId;
use crate::model::units::Bytes;

const V1: &str = "\
35 31 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
";
const V2: &str = "26 25 0:23 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
const HYBRID: &str = "\
35 31 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset
39 31 0:36 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
";

/// A host with a mount table, whose groups `a` and `a/b` have empty copies of the kernel's files.
struct FakeHost {
    root: tempfile::TempDir,
    hierarchies: Arc<Hierarchies>,
}

impl FakeHost {
    fn new(table: &str) -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        let tops: Vec<_> = table.lines().filter_map(|line| line.split(' ').nth(4)).collect();
        for top in tops {
            let files: &[&str] = match top.rsplit('/').next() {
                Some("cpuset") => &["cpuset.cpus", "cpuset.mems"],
                Some("memory") => &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.usage_in_bytes"],
                Some("pids") => &["pids.max"],
                _ => &[
                    "cpuset.cpus",
                    "cpuset.cpus.effective",
                    "memory.max",
                    "memory.swap.max",
                    "memory.current",
                    "pids.max",
                    "cgroup.subtree_control",
                    "cgroup.controllers",
                ],
            };
            for group in ["", "a", "a/b"] {
                let dir = root.path().join(&top[1..]).join(group);
                fs::create_dir_all(&dir).expect("a folder is made");
                files.iter().chain(&["cgroup.procs"]).for_each(|file| fs::write(dir.join(file), "").expect("written"));
            }
            let controllers = if table == V2 { "cpuset cpu memory pids" } else { "memory" };
            let _ = fs::metadata(root.path().join(&top[1..]).join("cgroup.controllers"))
                .and_then(|_| fs::write(root.path().join(&top[1..]).join("cgroup.controllers"), controllers));
        }
        fs::create_dir_all(root.path().join("proc/self")).expect("a folder is made");
        fs::write(root.path().join("proc/self/mountinfo"), table).expect("written");
        let hierarchies = Hierarchies::read(root.path()).expect("read").only(Controller::LIMITS);
        Self { root, hierarchies: Arc::new(hierarchies) }
    }

    fn group(&self) -> Cgroup {
        self.hierarchies.group(Path::new("/a/b"))
    }

    fn path(&self, file: &str) -> PathBuf {
        self.root.path().join("sys/fs/cgroup").join(file)
    }

    fn text(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).expect("a file of the group")
    }
}

#[rstest]
#[case::v1(V1, CgroupMode::V1, 3)]
#[case::v2(V2, CgroupMode::V2, 1)]
#[case::hybrid(HYBRID, CgroupMode::Hybrid, 3)]
fn limits_are_written_and_read_back_in_every_mode(#[case] table: &str, #[case] mode: CgroupMode, #[case] dirs: usize) {
    let host = FakeHost::new(table);
    for file in ["cpuset/cpuset.cpus", "cpuset/cpuset.mems"].iter().filter(|file| host.path(file).exists()) {
        fs::write(host.path(file), "0-3\n").expect("written");
    }
    host.hierarchies.group(Path::new("a")).create().expect("the parent is made");
    let group = host.group();
    group.create().expect("made");
    group.set_cpus(&CpuSet::from_iter([1, 2])).expect("set");
    group.set_memory(Bytes(1 << 20)).expect("set");
    group.set_pids(7).expect("set");

    assert_eq!((host.hierarchies.mode(), group.dirs().len()), (mode, dirs));
    assert_eq!((group.memory_limit(), group.pids_limit()), (Some(Bytes(1 << 20)), Some(7)));
    assert!(group.limits_swap());
}

#[test]
fn swap_is_limited_in_the_terms_of_each_version() {
    let (one, two) = (FakeHost::new(V1), FakeHost::new(V2));
    one.group().set_memory(Bytes(4096)).expect("set");
    two.group().set_memory(Bytes(4096)).expect("set");
    assert_eq!(one.text("memory/a/b/memory.memsw.limit_in_bytes"), "4096", "memory and swap together");
    assert_eq!(two.text("a/b/memory.swap.max"), "0", "swap alone");
}

#[test]
fn a_kernel_without_swap_accounting_still_limits_memory() {
    let host = FakeHost::new(V1);
    fs::remove_file(host.path("memory/a/b/memory.memsw.limit_in_bytes")).expect("removed");
    host.group().set_memory(Bytes(4096)).expect("set");
    assert!(!host.group().limits_swap());
    assert_eq!(host.group().memory_limit(), Some(Bytes(4096)));
}

#[test]
fn version_two_delegates_only_missing_controllers() {
    let host = FakeHost::new(V2);
    fs::write(host.path("a/cgroup.subtree_control"), "cpuset pids").expect("written");
    host.group().create().expect("made");
    // Each write overwrites a fake file from its start; the kernel's file accumulates them.
    assert!(host.text("a/cgroup.subtree_control").starts_with("+memory"));
}

#[test]
fn version_one_gives_a_new_group_its_parents_cpus() {
    let host = FakeHost::new(V1);
    fs::write(host.path("cpuset/a/cpuset.cpus"), "0-1\n").expect("written");
    fs::write(host.path("cpuset/a/cpuset.mems"), "0\n").expect("written");
    host.group().create().expect("made");
    assert_eq!(host.group().cpus(), Some(CpuSet::from_iter([0, 1])));
    assert_eq!(host.text("cpuset/a/b/cpuset.mems"), "0");
}

#[rstest]
#[case::unlimited_one(V1, "memory/a/b/memory.limit_in_bytes", "9223372036854771712\n", None)]
#[case::unlimited_two(V2, "a/b/memory.max", "max\n", None)]
#[case::torn(V2, "a/b/memory.max", "12x", None)]
#[case::limited(V2, "a/b/memory.max", "8192\n", Some(Bytes(8192)))]
fn an_unlimited_group_has_no_limit(
    #[case] table: &str,
    #[case] file: &str,
    #[case] text: &str,
    #[case] limit: Option<Bytes>,
) {
    let host = FakeHost::new(table);
    fs::write(host.path(file), text).expect("written");
    assert_eq!(host.group().memory_limit(), limit);
}

#[rstest]
#[case::one(V1, "memory/a/b/memory.usage_in_bytes")]
#[case::two(V2, "a/b/memory.current")]
fn an_unreadable_charge_is_missing(#[case] table: &str, #[case] file: &str) {
    let host = FakeHost::new(table);
    fs::write(host.path(file), "12288\n").expect("written");
    assert_eq!(host.group().charge(), Some(Bytes(12288)));
    fs::remove_file(host.path(file)).expect("removed");
    assert_eq!(host.group().charge(), None);
}

#[test]
fn version_two_below_a_group_with_processes_is_refused_with_the_reason() {
    let host = FakeHost::new(V2);
    // Only the root group has no type (cgroup-v2, "no internal process constraint").
    fs::write(host.path("cgroup.type"), "domain\n").expect("written");
    fs::write(host.path("cgroup.procs"), "1\n").expect("written");
    let error = host.hierarchies.check_limits().expect_err("nothing can be delegated").to_string();
    assert!(error.contains("processes of its own"), "{error}");
    fs::write(host.path("cgroup.subtree_control"), "cpuset memory pids\n").expect("written");
    assert_eq!(host.hierarchies.check_limits(), Ok(()));
}

/// A parent and a group on this host, in the hierarchies of `version`. Prints the reason and returns `None` if they cannot
/// be created.
fn real(version: Version) -> Option<(Cgroup, Cgroup)> {
    let mut all = Hierarchies::read(Path::new("/")).expect("the mount table");
    let controllers: Vec<_> =
        all.list().iter().filter(|h| h.version == version).flat_map(|h| h.controllers.clone()).collect();
    all = all.only(&controllers);
    let run = RunId::generate().name();
    let all = Arc::new(all);
    let (parent, group) = (all.group(Path::new(&run)), all.group(&Path::new(&run).join(format!("{run}-0"))));
    match parent.create().and_then(|()| group.create()) {
        Ok(()) if !group.dirs().is_empty() => Some((parent, group)),
        outcome => {
            eprintln!("no real group in version {version:?}: {outcome:?}");
            group.remove_if_empty();
            parent.remove_if_empty();
            None
        }
    }
}

/// A process that joined `group` between fork and exec.
fn member(group: &Cgroup) -> Child {
    let cgroup_fds = group.open_cgroup_fds().expect("opened");
    let numbers: Vec<_> = cgroup_fds.iter().map(AsRawFd::as_raw_fd).collect();
    let mut command = Command::new("sleep");
    command.arg("60");
    let join = move || {
        for &fd in &numbers {
            // SAFETY: the descriptors are open in the child, which has a copy of the parent's table.
            let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
            rustix::io::write(fd, b"0")?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only write(2) is called.
    unsafe { command.pre_exec(join) };
    command.spawn().expect("it joins and starts")
}

#[rstest]
#[case::one(Version::One)]
#[case::two(Version::Two)]
fn a_member_is_listed_and_removal_ends_it(#[case] version: Version) {
    let Some((parent, group)) = real(version) else { return };
    let mut child = member(&group);
    let listed = group.procs();
    parent.remove_if_empty();
    let stayed = parent.exists();
    let removed = group.remove(Duration::from_secs(10));
    let status = child.wait().expect("waited");
    parent.remove_if_empty();

    assert_eq!(listed, [child.id() as i32]);
    assert!(stayed, "a parent with a group in it stays");
    removed.expect("removed");
    assert_eq!(status.signal(), Some(9));
    assert!(!group.exists() && !parent.exists());
}
