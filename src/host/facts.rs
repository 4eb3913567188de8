//! Facts about the host that affect results, and which of them must agree for two hosts to be comparable.
//!
//! Invariant: an unknown fact is `None`, never a guess. The host's name is left out on purpose, since results are
//! published.

mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::tools;
use crate::model::units::Bytes;

/// The facts about a host.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "snake_case")]
pub struct HostFacts {
    /// The instruction set: `x86_64`.
    pub architecture: Option<String>,
    /// The processor's name.
    pub cpu_model: Option<String>,
    /// The processor's vendor.
    pub cpu_vendor: Option<String>,
    /// The processor's microcode revision.
    pub microcode: Option<String>,
    /// Online hardware threads.
    pub logical_cpus: Option<usize>,
    /// Sockets with an online CPU.
    pub sockets: Option<usize>,
    /// Cores with an online CPU.
    pub cores: Option<usize>,
    /// Whether some core runs more than one hardware thread.
    pub smt: Option<bool>,
    /// The frequency governors in use; empty if the host does not scale frequencies.
    pub governors: BTreeSet<String>,
    /// Whether the processor may exceed its base frequency.
    pub turbo: Option<bool>,
    /// The CPUs that the kernel isolates from ordinary scheduling, as a list.
    pub isolated_cpus: Option<String>,
    /// The kernel's mitigation of each processor vulnerability. Mitigations change the cost of system calls.
    pub mitigations: BTreeMap<String, String>,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// The operating system's name and version.
    pub os: Option<String>,
    /// Total memory.
    pub memory: Option<Bytes>,
    /// Total swap space; zero if there is none.
    pub swap: Option<Bytes>,
    /// How control groups are mounted: `v1`, `v2` or `hybrid`.
    pub cgroup: Option<String>,
    /// Whether the host is itself a virtual machine.
    #[serde(rename = "virtualised")]
    pub virtualized: Option<bool>,
    /// The vendor and product that the firmware reports; in a virtual machine, those of the hypervisor.
    pub machine: Option<String>,
    /// When the kernel uses huge pages: `always`, `madvise`, `never`.
    pub transparent_hugepages: Option<String>,
    /// Address space randomization: 0 off, 1 without the heap, 2 full.
    pub aslr: Option<u8>,
    /// The kernel's clock source.
    pub clock_source: Option<String>,
    /// The user that runs the harness; 0 is root.
    pub effective_uid: Option<u32>,
    /// The version line of each installed tool; `None` for one that did not print it.
    pub tools: BTreeMap<String, Option<String>>,
    /// The project's git revision.
    pub revision: Option<String>,
}

/// How long one tool may take to print its version.
const TOOL_DEADLINE: Duration = Duration::from_secs(5);

impl HostFacts {
    /// Collects all facts about this host, the versions of its tools and the revision of `project`.
    pub fn survey(project: &Path) -> Self {
        let revision = read::revision(project);
        Self { tools: tools::versions(TOOL_DEADLINE), revision, ..Self::read(Path::new("/")) }
    }

    /// Reads facts as runs and sessions store them. A fact with an invalid value counts as unknown; the others are kept.
    pub fn stored(facts: &BTreeMap<String, Value>) -> Self {
        let read = |facts: Map<String, Value>| serde_json::from_value::<Self>(Value::Object(facts));
        let is_valid = |name: &String, value: &Value| read(Map::from_iter([(name.clone(), value.clone())])).is_ok();
        let valid = facts.iter().filter(|(name, value)| is_valid(name, value));
        read(valid.map(|(name, value)| (name.clone(), value.clone())).collect()).unwrap_or_default()
    }

    /// Whether root runs the harness.
    pub fn is_root(&self) -> bool {
        self.effective_uid == Some(0)
    }

    /// The facts that must agree for two hosts to be comparable, as text. Names are part of the stored host key.
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
            ("virtualised", self.virtualized.map(|v| if v { "yes" } else { "no" }.to_owned())),
            ("machine", text(&self.machine)),
            ("transparent hugepages", text(&self.transparent_hugepages)),
            ("aslr", self.aslr.map(|n| n.to_string())),
            ("clock source", text(&self.clock_source)),
        ];
        let known = facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        known.chain(self.mitigations.iter().map(|(k, v)| (format!("mitigation of {k}"), v.clone()))).collect()
    }
}

/// The facts that make two hosts incomparable, one line each: `kernel: 6.8.0 against 6.12.1`.
///
/// A fact that is unknown on either side is not compared. Memory may differ by 1 %, since the kernel reserves a different
/// amount at each boot. Tools and the project's revision are not compared, because what they build has its own digest.
pub fn differences(a: &HostFacts, b: &HostFacts) -> Vec<String> {
    let facts_of_b = b.comparable();
    let mut differences = Vec::new();
    for (name, of_a) in a.comparable() {
        if let Some(of_b) = facts_of_b.get(&name).filter(|of_b| **of_b != of_a) {
            differences.push(format!("{name}: {of_a} against {of_b}"));
        }
    }
    if let (Some(of_a), Some(of_b)) = (a.memory, b.memory)
        && of_a.0.abs_diff(of_b.0) > of_a.0.max(of_b.0) / 100
    {
        differences.push(format!("memory: {of_a} against {of_b}"));
    }
    differences
}

fn on_off(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invalid_fact_does_not_hide_the_others() {
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
    fn an_unknown_fact_and_another_compiler_are_not_differences() {
        let a = HostFacts { microcode: Some("0x1".to_owned()), ..HostFacts::default() };
        let tools = BTreeMap::from([("cc".to_owned(), Some("cc 12".to_owned()))]);
        let b = HostFacts { tools, revision: Some("0".repeat(40)), ..HostFacts::default() };
        assert!(differences(&a, &b).is_empty());
    }

    #[test]
    fn facts_of_an_older_version_can_be_read() {
        let facts: HostFacts = serde_json::from_str(r#"{"kernel":"6.1","tools":{"cc":null}}"#).unwrap();
        assert_eq!((facts.kernel.as_deref(), facts.memory, facts.tools["cc"].as_deref()), (Some("6.1"), None, None));
    }
}
