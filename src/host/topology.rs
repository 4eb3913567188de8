//! The CPU topology from sysfs: sockets, cores and hardware threads, shared caches and NUMA nodes.
//!
//! Invariant: every online CPU is in exactly one core of one socket. The kernel documents the files in
//! `Documentation/ABI/stable/sysfs-devices-system-cpu` and `Documentation/admin-guide/cputopology.rst`.

mod read;

use serde::{Deserialize, Serialize};

use crate::model::cpuset::CpuSet;
use crate::model::units::Bytes;

/// The online CPUs of a host, and which of them are usable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// The sockets, by number.
    pub sockets: Vec<Socket>,
    /// The caches. A shared cache occurs once.
    pub caches: Vec<Cache>,
    /// The NUMA nodes that have CPUs.
    pub nodes: Vec<NumaNode>,
    /// The online CPUs that this process may use.
    pub usable: CpuSet,
}

/// A processor package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// Its kernel number.
    pub id: u32,
    /// Its cores, by their lowest CPU.
    pub cores: Vec<Core>,
}

/// A core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    /// Whether it is a fast or a slow core.
    pub kind: CoreKind,
    /// Its online hardware threads.
    pub threads: CpuSet,
}

/// Whether a core is one of the fast or the slow cores of a hybrid host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoreKind {
    /// A slower core of a hybrid host.
    Efficiency,
    /// A fast core of a hybrid host.
    Performance,
    /// All cores of the host are alike.
    Uniform,
}

/// A cache with the CPUs that share it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cache {
    /// The level; 1 is closest to the core.
    pub level: u32,
    /// Whether it holds data, instructions or both.
    pub kind: CacheKind,
    /// Its size; `None` if the kernel does not report it.
    pub size: Option<Bytes>,
    /// The online CPUs that share it.
    pub cpus: CpuSet,
}

/// What a cache holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CacheKind {
    /// Only data.
    Data,
    /// Only instructions.
    Instruction,
    /// Both.
    Unified,
}

/// A NUMA node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NumaNode {
    /// Its kernel number.
    pub id: u32,
    /// Its online CPUs.
    pub cpus: CpuSet,
}

impl Topology {
    /// All cores, socket by socket.
    pub fn cores(&self) -> impl DoubleEndedIterator<Item = &Core> {
        self.sockets.iter().flat_map(|s| &s.cores)
    }

    /// The online CPUs.
    pub fn online(&self) -> CpuSet {
        self.cores().flat_map(|c| c.threads.iter()).collect()
    }

    /// The core that `cpu` is a hardware thread of.
    pub fn core_of(&self, cpu: u32) -> Option<&Core> {
        self.cores().find(|c| c.threads.contains(cpu))
    }

    /// The socket that `cpu` is on.
    pub fn socket_of(&self, cpu: u32) -> Option<&Socket> {
        self.sockets.iter().find(|s| s.cores.iter().any(|c| c.threads.contains(cpu)))
    }

    /// The other hardware threads of the core of `cpu`.
    pub fn siblings(&self, cpu: u32) -> CpuSet {
        self.core_of(cpu).map(|c| c.threads.minus(&CpuSet::one(cpu))).unwrap_or_default()
    }

    /// The cache of `cpu` with the highest level among those that hold data.
    pub fn last_level(&self, cpu: u32) -> Option<&Cache> {
        let data = self.caches.iter().filter(|c| c.kind != CacheKind::Instruction);
        data.filter(|c| c.cpus.contains(cpu)).max_by_key(|c| c.level)
    }

    /// The size of the last-level cache of `cpu`, if it is known.
    pub fn last_level_cache(&self, cpu: u32) -> Option<Bytes> {
        self.last_level(cpu)?.size
    }

    /// Whether some core has more than one online hardware thread.
    pub fn is_smt(&self) -> bool {
        self.cores().any(|c| c.threads.len() > 1)
    }

    /// Describes the topology: `2 sockets, 52 cores, 104 hardware threads, 2 NUMA nodes, all usable`.
    pub fn in_words(&self) -> String {
        let online = self.online();
        let usable = match self.usable == online {
            true => "all usable".to_owned(),
            false => format!("usable: {}", self.usable),
        };
        let fast = self.cores().filter(|c| c.kind == CoreKind::Performance).count();
        let kinds = match fast {
            0 => String::new(),
            n => format!(" ({n} performance, {} efficiency)", self.cores().count() - n),
        };
        format!(
            "{}, {}{kinds}, {}, {}, {usable}",
            counted(self.sockets.len(), "socket"),
            counted(self.cores().count(), "core"),
            counted(online.len(), "hardware thread"),
            counted(self.nodes.len(), "NUMA node"),
        )
    }
}

impl Socket {
    /// The online CPUs of the socket.
    pub fn cpus(&self) -> CpuSet {
        self.cores.iter().flat_map(|c| c.threads.iter()).collect()
    }
}

fn counted(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use crate::host::fixture;
    use crate::model::cpuset::CpuSet;
    use crate::model::units::Bytes;

    #[rstest]
    #[case("server-2x26x2", "2 sockets, 52 cores, 104 hardware threads, 2 NUMA nodes, all usable")]
    #[case("laptop-smt", "1 socket, 4 cores, 8 hardware threads, 1 NUMA node, all usable")]
    #[case("hybrid", "1 socket, 10 cores (6 performance, 4 efficiency), 16 hardware threads, 1 NUMA node, all usable")]
    #[case("vm-2x1", "1 socket, 2 cores, 2 hardware threads, 1 NUMA node, all usable")]
    fn a_host_is_described_in_words(#[case] host: &str, #[case] words: &str) {
        assert_eq!(fixture::topology(host).in_words(), words);
    }

    #[test]
    fn a_cpu_has_a_core_a_socket_siblings_and_a_cache() {
        let server = fixture::topology("server-2x26x2");
        assert_eq!(server.siblings(51), CpuSet::one(103));
        assert_eq!(server.core_of(103).map(|c| c.threads.to_string()), Some("51,103".to_owned()));
        assert_eq!(server.socket_of(80).map(|s| s.id), Some(1));
        assert_eq!(server.last_level_cache(80), Some(Bytes(36608 << 10)));
        assert_eq!(server.caches.len(), 2 * 52 + 2);
        assert_eq!((server.core_of(104), server.socket_of(104), server.last_level_cache(104)), (None, None, None));
    }

    #[test]
    fn the_last_level_cache_of_half_a_socket_is_shared_by_that_half() {
        let laptop = fixture::topology("laptop-smt");
        assert_eq!(laptop.last_level(5).map(|c| c.cpus.to_string()), Some("4-7".to_owned()));
    }
}
