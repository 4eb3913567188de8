//! The control group hierarchies of a host, from its mount table.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Cgroup;
use crate::host::error::failed_to;
use crate::model::names::named_enum;

named_enum! {
    /// How a host mounts its control groups.
    pub enum CgroupMode ("cgroup mode") {
        /// Only version 1: each controller, or a few together, in a hierarchy of its own.
        V1 = "v1",
        /// Only version 2: one hierarchy for all controllers.
        V2 = "v2",
        /// Both: version 1 usually has the controllers.
        Hybrid = "hybrid",
        /// No control groups are mounted.
        None = "none",
    }
}

named_enum! {
    /// A resource that a control group limits or accounts for.
    pub enum Controller ("cgroup controller") {
        /// CPUs and memory nodes.
        Cpuset = "cpuset",
        /// Memory.
        Memory = "memory",
        /// Processes and threads.
        Pids = "pids",
        /// CPU time, shares.
        Cpu = "cpu",
        /// CPU time, accounting; version 1 only.
        Cpuacct = "cpuacct",
        /// Block devices; version 1.
        Blkio = "blkio",
        /// Block devices; version 2.
        Io = "io",
        /// Device nodes; version 1 only.
        Devices = "devices",
        /// Suspension; version 1 only.
        Freezer = "freezer",
        /// Huge pages.
        Hugetlb = "hugetlb",
        /// Packet marks; version 1 only.
        NetCls = "net_cls",
        /// Packet priorities; version 1 only.
        NetPrio = "net_prio",
        /// Performance counters.
        PerfEvent = "perf_event",
    }
}

impl Controller {
    /// The controllers that an instance's limits need.
    pub const LIMITS: &'static [Controller] = &[Controller::Cpuset, Controller::Memory, Controller::Pids];
}

/// Why groups with limits or quotas cannot be created here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CgroupUnavailable {
    /// No mounted hierarchy has the controller.
    #[error("no cgroup hierarchy has the controller {controller} (mode {mode})")]
    NoController {
        /// The missing controller.
        controller: Controller,
        /// How the host mounts its control groups.
        mode: CgroupMode,
    },
    /// This user may not create groups there.
    #[error("{}: cgroup hierarchy is not writable: {reason}", mount.display())]
    NotWritable {
        /// Where the hierarchy is mounted.
        mount: PathBuf,
        /// The kernel's reason.
        reason: rustix::io::Errno,
    },
    /// The top of the hierarchy has processes, so that groups below it cannot get the controller.
    #[error("{}: cannot delegate the controller {controller} because the group has processes of its own", mount.display())]
    CannotDelegate {
        /// Where the hierarchy is mounted.
        mount: PathBuf,
        /// The controller that cannot be delegated.
        controller: Controller,
    },
    /// The kernel is built without quotas.
    #[error("the kernel has no CPU quotas (CONFIG_CFS_BANDWIDTH)")]
    NoQuotas,
}

/// The version of a hierarchy's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Version 1.
    One,
    /// Version 2.
    Two,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The version of its interface.
    pub version: Version,
    /// Its controllers, without those of an earlier hierarchy.
    pub controllers: Vec<Controller>,
}

impl Hierarchy {
    /// Whether groups directly below the mount point can have `controller`. In version 2 a group with processes of its own
    /// cannot delegate a controller. The root group can; it is the only one without the file `cgroup.type`
    /// (`cgroup-v2.rst`, "No Internal Process Constraint").
    pub(super) fn can_delegate(&self, controller: Controller) -> bool {
        let text = |file: &str| fs::read_to_string(self.mount.join(file)).unwrap_or_default();
        self.version == Version::One
            || !self.mount.join("cgroup.type").exists()
            || text("cgroup.subtree_control").split_whitespace().any(|name| name == controller.name())
            || text("cgroup.procs").trim().is_empty()
    }
}

/// The hierarchies of a host, or some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchies {
    mode: CgroupMode,
    list: Vec<Hierarchy>,
    others: Vec<PathBuf>,
}

