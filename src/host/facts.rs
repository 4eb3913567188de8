//! Facts about the host that a result depends on, and which of them make two hosts not comparable.
//!
//! Invariant: a fact that cannot be learnt is `None`, never a guess. The host's name is left out on purpose: results
//! are published.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tools;
use crate::model::units::Bytes;

/// What is known about a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case")]
pub struct HostFacts {
    /// The instruction set: `x86_64`.
    pub architecture: Option<String>,
    /// The processor's name.
    pub cpu_model: Option<String>,
    /// Its maker.
    pub cpu_vendor: Option<String>,
    /// Its microcode revision.
    pub microcode: Option<String>,
    /// Online hardware threads.
    pub logical_cpus: Option<usize>,
    /// Sockets with an online CPU.
    pub sockets: Option<usize>,
    /// Cores with an online CPU.
    pub cores: Option<usize>,
    /// Whether some core runs more than one hardware thread.
    pub smt: Option<bool>,
    /// The frequency governors in use; empty where the host has no frequency scaling of its own.
    pub governors: BTreeSet<String>,
    /// Whether the processor may exceed its base frequency.
    pub turbo: Option<bool>,
    /// CPUs that the kernel keeps free of ordinary work, as a list.
    pub isolated_cpus: Option<String>,
    /// What the kernel does against each processor vulnerability; it changes the price of a system call.
    pub mitigations: BTreeMap<String, String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The operating system's name and version.
    pub os: Option<String>,
    /// All memory.
    pub memory: Option<Bytes>,
    /// All swap space; zero is a fact.
    pub swap: Option<Bytes>,
    /// How control groups are mounted: `v1`, `v2` or `hybrid`.
    pub cgroup: Option<String>,
    /// Whether the host is itself a virtual machine.
    pub virtualised: Option<bool>,
    /// The machine as its firmware names it: maker and product; under a hypervisor, the hypervisor's.
    pub machine: Option<String>,
    /// When the kernel uses huge pages: `always`, `madvise`, `never`.
    pub transparent_hugepages: Option<String>,
    /// Address space randomisation: 0 off, 1 without the heap, 2 full.
    pub aslr: Option<u8>,
    /// The kernel's clock source.
    pub clock_source: Option<String>,
    /// Who runs the harness; 0 is root.
    pub effective_uid: Option<u32>,
    /// The version line of each tool found; `None` for one that did not tell.
    pub tools: BTreeMap<String, Option<String>>,
    /// The project's git revision.
    pub revision: Option<String>,
}

/// How long one tool may take to tell its version.
const TOOL_DEADLINE: Duration = Duration::from_secs(5);

impl HostFacts {
    /// Everything about this host: reads `/`, asks the tools for their versions and `project` for its revision.
    pub fn survey(project: &Path) -> Self {
        let revision = read::revision(project);
        Self { tools: tools::versions(TOOL_DEADLINE), revision, ..Self::read(Path::new("/")) }
    }

    /// The facts as runs and sessions store them; one that is not understood is an unknown one, and the others stand.
    pub fn stored(facts: &BTreeMap<String, Value>) -> Self {
        let read = |facts: Map<String, Value>| serde_json::from_value::<Self>(Value::Object(facts));
        let fact = |(name, value): (&String, &Value)| (name.clone(), value.clone());
        let understood = facts.iter().map(fact).filter(|fact| read([fact.clone()].into_iter().collect()).is_ok());
        read(understood.collect()).unwrap_or_default()
    }

    /// Whether the harness has root's rights.
    pub fn is_root(&self) -> bool {
        self.effective_uid == Some(0)
    }

    /// The facts that a comparison depends on, as text.
    pub(crate) fn comparable(&self) -> BTreeMap<String, String> {
        let text = |o: &Option<String>| o.clone();
        let count = |o: Option<usize>| o.map(|n| n.to_string());
        let facts = [
            ("architecture", text(&self.architecture)),
            ("cpu model", text(&self.cpu_model)),
            ("cpu vendor", text(&self.cpu_vendor)),
            ("microcode", text(&self.microcode)),
            ("logical cpus", count(self.logical_cpus)),
            ("sockets", count(self.sockets)),
            ("cores", count(self.cores)),
            ("smt", self.smt.map(on_off)),
            ("governors", Some(self.governors.iter().cloned().collect::<Vec<_>>().join(", "))),
            ("turbo", self.turbo.map(on_off)),
            ("isolated cpus", text(&self.isolated_cpus)),
            ("kernel", text(&self.kernel)),
            ("swap", self.swap.map(|b| b.to_string())),
            ("cgroup mode", text(&self.cgroup)),
            ("virtualised", self.virtualised.map(|v| if v { "yes" } else { "no" }.to_owned())),
            ("machine", text(&self.machine)),
            ("transparent hugepages", text(&self.transparent_hugepages)),
            ("aslr", self.aslr.map(|n| n.to_string())),
            ("clock source", text(&self.clock_source)),
        ];
        let known = facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        known.chain(self.mitigations.iter().map(|(k, v)| (format!("mitigation of {k}"), v.clone()))).collect()
    }
}

