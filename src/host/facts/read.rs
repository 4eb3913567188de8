//! Reads the facts from `/proc`, `/sys` and `/etc`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::HostFacts;
use crate::host::Topology;
use crate::host::cgroup::{CgroupMode, Hierarchies};
use crate::host::tree;

impl HostFacts {
    /// Reads the facts from the files under `root` (`/` in production). Runs no program.
    pub fn read(root: &Path) -> Self {
        let sys = root.join("sys");
        let kernel = root.join("proc/sys/kernel");
        let mut facts = Self {
            architecture: Some(std::env::consts::ARCH.to_owned()),
            governors: governors(&sys),
            turbo: turbo(&sys),
            isolated_cpus: tree::line(&sys.join("devices/system/cpu/isolated")),
            mitigations: mitigations(&sys),
            kernel: tree::line(&kernel.join("osrelease")),
            os: tree::line(&root.join("etc/os-release")).and_then(|t| os(&t)),
            cgroup: cgroup_mode(root),
            machine: machine(&sys.join("class/dmi/id")),
            transparent_hugepages: hugepages(&sys),
            aslr: tree::known(&kernel.join("randomize_va_space")),
            clock_source: tree::line(&sys.join("devices/system/clocksource/clocksource0/current_clocksource")),
            effective_uid: tree::line(&root.join("proc/self/status")).and_then(|t| effective_uid(&t)),
            ..Self::default()
        };
        facts.read_cpu(&tree::line(&root.join("proc/cpuinfo")).unwrap_or_default());
        facts.read_memory(&tree::line(&root.join("proc/meminfo")).unwrap_or_default());
        facts.read_topology(&sys);
        facts
    }

    fn read_cpu(&mut self, cpuinfo: &str) {
        let text = |key| tree::field(cpuinfo, key, ':').filter(|v| !v.is_empty()).map(str::to_owned);
        self.cpu_vendor = text("vendor_id").or_else(|| text("CPU implementer"));
        self.cpu_model = text("model name").or_else(|| text("CPU part"));
        self.microcode = text("microcode");
        // Only x86 has this flag, in a list called `flags`.
        self.virtualized = text("flags").map(|f| f.split_whitespace().any(|flag| flag == "hypervisor"));
    }

    fn read_memory(&mut self, meminfo: &str) {
        self.memory = tree::kib_field(meminfo, "MemTotal");
        self.swap = tree::kib_field(meminfo, "SwapTotal");
    }

    fn read_topology(&mut self, sys: &Path) {
        let Ok(topology) = Topology::read(sys, &Default::default()) else { return };
        self.logical_cpus = Some(topology.online().len());
        self.sockets = Some(topology.sockets.len());
        self.cores = Some(topology.cores().count());
        self.smt = Some(topology.is_smt());
    }
}

/// The governor of every frequency policy.
fn governors(sys: &Path) -> BTreeSet<String> {
    entries(&sys.join("devices/system/cpu/cpufreq"))
        .into_iter()
        .filter_map(|policy| tree::line(&policy.join("scaling_governor")))
        .collect()
}

/// Intel's driver has a file that is 1 if turbo is off; other drivers have one that is 1 if boost is on.
fn turbo(sys: &Path) -> Option<bool> {
    let cpu = sys.join("devices/system/cpu");
    let off = tree::known::<u8>(&cpu.join("intel_pstate/no_turbo")).map(|off| off == 0);
    off.or_else(|| tree::known::<u8>(&cpu.join("cpufreq/boost")).map(|on| on == 1))
}

fn mitigations(sys: &Path) -> BTreeMap<String, String> {
    let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
    entries(&sys.join("devices/system/cpu/vulnerabilities"))
        .into_iter()
        .filter_map(|path| Some((name(&path)?, tree::line(&path)?)))
        .collect()
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).into_iter().flatten().filter_map(|e| Some(e.ok()?.path())).collect()
}

fn os(os_release: &str) -> Option<String> {
    let name = tree::field(os_release, "PRETTY_NAME", '=').or_else(|| tree::field(os_release, "NAME", '='))?;
    Some(name.trim_matches('"').to_owned())
}

/// How the host mounts its control groups; `None` if it has none or the mount table cannot be read.
fn cgroup_mode(root: &Path) -> Option<String> {
    let mode = Hierarchies::read(root).ok()?.mode();
    (mode != CgroupMode::None).then(|| mode.to_string())
}

fn machine(dmi: &Path) -> Option<String> {
    let parts: Vec<String> = ["sys_vendor", "product_name"].iter().filter_map(|n| tree::line(&dmi.join(n))).collect();
    Some(parts.join(" ")).filter(|m| !m.is_empty())
}

/// The file has the current choice in brackets: `always [madvise] never`.
fn hugepages(sys: &Path) -> Option<String> {
    let text = tree::line(&sys.join("kernel/mm/transparent_hugepage/enabled"))?;
    Some(text.split_once('[')?.1.split_once(']')?.0.to_owned())
}

/// The second of the four ids of `Uid:` (`proc_pid_status(5)`).
fn effective_uid(status: &str) -> Option<u32> {
    tree::field(status, "Uid", ':')?.split_whitespace().nth(1)?.parse().ok()
}

