//! The machine of a session.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::host::facts::HostFacts;

/// Identifies a machine by its hardware: the first 16 hexadecimal digits of a digest.
///
/// The key does not depend on the kernel. Both arms of an ab session have the same kernel, so its ratio outlives an upgrade;
/// runs whose hosts differ in anything never share an anchor. It does not depend on the size of the memory either, which
/// varies with the kernel's reserve from boot to boot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostKey(String);

/// The facts that do not depend on installed software.
const HARDWARE: [&str; 8] =
    ["architecture", "cpu model", "cpu vendor", "logical cpus", "sockets", "cores", "virtualised", "machine"];

/// An invalid host key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid host key `{0}`; expected 16 hexadecimal digits")]
pub struct NoHostKey(String);

impl HostKey {
    /// The key of the host with these facts; `None` if its processor is unknown.
    pub fn of(facts: &HostFacts) -> Option<Self> {
        facts.cpu_model.as_ref()?;
        Some(Self(digest(facts, |name| HARDWARE.contains(&name), 8)))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A digest of all facts, which changes with the kernel, the microcode and the settings.
pub(super) fn digest_of(facts: &HostFacts) -> String {
    digest(facts, |_| true, 6)
}

/// The first bytes of a digest of the facts whose names `includes` accepts.
fn digest(facts: &HostFacts, includes: impl Fn(&str) -> bool, bytes: usize) -> String {
    let facts = facts.comparable().into_iter().filter(|(name, _)| includes(name));
    let text: String = facts.map(|(name, value)| format!("{name}={value}\n")).collect();
    hexadecimal(&Sha256::digest(text)[..bytes])
}

/// The machine in words: `AMD EPYC 7763, 4 CPUs`.
pub(super) fn in_words(facts: &HostFacts) -> String {
    let model = facts.cpu_model.as_deref().unwrap_or("unknown processor");
    let cpus = facts.logical_cpus.map(|n| format!(", {n} CPUs")).unwrap_or_default();
    let virtual_one = if facts.virtualized == Some(true) { ", virtual" } else { "" };
    format!("{model}{cpus}{virtual_one}")
}

/// The bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl TryFrom<String> for HostKey {
    type Error = NoHostKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // The key comes from files of other machines and becomes a file name.
        let is_key = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if is_key { Ok(Self(text)) } else { Err(NoHostKey(text)) }
    }
}

impl From<HostKey> for String {
    fn from(key: HostKey) -> Self {
        key.0
    }
}

impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> HostFacts {
        HostFacts {
            architecture: Some("x86_64".to_owned()),
            cpu_model: Some("EPYC".to_owned()),
            logical_cpus: Some(4),
            sockets: Some(1),
            cores: Some(2),
            virtualized: Some(false),
            machine: Some("Acme 1".to_owned()),
            ..HostFacts::default()
        }
    }

    #[test]
    fn an_upgrade_changes_the_facts_and_not_the_key() {
        let upgraded = HostFacts {
            kernel: Some("6.12".to_owned()),
            microcode: Some("0x2".to_owned()),
            mitigations: [("spectre_v2".to_owned(), "Retpolines".to_owned())].into(),
            clock_source: Some("tsc".to_owned()),
            transparent_hugepages: Some("madvise".to_owned()),
            governors: ["performance".to_owned()].into(),
            ..facts()
        };
        assert_eq!(HostKey::of(&facts()), HostKey::of(&upgraded));
        let microcode = HostFacts { microcode: Some("0x2".to_owned()), ..facts() };
        let all = [facts(), upgraded, microcode].map(|facts| digest_of(&facts));
        assert!(all[0] != all[1] && all[1] != all[2] && all[0] != all[2], "{all:?}");
    }

    #[test]
    fn a_machine_shares_its_key_with_no_other() {
        let others: [fn(&mut HostFacts); 4] = [
            |other| other.cpu_model = Some("Xeon".to_owned()),
            |other| other.logical_cpus = Some(8),
            |other| other.virtualized = Some(true),
            |other| other.machine = Some("Acme 2".to_owned()),
        ];
        for (number, change) in others.into_iter().enumerate() {
            let mut other = facts();
            change(&mut other);
            assert_ne!(HostKey::of(&facts()), HostKey::of(&other), "{number}");
        }
        assert_eq!(HostKey::of(&HostFacts::default()), None, "an unknown host is not comparable with itself");
    }

    #[test]
    fn no_key_is_a_path() {
        for text in ["", "../../etc/passwd", "0123456789abcde/", "0123456789ABCDEF", "0123456789abcdef0"] {
            assert!(HostKey::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