impl Hierarchies {
    /// Reads `proc/self/mountinfo` under `root` (`/` in production).
    ///
    /// # Errors
    /// When the mount table cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let table = root.join("proc/self/mountinfo");
        let text = fs::read_to_string(&table).map_err(|e| failed_to(format!("read {}", table.display()), e))?;
        let (mut list, mut others, mut versions) = (Vec::new(), Vec::new(), Vec::new());
        for (version, mount, options) in text.lines().filter_map(parse_mount) {
            let mount = root.join(mount.strip_prefix("/").unwrap_or(&mount));
            let names = match version {
                Version::One => options.to_owned(),
                Version::Two => fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default(),
            };
            versions.push(version);
            let before = list.len();
            push(&mut list, version, mount.clone(), &names);
            others.extend((list.len() == before).then_some(mount));
        }
        let mode = match (versions.contains(&Version::One), versions.contains(&Version::Two)) {
            (true, true) => CgroupMode::Hybrid,
            (true, false) => CgroupMode::V1,
            (false, true) => CgroupMode::V2,
            (false, false) => CgroupMode::None,
        };
        Ok(Self { mode, list, others })
    }

    /// How the host mounts its control groups.
    pub fn mode(&self) -> CgroupMode {
        self.mode
    }

    /// The hierarchies that have a controller.
    pub fn list(&self) -> &[Hierarchy] {
        &self.list
    }

    /// The hierarchies that have any of `controllers`, without their other controllers.
    pub fn only(&self, controllers: &[Controller]) -> Self {
        let kept = controllers;
        let list = self.list.iter().filter_map(|hierarchy| {
            let controllers: Vec<_> = hierarchy.controllers.iter().copied().filter(|c| kept.contains(c)).collect();
            (!controllers.is_empty()).then(|| Hierarchy { controllers, ..hierarchy.clone() })
        });
        Self { mode: self.mode, list: list.collect(), others: Vec::new() }
    }

    /// The mount points of all other hierarchies in which a program may create groups, such as systemd's own.
    pub fn others(&self) -> &[PathBuf] {
        &self.others
    }

    /// The hierarchies that OCI runtimes use: those of version 1, or of version 2 if the host has only that.
    pub fn of_runtimes(&self) -> Self {
        let version = if self.mode == CgroupMode::V2 { Version::Two } else { Version::One };
        let list = self.list.iter().filter(|h| h.version == version).cloned().collect();
        Self { mode: self.mode, list, others: Vec::new() }
    }

    /// The same, with the remaining hierarchies as [`Hierarchies::others`]: `runc` creates a group in every mounted one.
    pub fn of_programs(&self) -> Self {
        let runtimes = self.of_runtimes();
        let rest = self.list.iter().map(|h| &h.mount).filter(|&mount| runtimes.list.iter().all(|h| h.mount != *mount));
        let others = rest.chain(&self.others).cloned().collect();
        Self { others, ..runtimes }
    }

    /// Checks that this user can create groups with limits at the top of these hierarchies.
    ///
    /// # Errors
    /// Names the missing controller, or the directory that is not writable.
    pub fn check_limits(&self) -> Result<(), CgroupUnavailable> {
        for &controller in Controller::LIMITS {
            let hierarchy = self.with(controller)?;
            let mount = || hierarchy.mount.clone();
            rustix::fs::access(&hierarchy.mount, rustix::fs::Access::WRITE_OK)
                .map_err(|reason| CgroupUnavailable::NotWritable { mount: mount(), reason })?;
            if !hierarchy.can_delegate(controller) {
                return Err(CgroupUnavailable::CannotDelegate { mount: mount(), controller });
            }
        }
        Ok(())
    }

    /// The group with that path below the top of every hierarchy. Creates nothing.
    pub fn group(self: &Arc<Self>, path: &Path) -> Cgroup {
        Cgroup::at(Arc::clone(self), path)
    }

    /// The hierarchy that has `controller`.
    pub(super) fn with(&self, controller: Controller) -> Result<&Hierarchy, CgroupUnavailable> {
        let missing = CgroupUnavailable::NoController { controller, mode: self.mode };
        self.index_of(controller).map(|index| &self.list[index]).ok_or(missing)
    }

    /// The index in [`Hierarchies::list`] of the hierarchy that has `controller`.
    pub(super) fn index_of(&self, controller: Controller) -> Option<usize> {
        self.list.iter().position(|hierarchy| hierarchy.controllers.contains(&controller))
    }
}

/// Adds a hierarchy with the controllers in `names` (separated by commas or spaces) that no earlier one has.
fn push(list: &mut Vec<Hierarchy>, version: Version, mount: PathBuf, names: &str) {
    let controllers: Vec<Controller> = names
        .split([',', ' ', '\n'])
        .filter_map(|name| name.parse().ok())
        .filter(|controller| !list.iter().any(|h| h.controllers.contains(controller)))
        .collect();
    if !controllers.is_empty() {
        list.push(Hierarchy { mount, version, controllers });
    }
}