/// The revision that is checked out in `project`. Reads git's files, so that git need not be installed.
///
/// `.git` is a folder or, in a linked worktree, a file that names one (`gitrepository-layout(5)`).
pub(super) fn revision(project: &Path) -> Option<String> {
    let git = project.join(".git");
    let dir = match tree::line(&git) {
        Some(link) => project.join(link.strip_prefix("gitdir:")?.trim()),
        None => git,
    };
    let head = tree::line(&dir.join("HEAD"))?;
    let Some(name) = head.strip_prefix("ref:").map(str::trim) else { return hash(&head) };
    let common = tree::line(&dir.join("commondir")).map_or_else(|| dir.clone(), |c| dir.join(c));
    let loose = [&dir, &common].into_iter().find_map(|d| tree::line(&d.join(name)));
    loose.or_else(|| packed(&tree::line(&common.join("packed-refs"))?, name)).and_then(|h| hash(&h))
}

fn packed(refs: &str, name: &str) -> Option<String> {
    refs.lines().filter_map(|l| l.split_once(' ')).find(|(_, n)| *n == name).map(|(hash, _)| hash.to_owned())
}

/// A hash of 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
fn hash(text: &str) -> Option<String> {
    let is_hash = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::host::fixture::Host;
    use crate::model::units::Bytes;

    #[test]
    fn a_server_has_all_facts() {
        let facts = HostFacts::read(Host::materialize("server-2x26x2").root());
        insta::assert_json_snapshot!(facts, { ".architecture" => "[arch]" }, @r#"
    {
      "architecture": "[arch]",
      "cpu_model": "Intel(R) Xeon(R) Gold 6230R CPU @ 2.10GHz",
      "cpu_vendor": "GenuineIntel",
      "microcode": "0x5003604",
      "logical_cpus": 104,
      "sockets": 2,
      "cores": 52,
      "smt": true,
      "governors": [
        "performance"
      ],
      "turbo": true,
      "isolated_cpus": null,
      "mitigations": {},
      "kernel": "6.8.0-45-generic",
      "os": "Ubuntu 24.04.1 LTS",
      "memory": 405470707712,
      "swap": 8589930496,
      "cgroup": "v2",
      "virtualised": false,
      "machine": "Dell Inc. PowerEdge R740",
      "transparent_hugepages": "madvise",
      "aslr": 2,
      "clock_source": "tsc",
      "effective_uid": 1000,
      "tools": {},
      "revision": null
    }
    "#);
    }

    #[test]
    fn a_bare_virtual_machine_leaves_unknown_facts_out() {
        let facts = HostFacts::read(Host::materialize("vm-2x1").root());
        assert_eq!(
            (facts.virtualized, facts.smt, facts.turbo, facts.machine.as_deref()),
            (Some(true), Some(false), None, None)
        );
        assert_eq!((facts.cgroup.as_deref(), facts.swap, facts.is_root()), (Some("hybrid"), Some(Bytes(0)), true));
        assert!(facts.governors.is_empty() && facts.mitigations.is_empty());
    }

    #[test]
    fn an_empty_tree_has_no_facts_but_the_architecture() {
        let facts = HostFacts::read(tempfile::tempdir().unwrap().path());
        assert_eq!(facts, HostFacts { architecture: facts.architecture.clone(), ..HostFacts::default() });
    }

    #[test]
    fn a_laptop_has_several_governors_and_boost() {
        let facts = HostFacts::read(Host::materialize("laptop-smt").root());
        assert_eq!(facts.governors.iter().map(String::as_str).collect::<Vec<_>>(), ["powersave", "schedutil"]);
        assert_eq!((facts.turbo, facts.effective_uid), (Some(true), Some(0)));
    }

    #[rstest]
    #[case("30 23 0:26 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw", Some("v2"))]
    #[case("30 23 0:26 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu", Some("v1"))]
    #[case("30 23 0:26 / /home/cgroup2 rw - ext4 /dev/sda rw", None)]
    fn the_cgroup_mode_is_by_file_system_type(#[case] mountinfo: &str, #[case] mode: Option<&str>) {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self")).unwrap();
        fs::write(root.path().join("proc/self/mountinfo"), mountinfo).unwrap();
        assert_eq!(cgroup_mode(root.path()).as_deref(), mode);
    }

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        dir
    }

    #[rstest]
    #[case::detached(&[(".git/HEAD", HASH)])]
    #[case::loose(&[(".git/HEAD", "ref: refs/heads/main\n"), (".git/refs/heads/main", HASH)])]
    #[case::packed(&[(".git/HEAD", "ref: refs/heads/main\n"), (".git/packed-refs", "# pack\n0123456789abcdef0123456789abcdef01234567 refs/heads/main\n")])]
    #[case::worktree(&[(".git", "gitdir: main/worktrees/w\n"), ("main/worktrees/w/HEAD", "ref: refs/heads/w"),
        ("main/worktrees/w/commondir", "../.."), ("main/refs/heads/w", HASH)])]
    fn the_revision_is_found(#[case] files: &[(&str, &str)]) {
        assert_eq!(revision(project(files).path()).as_deref(), Some(HASH));
    }

    #[rstest]
    #[case::no_repository(&[])]
    #[case::unborn(&[(".git/HEAD", "ref: refs/heads/main\n")])]
    #[case::torn(&[(".git/HEAD", "0123")])]
    fn a_project_without_a_revision_has_none(#[case] files: &[(&str, &str)]) {
        assert_eq!(revision(project(files).path()), None);
    }
}
