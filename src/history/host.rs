//! Which machine a session ran on.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::host::facts::HostFacts;

/// Names a machine by what two comparable ones have in common: the first 16 hexadecimal digits of a digest.
///
/// The kernel is not in it. Of an ab session both arms had the same one, so that its ratio outlives an upgrade, and a change
/// point there is worth seeing; runs of two kernels never share an anchor. Nor is memory, whose size differs
/// by the kernel's own reserve from boot to boot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostKey(String);

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no host key: 16 hexadecimal digits are")]
pub struct NoHostKey(String);

impl HostKey {
    /// The key of the host with those facts; `None` where nothing is known that would tell it from another.
    pub fn of(facts: &HostFacts) -> Option<Self> {
        let known: Vec<_> = facts.comparable().into_iter().filter(|(name, _)| name != "kernel").collect();
        facts.cpu_model.as_ref()?;
        let mut digest = Sha256::new();
        for (name, value) in known {
            digest.update(format!("{name}={value}\n"));
        }
        Some(Self(hexadecimal(&digest.finalize()[..8])))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The machine in words: `AMD EPYC 7763, 4 CPUs`.
pub(super) fn in_words(facts: &HostFacts) -> String {
    let model = facts.cpu_model.as_deref().unwrap_or("unknown processor");
    let cpus = facts.logical_cpus.map(|n| format!(", {n} CPUs")).unwrap_or_default();
    let virtual_one = if facts.virtualised == Some(true) { ", virtual" } else { "" };
    format!("{model}{cpus}{virtual_one}")
}

/// The bytes as lower-case hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl TryFrom<String> for HostKey {
    type Error = NoHostKey;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // It becomes a file's name, and comes from files of other machines.
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

    fn facts(kernel: &str, model: &str) -> HostFacts {
        HostFacts { kernel: Some(kernel.to_owned()), cpu_model: Some(model.to_owned()), ..HostFacts::default() }
    }

    #[test]
    fn a_machine_keeps_its_key_over_a_kernel_and_shares_it_with_no_other() {
        let key = |kernel, model| HostKey::of(&facts(kernel, model)).unwrap();
        assert_eq!(key("6.8", "EPYC"), key("6.12", "EPYC"));
        assert_ne!(key("6.8", "EPYC"), key("6.8", "Xeon"));
        assert_eq!(HostKey::of(&HostFacts::default()), None, "an unknown host is not comparable with itself");
    }

    #[test]
    fn no_key_is_a_path() {
        for text in ["", "../../etc/passwd", "0123456789abcde/", "0123456789ABCDEF", "0123456789abcdef0"] {
            assert!(HostKey::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