/// The facts which make two hosts not comparable, one sentence each: `kernel: 6.8.0 against 6.12.1`.
///
/// A fact that is unknown on either side tells nothing. Memory may differ by a per cent, as the kernel's own reserve
/// does from boot to boot. Tools and the project's revision are not compared: what they build has its own digest.
pub fn differences(a: &HostFacts, b: &HostFacts) -> Vec<String> {
    let theirs = b.comparable();
    let differs = |(name, mine): (String, String)| {
        let other = theirs.get(&name).filter(|other| **other != mine)?;
        Some(format!("{name}: {mine} against {other}"))
    };
    let mut all: Vec<String> = a.comparable().into_iter().filter_map(differs).collect();
    if let (Some(mine), Some(other)) = (a.memory, b.memory)
        && mine.0.abs_diff(other.0) > mine.0.max(other.0) / 100
    {
        all.push(format!("memory: {mine} against {other}"));
    }
    all
}

fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_is_not_understood_hides_no_other() {
        let stored = BTreeMap::from([("kernel".to_owned(), "6.8.0".into()), ("smt".to_owned(), "perhaps".into())]);
        let host = HostFacts { kernel: Some("6.8.0".to_owned()), ..HostFacts::default() };
        assert_eq!(HostFacts::stored(&stored), host);
    }

    #[test]
    fn a_host_is_comparable_with_itself_and_with_its_next_boot() {
        let host = HostFacts { kernel: Some("6.8.0".to_owned()), memory: Some(Bytes(1 << 34)), ..HostFacts::default() };
        let rebooted = HostFacts { memory: Some(Bytes((1 << 34) - (1 << 20))), ..host.clone() };
        assert!(differences(&host, &host).is_empty() && differences(&host, &rebooted).is_empty());
    }

    #[test]
    fn every_difference_is_named_with_both_values() {
        let mitigations = |how: &str| BTreeMap::from([("spectre_v2".to_owned(), how.to_owned())]);
        let a = HostFacts {
            kernel: Some("6.8.0".to_owned()),
            turbo: Some(true),
            memory: Some(Bytes(1 << 34)),
            mitigations: mitigations("Retpolines"),
            ..HostFacts::default()
        };
        let b = HostFacts {
            kernel: Some("6.12.1".to_owned()),
            turbo: Some(false),
            memory: Some(Bytes(1 << 35)),
            mitigations: mitigations("Vulnerable"),
            ..HostFacts::default()
        };
        assert_eq!(
            differences(&a, &b),
            [
                "kernel: 6.8.0 against 6.12.1",
                "mitigation of spectre_v2: Retpolines against Vulnerable",
                "turbo: on against off",
                "memory: 16.0 GiB against 32.0 GiB",
            ]
        );
        assert_eq!(differences(&a, &b).len(), differences(&b, &a).len());
    }

    #[test]
    fn an_unknown_fact_and_another_compiler_tell_nothing() {
        let a = HostFacts { microcode: Some("0x1".to_owned()), ..HostFacts::default() };
        let tools = BTreeMap::from([("cc".to_owned(), Some("cc 12".to_owned()))]);
        let b = HostFacts { tools, revision: Some("0".repeat(40)), ..HostFacts::default() };
        assert!(differences(&a, &b).is_empty());
    }

    #[test]
    fn facts_of_an_older_run_read_with_what_they_have() {
        let facts: HostFacts = serde_json::from_str(r#"{"kernel":"6.1","tools":{"cc":null}}"#).unwrap();
        assert_eq!((facts.kernel.as_deref(), facts.memory, facts.tools["cc"].as_deref()), (Some("6.1"), None, None));
    }
}
