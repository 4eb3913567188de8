//! What follows the colon in `firecracker:linux-smp2`: a guest system and its number of virtual CPUs. Pure.

use crate::platform::qemu::GuestSystem;

/// A guest system in Firecracker's only machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flavor {
    /// What boots.
    pub system: GuestSystem,
    /// The number of virtual CPUs.
    pub vcpus: u32,
}

/// The most that Firecracker supports (`MAX_SUPPORTED_VCPUS`).
const MOST_VCPUS: u32 = 32;

impl Flavor {
    /// Parses `linux`, `unikraft` or `linux-smp2`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (system, rest) = text.split_once('-').map_or((text, None), |(system, rest)| (system, Some(rest)));
        let system = system.parse().ok().filter(|s| matches!(s, GuestSystem::Linux | GuestSystem::Unikraft))?;
        let vcpus = match rest {
            None => 1,
            Some(word) => word.strip_prefix("smp")?.parse().ok().filter(|n| (2..=MOST_VCPUS).contains(n))?,
        };
        // A platform has exactly one name: no `smp02`.
        Some(Self { system, vcpus }).filter(|flavor| flavor.to_string() == text)
    }
}

impl std::fmt::Display for Flavor {
    /// As it is written on the command line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.vcpus {
            1 => f.pad(self.system.name()),
            vcpus => f.pad(&format!("{}-smp{vcpus}", self.system)),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("linux", GuestSystem::Linux, 1)]
    #[case("unikraft", GuestSystem::Unikraft, 1)]
    #[case("linux-smp32", GuestSystem::Linux, 32)]
    fn a_name_defines_the_machine(#[case] name: &str, #[case] system: GuestSystem, #[case] vcpus: u32) {
        assert_eq!(Flavor::parse(name), Some(Flavor { system, vcpus }));
    }

    #[rstest]
    #[case("")]
    #[case("null")]
    #[case("debian")]
    #[case("linux-")]
    #[case("linux-q35")]
    #[case("linux-kvm")]
    #[case("linux-smp1")]
    #[case("linux-smp02")]
    #[case("linux-smp33")]
    #[case("linux-smp2-smp2")]
    fn other_text_is_not_a_flavor(#[case] name: &str) {
        assert_eq!(Flavor::parse(name), None, "{name}");
    }
}
