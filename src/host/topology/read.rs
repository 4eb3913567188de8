//! Reads the topology from sysfs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::{Cache, CacheKind, Core, CoreKind, NumaNode, Socket, Topology};
use crate::host::{HostError, tree};
use crate::model::cpuset::CpuSet;
use crate::model::units::Bytes;

impl Topology {
    /// Reads the online CPUs under `sys` (`/sys` in production). `usable` lists the CPUs that this process could use when it
    /// was started (`placement::usable_cpus`).
    ///
    /// Some virtual machines report no topology; then every CPU is a core with one thread, on one socket.
    ///
    /// # Errors
    /// When the list of online CPUs cannot be read, or a file has other content than the kernel documents.
    pub fn read(sys: &Path, usable: &CpuSet) -> Result<Topology, HostError> {
        let tree = Tree { cpus: sys.join("devices/system/cpu"), sys: sys.to_owned() };
        let online: CpuSet = tree::value(&tree.cpus.join("online"), CPU_LIST)?;
        Ok(Topology {
            sockets: tree.sockets(&online)?,
            caches: tree.caches(&online)?,
            nodes: tree.nodes(&online)?,
            usable: online.iter().filter(|&c| usable.contains(c)).collect(),
        })
    }
}

const CPU_LIST: &str = "a CPU list";
const NUMBER: &str = "a number";

struct Tree {
    sys: PathBuf,
    cpus: PathBuf,
}

impl Tree {
    fn cpu(&self, cpu: u32) -> PathBuf {
        self.cpus.join(format!("cpu{cpu}"))
    }

    fn sockets(&self, online: &CpuSet) -> Result<Vec<Socket>, HostError> {
        let kinds = self.kinds(online)?;
        let mut sockets: BTreeMap<u32, BTreeMap<CpuSet, CoreKind>> = BTreeMap::new();
        for cpu in online.iter() {
            let kind = kinds.get(&cpu).copied().unwrap_or(CoreKind::Uniform);
            sockets.entry(self.socket(cpu)?).or_default().insert(self.threads(cpu, online)?, kind);
        }
        let socket = |(id, cores): (u32, BTreeMap<CpuSet, CoreKind>)| Socket {
            id,
            cores: cores.into_iter().map(|(threads, kind)| Core { kind, threads }).collect(),
        };
        Ok(sockets.into_iter().map(socket).collect())
    }

    /// The socket's number. The kernel writes -1 if the firmware does not report it.
    fn socket(&self, cpu: u32) -> Result<u32, HostError> {
        let path = self.cpu(cpu).join("topology/physical_package_id");
        match path.exists() {
            true => Ok(u32::try_from(tree::value::<i64>(&path, NUMBER)?).unwrap_or(0)),
            false => Ok(0),
        }
    }

    /// The threads of a core; `core_cpus_list` was called `thread_siblings_list` before Linux 5.3.
    fn threads(&self, cpu: u32, online: &CpuSet) -> Result<CpuSet, HostError> {
        let dir = self.cpu(cpu).join("topology");
        let names = ["core_cpus_list", "thread_siblings_list"];
        let Some(path) = names.iter().map(|n| dir.join(n)).find(|p| p.exists()) else { return Ok(CpuSet::one(cpu)) };
        let threads: CpuSet = tree::value(&path, CPU_LIST)?;
        Ok(threads.iter().chain([cpu]).filter(|&c| online.contains(c)).collect())
    }

    /// The kinds of the cores of a hybrid host: on x86 by the performance monitoring units, elsewhere by capacity.
    fn kinds(&self, online: &CpuSet) -> Result<BTreeMap<u32, CoreKind>, HostError> {
        let unit = |name: &str| self.sys.join("devices").join(name).join("cpus");
        if unit("cpu_core").exists() && unit("cpu_atom").exists() {
            let fast: CpuSet = tree::value(&unit("cpu_core"), CPU_LIST)?;
            return Ok(online.iter().map(|c| (c, kind(fast.contains(c)))).collect());
        }
        let capacity = |cpu| tree::known::<u32>(&self.cpu(cpu).join("cpu_capacity")).map(|n| (cpu, n));
        Ok(by_capacity(&online.iter().filter_map(capacity).collect()))
    }

    fn caches(&self, online: &CpuSet) -> Result<Vec<Cache>, HostError> {
        let mut caches = BTreeSet::new();
        for cpu in online.iter() {
            for index in 0.. {
                let dir = self.cpu(cpu).join(format!("cache/index{index}"));
                if !dir.join("level").exists() {
                    break;
                }
                caches.extend(cache(&dir, cpu, online)?);
            }
        }
        Ok(caches.into_iter().collect())
    }

    /// The NUMA nodes; empty if the kernel has none.
    fn nodes(&self, online: &CpuSet) -> Result<Vec<NumaNode>, HostError> {
        let dir = self.sys.join("devices/system/node");
        let path = dir.join("online");
        let ids: CpuSet = if path.exists() { tree::value(&path, "a node list")? } else { CpuSet::default() };
        let node = |id| -> Result<NumaNode, HostError> {
            let cpus: CpuSet = tree::value(&dir.join(format!("node{id}/cpulist")), CPU_LIST)?;
            Ok(NumaNode { id, cpus: cpus.iter().filter(|&c| online.contains(c)).collect() })
        };
        let nodes: Result<Vec<_>, _> = ids.iter().map(node).collect();
        Ok(nodes?.into_iter().filter(|n| !n.cpus.is_empty()).collect())
    }
}

