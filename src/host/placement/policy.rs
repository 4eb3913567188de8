//! Computes CPU sets from the topology and the placement.
//!
//! Invariants: the victim's CPU depends only on the host, so that all placements can be compared. Nothing is placed outside
//! of the usable CPUs. An attacker shares the victim's CPU only in the placement `same-thread`.

use crate::host::{Core, CoreKind, Socket, Topology};
use crate::model::cpuset::CpuSet;
use crate::model::placement::Placement;

/// The CPUs of everything that a trial runs. For an empty set, the host's scheduler decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The victim's CPU.
    pub victim: CpuSet,
    /// One set for each attacker.
    pub attackers: Vec<CpuSet>,
    /// The harness, its samplers and background work: an idle core if there is one.
    pub harness: CpuSet,
    /// The load generator of a server: if possible, on other cores than victim and attackers.
    pub client: CpuSet,
}

/// The CPUs of servers and their load generator if nothing else is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// The CPUs of victims and background instances.
    pub victims: CpuSet,
    /// The CPUs of the load generator.
    pub client: CpuSet,
}

/// Why a host does not have a placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{placement} is not possible here: {reason}")]
pub struct NotOnThisHost {
    /// The requested placement.
    pub placement: Placement,
    /// Why it is not possible.
    pub reason: Obstacle,
}

/// What a placement needs and a host does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// No CPU is usable.
    #[error("this process may use no CPU")]
    NoCpu,
    /// The host has no simultaneous multithreading.
    #[error("this host's cores have one hardware thread each")]
    NoSmt,
    /// The victim's core is one of the cores without siblings on a hybrid host.
    #[error("the core of CPU {victim} has one hardware thread")]
    NoSibling {
        /// The victim's CPU.
        victim: u32,
    },
    /// The siblings of the victim's CPU are not usable.
    #[error("this process may not use CPU {siblings}, the sibling of CPU {victim}")]
    UnusableSibling {
        /// The victim's CPU.
        victim: u32,
        /// Its siblings.
        siblings: CpuSet,
    },
    /// The victim's socket has one core.
    #[error("the victim's socket has one core")]
    OneCore,
    /// One core of the victim's socket is usable.
    #[error("this process may use one core of the victim's socket only")]
    OneUsableCore,
    /// The host has one socket.
    #[error("this host has one socket")]
    OneSocket,
    /// One socket has usable CPUs.
    #[error("this process may use the CPUs of one socket only")]
    OneUsableSocket,
}

/// Assigns CPUs for `placement` on the host.
///
/// The victim gets the first thread of a core on the socket with the most usable cores. Performance cores and cores with
/// all threads usable are preferred, then the last core. CPU 0 is avoided because it serves interrupts. There is one
/// attacker, or for `fill` one per hardware thread.
///
/// # Errors
/// When the placement is not possible on this host.
pub fn assign(topology: &Topology, placement: Placement) -> Result<Assignment, NotOnThisHost> {
    if placement == Placement::Unpinned {
        let anywhere = CpuSet::default;
        return Ok(Assignment {
            victim: anywhere(),
            attackers: vec![anywhere()],
            harness: anywhere(),
            client: anywhere(),
        });
    }
    let not_possible = |reason| NotOnThisHost { placement, reason };
    let host = Host::of(topology).ok_or(not_possible(Obstacle::NoCpu))?;
    let attackers = match placement {
        Placement::Unpinned | Placement::Alone => Ok(Vec::new()),
        Placement::SameThread => Ok(vec![host.victim]),
        Placement::SameCore => host.sibling().map(|cpu| vec![cpu]),
        Placement::SameSocket => host.on_other_core().map(|cpu| vec![cpu]),
        Placement::OtherSocket => host.on_other_socket().map(|cpu| vec![cpu]),
        Placement::Fill => host.rest_of_socket(),
    };
    let attackers = attackers.map_err(not_possible)?;
    Ok(Assignment {
        harness: host.harness(&attackers),
        client: host.client(&attackers),
        victim: CpuSet::one(host.victim),
        attackers: attackers.into_iter().map(CpuSet::one).collect(),
    })
}

