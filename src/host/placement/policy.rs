//! Decides who runs where: topology and placement in, CPU sets out.
//!
//! Invariants: the victim's CPU depends on the host alone, so that every placement compares with every other; nobody is
//! placed outside the usable CPUs; no attacker is on the victim's CPU unless the placement is the same thread.

use crate::host::{Core, CoreKind, Socket, Topology};
use crate::model::cpuset::CpuSet;
use crate::model::placement::Placement;

/// Who runs where. An empty set means that the host's scheduler decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The victim's one CPU.
    pub victim: CpuSet,
    /// One set for each attacker.
    pub attackers: Vec<CpuSet>,
    /// The harness, its samplers and background work: an idle core where there is one.
    pub harness: CpuSet,
    /// The load generator of a server: apart from the victim's core and from the attackers' where there is room.
    pub client: CpuSet,
}

/// Where servers and their load generator run when nothing else is placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apart {
    /// The victims' and the background's CPUs.
    pub victims: CpuSet,
    /// The load generator's.
    pub client: CpuSet,
}

/// Why a host does not have a placement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{placement} is not possible here: {reason}")]
pub struct NotOnThisHost {
    /// What was asked for.
    pub placement: Placement,
    /// Why it cannot be, in words.
    pub reason: String,
}

/// Assigns CPUs for `placement` on the host.
///
/// The victim has the first thread of the last whole core of the socket with the most usable cores: CPU 0 serves
/// interrupts and is avoided, performance cores are preferred. Attackers are one, or one a thread for `fill`.
///
/// # Errors
/// When the host lacks what the placement needs.
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
    let refuse = |reason: String| NotOnThisHost { placement, reason };
    let host = Host::of(topology).ok_or_else(|| refuse("this process may use no CPU".to_owned()))?;
    let attackers = match placement {
        Placement::Unpinned | Placement::Alone => Ok(Vec::new()),
        Placement::SameThread => Ok(vec![host.victim]),
        Placement::SameCore => host.sibling().map(|cpu| vec![cpu]),
        Placement::SameSocket => host.neighbour().map(|cpu| vec![cpu]),
        Placement::OtherSocket => host.stranger().map(|cpu| vec![cpu]),
        Placement::Fill => host.rest_of_socket(),
    };
    let attackers = attackers.map_err(refuse)?;
    Ok(Assignment {
        harness: host.harness_beside(&attackers),
        client: host.client_beside(&attackers),
        victim: CpuSet::one(host.victim),
        attackers: attackers.into_iter().map(CpuSet::one).collect(),
    })
}

/// Divides the usable CPUs between servers and their load generator: the first third of the cores, at least one, is the
/// load generator's, since CPU 0 serves interrupts. On one core its threads are divided; on one CPU both share it.
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

/// With whom a load generator on the CPUs `client` shares one of them, as a caution in words; `None` when it has them to
/// itself, and when nobody is placed.
pub fn client_shares(client: &CpuSet, victim: &CpuSet, attackers: &[CpuSet]) -> Option<String> {
    let shared = |other: &CpuSet| client.iter().find(|&cpu| other.contains(cpu));
    let with = |cpu: u32, whom: &str| format!("the load generator shares CPU {cpu} with {whom}");
    let attacked = || attackers.iter().find_map(shared).map(|cpu| with(cpu, "an attacker"));
    shared(victim).map(|cpu| with(cpu, "its server")).or_else(attacked)
}

/// The host as seen from the victim.
struct Host<'t> {
    topology: &'t Topology,
    socket: &'t Socket,
    core: &'t Core,
    victim: u32,
}

impl<'t> Host<'t> {
    /// Chooses the victim's CPU; `None` when none is usable.
    fn of(topology: &'t Topology) -> Option<Self> {
        let whole = |s: &Socket| s.cores.iter().filter(|c| is_whole(topology, c) && !is_slow(c)).count();
        let some = |s: &Socket| s.cores.iter().filter(|c| !usable(topology, c).is_empty()).count();
        let socket = topology.sockets.iter().filter(|s| some(s) > 0).max_by_key(|s| (whole(s), some(s), s.id))?;
        let core = socket.cores.iter().filter(|c| !usable(topology, c).is_empty()).max_by_key(|c| rank(topology, c))?;
        let threads = usable(topology, core);
        let victim = threads.iter().find(|&cpu| cpu != 0).or(threads.first())?;
        Some(Self { topology, socket, core, victim })
    }

