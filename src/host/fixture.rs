//! Fake hosts for tests: trees of `/proc` and `/sys`, created from the descriptions in `fixtures/hosts`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::Deserialize;
use tempfile::TempDir;

use super::Topology;
use crate::model::cpuset::CpuSet;

/// The described hosts.
pub(crate) const HOSTS: [&str; 4] = ["server-2x26x2", "laptop-smt", "hybrid", "vm-2x1"];

/// A fake host's tree; removed on drop.
pub(crate) struct Host(TempDir);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    #[serde(rename = "about")]
    _about: String,
    threads: Vec<Threads>,
    caches: Vec<Shared>,
    nodes: Vec<String>,
    files: BTreeMap<PathBuf, String>,
}

/// One hardware thread of each core in a row.
#[derive(Deserialize)]
struct Threads {
    cpus: String,
    socket: u32,
    first_core: u32,
}

#[derive(Deserialize)]
struct Shared {
    level: u32,
    r#type: String,
    size: String,
    shared_by: Sharing,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", untagged)]
enum Sharing {
    Unit(Unit),
    Cpus(Vec<String>),
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Unit {
    Core,
    Socket,
}

/// The topologies of [`HOSTS`]. Creating a large host's tree takes a second, so each is read once.
static TOPOLOGIES: LazyLock<[Topology; 4]> = LazyLock::new(|| {
    let every_cpu = (0..4096).collect();
    HOSTS.map(|host| Topology::read(&Host::materialize(host).sys(), &every_cpu).unwrap())
});

/// The topology of a described host with all its CPUs usable.
pub(crate) fn topology(host: &str) -> Topology {
    TOPOLOGIES[HOSTS.iter().position(|h| *h == host).unwrap()].clone()
}

/// The topology of a described host with only the CPUs in `usable`.
pub(crate) fn topology_of(host: &str, usable: &CpuSet) -> Topology {
    let mut topology = topology(host);
    topology.usable = topology.usable.iter().filter(|&cpu| usable.contains(cpu)).collect();
    topology
}

impl Host {
    /// Creates the tree of a described host in a temporary folder.
    pub(crate) fn materialize(name: &str) -> Host {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/hosts").join(name).with_extension("json");
        let description: Description = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let host = Host(tempfile::tempdir().unwrap());
        description.lay_out(&host);
        host
    }

    /// The folder that represents `/`.
    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    /// The folder that represents `/sys`.
    pub(crate) fn sys(&self) -> PathBuf {
        self.root().join("sys")
    }

    /// Writes a file of the tree and creates its parent folders.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: &str) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

impl Description {
    fn lay_out(&self, host: &Host) {
        let cpus = Path::new("sys/devices/system/cpu");
        let places = self.places();
        host.write(cpus.join("online"), &places.keys().copied().collect::<CpuSet>().to_string());
        for (&cpu, &place) in &places {
            let dir = cpus.join(format!("cpu{cpu}"));
            host.write(dir.join("topology/physical_package_id"), &place.0.to_string());
            host.write(dir.join("topology/core_cpus_list"), &cpus_at(&places, |p| p == place).to_string());
            for (index, cache) in self.caches.iter().enumerate() {
                let dir = dir.join(format!("cache/index{index}"));
                host.write(dir.join("level"), &cache.level.to_string());
                host.write(dir.join("type"), &cache.r#type);
                host.write(dir.join("size"), &cache.size);
                host.write(dir.join("shared_cpu_list"), &cache.sharers(cpu, &places));
            }
        }
        let nodes = Path::new("sys/devices/system/node");
        host.write(nodes.join("online"), &(0..self.nodes.len() as u32).collect::<CpuSet>().to_string());
        for (id, cpus) in self.nodes.iter().enumerate() {
            host.write(nodes.join(format!("node{id}/cpulist")), cpus);
        }
        self.files.iter().for_each(|(path, content)| host.write(path, content));
    }

    /// The socket and core of every CPU.
    fn places(&self) -> BTreeMap<u32, (u32, u32)> {
        let row = |t: &Threads| {
            let (socket, first) = (t.socket, t.first_core);
            let cpus: CpuSet = t.cpus.parse().unwrap();
            (first..).zip(cpus.iter().collect::<Vec<_>>()).map(move |(core, cpu)| (cpu, (socket, core)))
        };
        self.threads.iter().flat_map(row).collect()
    }
}

impl Shared {
    fn sharers(&self, cpu: u32, places: &BTreeMap<u32, (u32, u32)>) -> String {
        let place = places[&cpu];
        match &self.shared_by {
            Sharing::Unit(Unit::Core) => cpus_at(places, |p| p == place).to_string(),
            Sharing::Unit(Unit::Socket) => cpus_at(places, |p| p.0 == place.0).to_string(),
            Sharing::Cpus(lists) => {
                lists.iter().find(|l| l.parse::<CpuSet>().unwrap().contains(cpu)).unwrap().to_owned()
            }
        }
    }
}

fn cpus_at(places: &BTreeMap<u32, (u32, u32)>, matches: impl Fn((u32, u32)) -> bool) -> CpuSet {
    places.iter().filter(|&(_, &place)| matches(place)).map(|(&cpu, _)| cpu).collect()
}