/// Divides the usable CPUs between servers and their load generator. The load generator gets the first third of the cores,
/// at least one, since CPU 0 serves interrupts. A single core is divided by threads; a single CPU is shared.
pub fn apart(topology: &Topology) -> Apart {
    let cores: Vec<CpuSet> = topology.cores().map(|core| usable(topology, core)).filter(|c| !c.is_empty()).collect();
    let units: Vec<CpuSet> = match cores.as_slice() {
        [only] => only.iter().map(CpuSet::one).collect(),
        _ => cores,
    };
    let all = |units: &[CpuSet]| units.iter().flat_map(CpuSet::iter).collect::<CpuSet>();
    match units.len() {
        0 | 1 => Apart { victims: all(&units), client: all(&units) },
        n => {
            let (client, victims) = units.split_at((n / 3).max(1));
            Apart { victims: all(victims), client: all(client) }
        }
    }
}

/// Describes with whom a load generator on the CPUs `client` shares a CPU; `None` if it shares none or nothing is placed.
pub fn client_shares(client: &CpuSet, victim: &CpuSet, attackers: &[CpuSet]) -> Option<String> {
    let shared = |other: &CpuSet| client.iter().find(|&cpu| other.contains(cpu));
    let (cpu, whom) = match shared(victim) {
        Some(cpu) => (cpu, "its server"),
        None => (attackers.iter().find_map(shared)?, "an attacker"),
    };
    Some(format!("the load generator shares CPU {cpu} with {whom}"))
}

/// The host as seen from the victim.
struct Host<'t> {
    topology: &'t Topology,
    socket: &'t Socket,
    core: &'t Core,
    victim: u32,
}

impl<'t> Host<'t> {
    /// Chooses the victim's CPU; `None` if no CPU is usable.
    fn of(topology: &'t Topology) -> Option<Self> {
        let whole = |s: &Socket| s.cores.iter().filter(|c| is_whole(topology, c) && !is_slow(c)).count();
        let some = |s: &Socket| s.cores.iter().filter(|c| !usable(topology, c).is_empty()).count();
        let socket = topology.sockets.iter().filter(|s| some(s) > 0).max_by_key(|s| (whole(s), some(s), s.id))?;
        let core = socket.cores.iter().filter(|c| !usable(topology, c).is_empty()).max_by_key(|c| rank(topology, c))?;
        let threads = usable(topology, core);
        let victim = threads.iter().find(|&cpu| cpu != 0).or(threads.first())?;
        Some(Self { topology, socket, core, victim })
    }

    fn sibling(&self) -> Result<u32, Obstacle> {
        let (victim, siblings) = (self.victim, self.topology.siblings(self.victim));
        let usable = siblings.iter().find(|&cpu| self.topology.usable.contains(cpu));
        match usable {
            Some(cpu) => Ok(cpu),
            None if !self.topology.is_smt() => Err(Obstacle::NoSmt),
            None if siblings.is_empty() => Err(Obstacle::NoSibling { victim }),
            None => Err(Obstacle::UnusableSibling { victim, siblings }),
        }
    }

    /// A thread of another core on the socket. A core that the harness does not use is preferred, then one that shares the
    /// last-level cache.
    fn on_other_core(&self) -> Result<u32, Obstacle> {
        let shared = self.topology.last_level(self.victim).map(|c| c.cpus.clone()).unwrap_or_default();
        let quality =
            |core: &Core| (self.spares_harness(core), core.threads.is_subset(&shared), rank(self.topology, core));
        let other = self.other_cores(self.socket).max_by_key(|c| quality(c));
        other.and_then(|core| self.attacked_thread(core)).ok_or_else(|| self.no_other_core())
    }

    fn on_other_socket(&self) -> Result<u32, Obstacle> {
        let others = self.topology.sockets.iter().filter(|s| s.id != self.socket.id);
        let cores = others.flat_map(|s| self.other_cores(s));
        let core = cores.max_by_key(|c| (self.spares_harness(c), rank(self.topology, c)));
        core.and_then(|c| self.attacked_thread(c)).ok_or(match self.topology.sockets.len() {
            1 => Obstacle::OneSocket,
            _ => Obstacle::OneUsableSocket,
        })
    }