    fn sibling(&self) -> Result<u32, String> {
        let siblings = self.topology.siblings(self.victim);
        match siblings.iter().find(|&cpu| self.topology.usable.contains(cpu)) {
            Some(cpu) => Ok(cpu),
            None if !self.topology.is_smt() => Err("this host's cores have one hardware thread each".to_owned()),
            None if siblings.is_empty() => Err(format!("the core of CPU {} has one hardware thread", self.victim)),
            None => Err(format!("this process may not use CPU {siblings}, the sibling of CPU {}", self.victim)),
        }
    }

    /// A thread of another core of the socket: not the harness's core unless there is no other, preferably one that
    /// shares the last-level cache.
    fn neighbour(&self) -> Result<u32, String> {
        let shared = self.topology.last_level(self.victim).map(|c| c.cpus.clone()).unwrap_or_default();
        let quality =
            |core: &Core| (self.spares_harness(core), core.threads.is_subset(&shared), rank(self.topology, core));
        let other = self.other_cores(self.socket).max_by_key(|c| quality(c));
        other.and_then(|core| self.attacked_thread(core)).ok_or_else(|| self.no_other_core())
    }

    fn stranger(&self) -> Result<u32, String> {
        let others = self.topology.sockets.iter().filter(|s| s.id != self.socket.id);
        let cores = others.flat_map(|s| self.other_cores(s));
        let core = cores.max_by_key(|c| (self.spares_harness(c), rank(self.topology, c)));
        core.and_then(|c| self.attacked_thread(c)).ok_or_else(|| match self.topology.sockets.len() {
            1 => "this host has one socket".to_owned(),
            _ => "this process may use the CPUs of one socket only".to_owned(),
        })
    }

    fn rest_of_socket(&self) -> Result<Vec<u32>, String> {
        let rest: Vec<u32> = self.other_cores(self.socket).flat_map(|c| self.usable(c)).collect();
        if rest.is_empty() { Err(self.no_other_core()) } else { Ok(rest) }
    }

    /// A core that measures nothing, else what is not the victim's core, else what is not its CPU, else everything.
    fn harness_beside(&self, attackers: &[u32]) -> CpuSet {
        let usable = &self.topology.usable;
        let is_idle = |c: &&Core| *c != self.core && !attackers.iter().any(|&a| c.threads.contains(a));
        let threads = |c: &Core| Some(self.usable(c).collect()).filter(|set: &CpuSet| !set.is_empty());
        let core = self.topology.cores().filter(is_idle).find_map(threads);
        let off_core = || Some(usable.minus(&self.core.threads)).filter(|s| !s.is_empty());
        let off_cpu = || Some(usable.minus(&CpuSet::one(self.victim))).filter(|s| !s.is_empty());
        core.or_else(off_core).or_else(off_cpu).unwrap_or_else(|| usable.clone())
    }

    /// What is on the victim's socket beside its core and the attackers' cores, else anywhere beside them; else beside the
    /// victim's core and the attackers' CPUs; else off the victim's core, else off its CPU, else everything.
    fn client_beside(&self, attackers: &[u32]) -> CpuSet {
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

    /// Whether `core` is not the one that the harness has when nobody attacks.
    fn spares_harness(&self, core: &Core) -> bool {
        !self.harness_beside(&[]).iter().any(|cpu| core.threads.contains(cpu))
    }

    fn attacked_thread(&self, core: &Core) -> Option<u32> {
        self.usable(core).next()
    }

    fn usable(&self, core: &Core) -> impl Iterator<Item = u32> + use<'t> {
        usable(self.topology, core).iter().collect::<Vec<_>>().into_iter()
    }

    fn no_other_core(&self) -> String {
        match self.socket.cores.len() {
            1 => "the victim's socket has one core".to_owned(),
            _ => "this process may use one core of the victim's socket only".to_owned(),
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

/// Orders cores by how well they suit a measurement; the last of equals wins.
fn rank(topology: &Topology, core: &Core) -> (bool, bool, bool, u32) {
    let last = core.threads.first().unwrap_or(0);
    (!is_slow(core), is_whole(topology, core), !core.threads.contains(0), last)
}

#[cfg(test)]
mod tests;
