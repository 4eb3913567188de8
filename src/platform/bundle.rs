//! A container's bundle: the folder with its `config.json`.
//!
//! The configuration is what `runc spec` writes (mounts, namespaces, masked paths, capabilities), without the mount of the
//! control groups, which no guest here reads. It adds a read-only root file system that all instances share, an in-memory
//! `/tmp`, and the limits. Fields: the OCI runtime specification, `config.md` and `config-linux.md`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::host::cgroup::{CgroupMode, Quota};
use crate::model::run::{RUN_VARIABLE, RunId};
use crate::platform::{LaunchSpec, arguments, link};

/// The folder of a guest's files.
pub(super) const GUEST_DIR: &str = "/tmp";

/// The threads and processes that a sandbox with its own kernel may have in addition to its guest's, since its control group
/// counts both. gVisor (December 2022) has two dozen before its guest starts, and keeps those in which forked children ran:
/// 12,600 after 48,000 forks in 45 s, growing slowly by then. It aborts with exit code 2 if it cannot create one.
pub(super) const SANDBOX_TASKS: u32 = 16_384;

/// What a container consists of, in addition to its launch specification.
#[derive(Debug)]
pub(super) struct BundleOptions<'a> {
    /// The run it belongs to.
    pub(super) run: &'a RunId,
    /// Its group, relative to the top of every hierarchy.
    pub(super) cgroups_path: String,
    /// How the host mounts its control groups.
    pub(super) mode: CgroupMode,
    /// Whether the kernel accounts for swap.
    pub(super) swap: Swap,
    /// The highest limit on open files that this process may set; a higher one takes `CAP_SYS_RESOURCE`.
    pub(super) most_files: u64,
    /// The network namespace that it joins; `None` for its own, empty one.
    pub(super) netns: Option<&'a Path>,
    /// Its quota of CPU time; `None` for no limit.
    pub(super) quota: Option<Quota>,
}

/// The limit on open files in `runc spec`.
const FILES: u64 = 1024;

/// Whether memory limits can cover swap here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swap {
    /// The kernel accounts for it.
    Limited,
    /// It does not, or there is none.
    Unaccounted,
}

/// Writes the bundle into the new folder `dir`.
pub(super) fn write(dir: &Path, config: &Value) -> io::Result<PathBuf> {
    fs::create_dir_all(dir).map_err(|e| io::Error::new(e.kind(), format!("make {}: {e}", dir.display())))?;
    fs::write(dir.join("config.json"), serde_json::to_vec(config)?)?;
    Ok(dir.to_owned())
}