/// Reads the cache in `dir`; `None` if its kind is unknown.
fn cache(dir: &Path, cpu: u32, online: &CpuSet) -> Result<Option<Cache>, HostError> {
    let kind = match tree::line(&dir.join("type")).as_deref() {
        Some("Data") => CacheKind::Data,
        Some("Instruction") => CacheKind::Instruction,
        Some("Unified") => CacheKind::Unified,
        _ => return Ok(None),
    };
    let shared = dir.join("shared_cpu_list");
    let cpus: CpuSet = if shared.exists() { tree::value(&shared, CPU_LIST)? } else { CpuSet::one(cpu) };
    Ok(Some(Cache {
        level: tree::value(&dir.join("level"), NUMBER)?,
        kind,
        size: tree::line(&dir.join("size")).and_then(|s| size(&s)),
        cpus: cpus.iter().filter(|&c| online.contains(c)).collect(),
    }))
}

/// Parses a size from sysfs, such as `32K` or `2M`.
fn size(text: &str) -> Option<Bytes> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "" => 1,
        "K" => Bytes::KIB.0,
        "M" => Bytes::MIB.0,
        "G" => Bytes::GIB.0,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).map(Bytes)
}

/// The kinds of cores by capacity; empty if all are alike. Cores within a fifth of the largest capacity count as performance
/// cores. The scheduler uses the same margin to decide whether a task fits a CPU (`fits_capacity`, `kernel/sched/fair.c`).
/// The favored cores of some processors differ by a few percent only.
fn by_capacity(capacities: &BTreeMap<u32, u32>) -> BTreeMap<u32, CoreKind> {
    let largest = capacities.values().copied().max().unwrap_or(0);
    let is_fast = |n: u32| u64::from(n) * 5 >= u64::from(largest) * 4;
    match capacities.values().all(|&n| is_fast(n)) {
        true => BTreeMap::new(),
        false => capacities.iter().map(|(&cpu, &n)| (cpu, kind(is_fast(n)))).collect(),
    }
}

fn kind(is_fast: bool) -> CoreKind {
    if is_fast { CoreKind::Performance } else { CoreKind::Efficiency }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rstest::rstest;

    use super::*;
    use crate::host::fixture::Host;

    fn all() -> CpuSet {
        (0..256).collect()
    }

    #[test]
    fn offline_cpus_are_in_no_core_and_cache() {
        let host = Host::materialize("laptop-smt");
        fs::write(host.root().join("sys/devices/system/cpu/online"), "0-6\n").unwrap();
        let topology = Topology::read(&host.sys(), &all()).unwrap();
        assert_eq!(topology.online().to_string(), "0-6");
        assert!(topology.siblings(6).is_empty());
        assert!(topology.caches.iter().all(|c| !c.cpus.contains(7)));
    }

    #[test]
    fn only_cpus_of_the_process_are_usable() {
        let host = Host::materialize("laptop-smt");
        let topology = Topology::read(&host.sys(), &"2-3,90".parse().unwrap()).unwrap();
        assert_eq!(topology.usable.to_string(), "2-3");
        assert_eq!(topology.online().len(), 8);
    }

    #[test]
    fn without_a_topology_every_cpu_is_a_core_on_one_socket() {
        let host = Host::materialize("vm-2x1");
        for cpu in 0..2 {
            fs::remove_dir_all(host.sys().join(format!("devices/system/cpu/cpu{cpu}/topology"))).unwrap();
        }
        let topology = Topology::read(&host.sys(), &all()).unwrap();
        assert_eq!((topology.sockets.len(), topology.cores().count()), (1, 2));
    }

    #[test]
    fn a_torn_file_is_an_error_that_names_it() {
        let host = Host::materialize("vm-2x1");
        fs::write(host.sys().join("devices/system/cpu/cpu1/topology/core_cpus_list"), "1-\n").unwrap();
        let error = Topology::read(&host.sys(), &all()).unwrap_err().to_string();
        assert!(error.ends_with("cpu1/topology/core_cpus_list: invalid content `1-`; expected a CPU list"), "{error}");
    }

    #[rstest]
    #[case("32K", Some(32 << 10))]
    #[case("2M", Some(2 << 20))]
    #[case("7", Some(7))]
    #[case("7X", None)]
    #[case("", None)]
    fn a_cache_size_has_its_unit(#[case] text: &str, #[case] bytes: Option<u64>) {
        assert_eq!(size(text), bytes.map(Bytes));
    }

    #[test]
    fn favored_cores_do_not_make_a_host_hybrid_but_half_capacity_does() {
        assert!(by_capacity(&BTreeMap::from([(0, 1024), (1, 1009)])).is_empty());
        let big_little = by_capacity(&BTreeMap::from([(0, 446), (1, 1024)]));
        assert_eq!(big_little, BTreeMap::from([(0, CoreKind::Efficiency), (1, CoreKind::Performance)]));
    }

    #[test]
    fn this_host_reads() {
        let usable = crate::host::placement::usable_cpus().unwrap();
        let topology = Topology::read(Path::new("/sys"), &usable).unwrap();
        assert!(!topology.usable.is_empty() && topology.usable.is_subset(&topology.online()));
    }
}