/// Parses a line of `mountinfo` (`proc_pid_mountinfo(5)`) into version, mount point and super block options; `None` if it
/// mounts no control groups.
fn parse_mount(line: &str) -> Option<(Version, PathBuf, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let version = match after.next()? {
        "cgroup" => Version::One,
        "cgroup2" => Version::Two,
        _ => return None,
    };
    let mount = before.split(' ').nth(4)?;
    // The kernel writes white space in paths as octal escapes.
    let mount = mount.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\");
    Some((version, PathBuf::from(mount), after.nth(1)?))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const V1: &str = "\
24 1 0:5 / /proc rw - proc proc rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
36 31 0:33 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
";
    const V2: &str = "26 25 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
    const UNIFIED: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";

    /// A fake root with this mount table and these controllers in version 2.
    fn host(table: &str, v2: &str) -> tempfile::TempDir {
        let root = tempfile::tempdir().expect("a temporary folder");
        let unified = if table.contains("/unified") { "sys/fs/cgroup/unified" } else { "sys/fs/cgroup" };
        for dir in ["proc/self", unified] {
            fs::create_dir_all(root.path().join(dir)).expect("a folder is made");
        }
        fs::write(root.path().join("proc/self/mountinfo"), table).expect("written");
        fs::write(root.path().join(unified).join("cgroup.controllers"), v2).expect("written");
        root
    }

    #[rstest]
    #[case::v1(V1, "", CgroupMode::V1, 4)]
    #[case::v2(V2, "cpuset cpu io memory hugetlb pids rdma\n", CgroupMode::V2, 1)]
    #[case::hybrid(&format!("{V1}{UNIFIED}"), "hugetlb\n", CgroupMode::Hybrid, 5)]
    #[case::hybrid_without_controllers(&format!("{V1}{UNIFIED}"), "\n", CgroupMode::Hybrid, 4)]
    #[case::none("24 1 0:5 / /proc rw - proc proc rw\n", "", CgroupMode::None, 0)]
    fn the_mount_table_determines_the_mode(
        #[case] table: &str,
        #[case] v2: &str,
        #[case] mode: CgroupMode,
        #[case] count: usize,
    ) {
        let root = host(table, v2);
        let found = Hierarchies::read(root.path()).expect("read");
        assert_eq!((found.mode(), found.list().len()), (mode, count));
        let mounted = table.lines().filter(|line| line.contains("cgroup")).count();
        assert_eq!(found.list().len() + found.others().len(), mounted, "none is forgotten");
    }

    #[test]
    fn a_controller_of_both_versions_belongs_to_the_first_hierarchy() {
        let root = host(&format!("{V1}{UNIFIED}"), "hugetlb memory\n");
        let found = Hierarchies::read(root.path()).expect("read");
        let last = found.list().last().expect("the unified one");
        assert_eq!((last.version, last.controllers.as_slice()), (Version::Two, &[Controller::Hugetlb][..]));
        assert!(found.of_runtimes().list().iter().all(|h| h.version == Version::One));
        let others = found.of_programs().others;
        assert!(others.iter().any(|m| m.ends_with("unified")) && others.iter().any(|m| m.ends_with("systemd")));
    }

    #[test]
    fn only_the_given_controllers_are_kept() {
        let root = host(V1, "");
        let found = Hierarchies::read(root.path()).expect("read").only(&[Controller::Cpuacct, Controller::Pids]);
        let kept: Vec<_> = found.list().iter().flat_map(|h| h.controllers.clone()).collect();
        assert_eq!(kept, [Controller::Cpuacct, Controller::Pids]);
    }

    #[test]
    fn a_missing_controller_is_named() {
        let root = host(V2, "memory pids\n");
        let error = Hierarchies::read(root.path()).expect("read").check_limits().expect_err("no cpuset");
        assert_eq!(error, CgroupUnavailable::NoController { controller: Controller::Cpuset, mode: CgroupMode::V2 });
    }

    #[test]
    fn a_mount_point_with_a_space_is_parsed() {
        let line = r"35 31 0:32 / /a\040b rw - cgroup cgroup rw,cpuset";
        assert_eq!(parse_mount(line), Some((Version::One, PathBuf::from("/a b"), "rw,cpuset")));
    }
}