    fn rest_of_socket(&self) -> Result<Vec<u32>, Obstacle> {
        let rest: Vec<u32> = self.other_cores(self.socket).flat_map(|c| self.usable(c)).collect();
        if rest.is_empty() { Err(self.no_other_core()) } else { Ok(rest) }
    }

    /// Prefers an idle core, then all CPUs off the victim's core, then all except the victim's CPU, then all usable CPUs.
    fn harness(&self, attackers: &[u32]) -> CpuSet {
        let usable = &self.topology.usable;
        let is_idle = |c: &&Core| *c != self.core && !attackers.iter().any(|&a| c.threads.contains(a));
        let threads = |c: &Core| Some(self.usable(c).collect()).filter(|set: &CpuSet| !set.is_empty());
        let core = self.topology.cores().filter(is_idle).find_map(threads);
        let off_core = || Some(usable.minus(&self.core.threads)).filter(|s| !s.is_empty());
        let off_cpu = || Some(usable.minus(&CpuSet::one(self.victim))).filter(|s| !s.is_empty());
        core.or_else(off_core).or_else(off_cpu).unwrap_or_else(|| usable.clone())
    }

    /// Prefers the victim's socket without the cores of victim and attackers, then all sockets without these cores. If no CPU
    /// remains, it shares the attackers' cores, then their CPUs, then the victim's core, then the victim's CPU.
    fn client(&self, attackers: &[u32]) -> CpuSet {
        let usable = &self.topology.usable;
        let taken = attackers.iter().filter_map(|&cpu| self.topology.core_of(cpu));
        let cores = taken.fold(self.core.threads.clone(), |all, core| all.union(&core.threads));
        let cpus = self.core.threads.union(&attackers.iter().copied().collect());
        let socket: CpuSet = self.socket.cores.iter().flat_map(|core| core.threads.iter()).collect();
        let elsewhere = usable.minus(&socket);
        let choices = [
            usable.minus(&cores).minus(&elsewhere),
            usable.minus(&cores),
            usable.minus(&cpus),
            usable.minus(&self.core.threads),
            usable.minus(&CpuSet::one(self.victim)),
        ];
        choices.into_iter().find(|set| !set.is_empty()).unwrap_or_else(|| usable.clone())
    }

    fn other_cores(&self, socket: &'t Socket) -> impl Iterator<Item = &'t Core> {
        socket.cores.iter().filter(|c| *c != self.core && self.usable(c).next().is_some())
    }

    /// Whether the harness does not use `core` when there are no attackers.
    fn spares_harness(&self, core: &Core) -> bool {
        !self.harness(&[]).iter().any(|cpu| core.threads.contains(cpu))
    }

    fn attacked_thread(&self, core: &Core) -> Option<u32> {
        self.usable(core).next()
    }

    fn usable(&self, core: &Core) -> impl Iterator<Item = u32> + use<'t> {
        usable(self.topology, core).iter().collect::<Vec<_>>().into_iter()
    }

    fn no_other_core(&self) -> Obstacle {
        match self.socket.cores.len() {
            1 => Obstacle::OneCore,
            _ => Obstacle::OneUsableCore,
        }
    }
}

fn usable(topology: &Topology, core: &Core) -> CpuSet {
    core.threads.iter().filter(|&cpu| topology.usable.contains(cpu)).collect()
}

fn is_whole(topology: &Topology, core: &Core) -> bool {
    core.threads.is_subset(&topology.usable)
}

fn is_slow(core: &Core) -> bool {
    core.kind == CoreKind::Efficiency
}

/// Orders cores by how well they suit a measurement. Of equal cores, the last one is the highest.
fn rank(topology: &Topology, core: &Core) -> (bool, bool, bool, u32) {
    let last = core.threads.first().unwrap_or(0);
    (!is_slow(core), is_whole(topology, core), !core.threads.contains(0), last)
}

#[cfg(test)]
mod tests;
