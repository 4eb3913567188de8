//! A set of logical CPUs, in the kernel's list format (`0-3,8`).

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Logical CPUs by their kernel number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CpuSet(BTreeSet<u32>);

impl CpuSet {
    /// The set of one CPU.
    pub fn one(cpu: u32) -> Self {
        Self(BTreeSet::from([cpu]))
    }

    /// The CPUs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    /// The lowest CPU; `None` if the set is empty.
    pub fn first(&self) -> Option<u32> {
        self.0.first().copied()
    }

    /// The number of CPUs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set has no CPU.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `cpu` is in the set.
    pub fn contains(&self, cpu: u32) -> bool {
        self.0.contains(&cpu)
    }

    /// The CPUs of `self` that are not in `other`.
    pub fn minus(&self, other: &CpuSet) -> CpuSet {
        Self(self.0.difference(&other.0).copied().collect())
    }

    /// The CPUs in either set.
    pub fn union(&self, other: &CpuSet) -> CpuSet {
        Self(self.0.union(&other.0).copied().collect())
    }

    /// Whether every CPU of `self` is in `other`.
    pub fn is_subset(&self, other: &CpuSet) -> bool {
        self.0.is_subset(&other.0)
    }
}

impl FromIterator<u32> for CpuSet {
    fn from_iter<I: IntoIterator<Item = u32>>(cpus: I) -> Self {
        Self(cpus.into_iter().collect())
    }
}

/// A text that is not a CPU list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid CPU list `{0}`; expected a list such as 0-3,8")]
pub struct ParseCpuSetError(String);

/// The highest accepted CPU number, so that a damaged file cannot result in a huge set. Linux's `NR_CPUS` is at most 8,192.
const MAX_CPU: u32 = 8191;

impl FromStr for CpuSet {
    type Err = ParseCpuSetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || ParseCpuSetError(text.trim().to_owned());
        let mut cpus = BTreeSet::new();
        for part in text.trim().split(',').filter(|p| !p.is_empty()) {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let low: u32 = low.trim().parse().map_err(|_| invalid())?;
            let high: u32 = high.trim().parse().map_err(|_| invalid())?;
            if low > high || high > MAX_CPU {
                return Err(invalid());
            }
            cpus.extend(low..=high);
        }
        Ok(Self(cpus))
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.iter().copied().peekable();
        let mut separator = "";
        while let Some(low) = rest.next() {
            let mut high = low;
            while let Some(next) = rest.next_if_eq(&(high + 1)) {
                high = next;
            }
            match high - low {
                0 => write!(f, "{separator}{low}")?,
                _ => write!(f, "{separator}{low}-{high}")?,
            }
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_parsed_and_printed_in_the_kernels_format() {
        for text in ["", "0", "0-3", "0-1,4,6-8"] {
            assert_eq!(text.parse::<CpuSet>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("0-3\n".parse::<CpuSet>().map(|s| s.len()), Ok(4));
    }

    #[test]
    fn an_invalid_list_is_rejected() {
        for text in ["x", "3-1", "0-99999999", "-1", "1-"] {
            assert!(text.parse::<CpuSet>().is_err(), "{text}");
        }
    }
}