/// The container's configuration.
pub(super) fn config(spec: &LaunchSpec, around: &BundleOptions<'_>) -> Value {
    let dir = arguments::needs_files(spec.image.program).then_some(GUEST_DIR);
    let arguments = arguments::for_guest(spec, dir, link::listen(spec));
    let command: Vec<String> = std::iter::once(spec.image.guest_path()).chain(arguments).collect();
    let files = around.most_files.min(FILES);
    let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "terminal": false,
            "user": {"uid": 0, "gid": 0},
            "args": command,
            "env": ["PATH=/fw", format!("{RUN_VARIABLE}={}", around.run)],
            "cwd": "/",
            "capabilities": {"bounding": capabilities, "effective": capabilities, "permitted": capabilities},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": files, "soft": files}],
            "noNewPrivileges": true,
        },
        "root": {"path": spec.image.rootfs, "readonly": true},
        "hostname": "featherweight",
        "mounts": mounts(),
        "linux": {
            "cgroupsPath": around.cgroups_path,
            "resources": resources(spec, around),
            "namespaces": namespaces(around.mode, around.netns),
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn mounts() -> Value {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": kind, "options": options});
    json!([
        mount("/proc", "proc", &[]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount(GUEST_DIR, "tmpfs", &["nosuid", "nodev", "mode=1777"]),
    ])
}

/// The namespaces of `runc spec`, which has one for control groups only with version 2. A container that joins a network
/// namespace keeps its links and addresses.
fn namespaces(mode: CgroupMode, netns: Option<&Path>) -> Value {
    let mut kinds = vec!["pid", "ipc", "uts", "mount"];
    if mode == CgroupMode::V2 {
        kinds.push("cgroup");
    }
    let network = netns.map_or(json!({"type": "network"}), |path| json!({"type": "network", "path": path}));
    kinds.into_iter().map(|kind| json!({"type": kind})).chain([network]).collect()
}

fn resources(spec: &LaunchSpec, around: &BundleOptions<'_>) -> Value {
    let mut resources = json!({"devices": [{"allow": false, "access": "rwm"}]});
    if let Some(cpus) = &spec.cpus {
        resources["cpu"] = json!({"cpus": cpus.to_string()});
    }
    if let Some(Quota { time_us, period_us }) = around.quota {
        resources["cpu"]["quota"] = json!(time_us);
        resources["cpu"]["period"] = json!(period_us);
    }
    if let Some(limits) = spec.limits {
        resources["memory"] = json!({"limit": limits.memory});
        if around.swap == Swap::Limited {
            // The limit covers memory and swap together, so there is no swap.
            resources["memory"]["swap"] = json!(limits.memory);
        }
        resources["pids"] = json!({"limit": limits.pids});
    }
    resources
}

/// The host's mount point of cgroup version 2.
pub(super) fn unified_mount() -> Option<PathBuf> {
    let mounts = procfs::process::Process::myself().and_then(|me| me.mountinfo()).ok()?;
    mounts.0.into_iter().find(|mount| mount.fs_type == "cgroup2").map(|mount| mount.mount_point)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::guest::Image;
    use crate::model::cpuset::CpuSet;
    use crate::model::platform::Networking;
    use crate::model::program::Program;
    use crate::model::units::Bytes;
    use crate::platform::{Limits, Purpose};

    fn spec(program: Program, limits: Option<Limits>) -> LaunchSpec {
        let rootfs = PathBuf::from("/images/it");
        LaunchSpec {
            name: "fw-20261121-084514-3f9a-0".into(),
            image: Image { program, rootfs, digest: String::new(), size: Bytes(0) },
            arguments: vec!["rows=3".into()],
            cpus: limits.is_some().then(|| CpuSet::from_iter([0, 1])),
            limits,
            memory: None,
            network: Networking::None,
            purpose: Purpose::Measured,
            deadline: Duration::from_millis(1500),
        }
    }

    fn config_of(spec: &LaunchSpec, mode: CgroupMode, swap: Swap) -> Value {
        let run = "20261121-084514-3f9a".parse().expect("a run id");
        let cgroups_path = format!("/x/{}", spec.name);
        config(spec, &BundleOptions { run: &run, cgroups_path, mode, swap, most_files: 512, netns: None, quota: None })
    }

    #[test]
    fn without_limits_nothing_is_limited() {
        let config = config_of(&spec(Program::Hello, None), CgroupMode::Hybrid, Swap::Limited);
        assert_eq!(config["linux"]["resources"], json!({"devices": [{"allow": false, "access": "rwm"}]}));
        assert_eq!(config["process"]["args"], json!(["/fw/hello", "rows=3", "deadline=2"]));
        assert_eq!(config["process"]["rlimits"][0]["hard"], 512, "no more than may be given");
    }

    #[test]
    fn limits_are_written_as_the_runtime_reads_them() {
        let limits = Limits { memory: Bytes(64 << 20), pids: 16 };
        let config = config_of(&spec(Program::Write, Some(limits)), CgroupMode::V1, Swap::Limited);
        let resources = &config["linux"]["resources"];
        assert_eq!(resources["cpu"], json!({"cpus": "0-1"}));
        assert_eq!(resources["memory"], json!({"limit": 67108864, "swap": 67108864}));
        assert_eq!(resources["pids"], json!({"limit": 16}));
        assert_eq!(config["process"]["args"][3], json!("dir=/tmp"));
    }

    #[test]
    fn a_quota_is_written_whether_or_not_there_are_limits() {
        let run = "20261121-084514-3f9a".parse().expect("a run id");
        let limits = Limits { memory: Bytes(64 << 20), pids: 16 };
        for limits in [None, Some(limits)] {
            let around = BundleOptions {
                run: &run,
                cgroups_path: "/x".to_owned(),
                mode: CgroupMode::V1,
                swap: Swap::Limited,
                most_files: 512,
                netns: None,
                quota: Some(Quota::of_percent(50.0)),
            };
            let cpu = &config(&spec(Program::Hello, limits), &around)["linux"]["resources"]["cpu"];
            assert_eq!((&cpu["quota"], &cpu["period"]), (&json!(1_000), &json!(2_000)));
            assert_eq!(cpu.get("cpus").is_some(), limits.is_some());
        }
    }

    #[test]
    fn a_server_that_can_be_reached_joins_its_network_and_listens() {
        let mut spec = spec(Program::Redis, None);
        let listens =
            |config: &Value| config["process"]["args"].to_string().contains(r#""listen=0.0.0.0","port=6379""#);
        assert!(!listens(&config_of(&spec, CgroupMode::V1, Swap::Limited)));
        spec.network = Networking::Bridge;
        assert!(listens(&config_of(&spec, CgroupMode::V1, Swap::Limited)));
        let namespaces = namespaces(CgroupMode::V1, Some(Path::new("/a/path")));
        assert_eq!(namespaces[4], json!({"type": "network", "path": "/a/path"}));
    }

    #[test]
    fn swap_is_left_out_where_the_kernel_does_not_account_for_it() {
        let limits = Limits { memory: Bytes(1 << 20), pids: 1 };
        let config = config_of(&spec(Program::Hello, Some(limits)), CgroupMode::V2, Swap::Unaccounted);
        assert_eq!(config["linux"]["resources"]["memory"], json!({"limit": 1048576}));
    }

    #[test]
    fn the_runtimes_own_types_understand_the_configuration() {
        let limits = Limits { memory: Bytes(64 << 20), pids: 16 };
        for mode in [CgroupMode::V1, CgroupMode::V2] {
            let text = config_of(&spec(Program::Write, Some(limits)), mode, Swap::Limited).to_string();
            let read: libcontainer::oci_spec::runtime::Spec = serde_json::from_str(&text).expect("a configuration");
            let namespaces = read.linux().as_ref().and_then(|l| l.namespaces().as_ref()).map_or(0, Vec::len);
            assert_eq!(namespaces, if mode == CgroupMode::V2 { 6 } else { 5 });
        }
    }
}
