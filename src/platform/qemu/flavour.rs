//! What follows the colon in `qemu:linux-q35-smp2`: a guest system, and what its machine is like. Pure.

use crate::guest::system::unikernel::Ready;
use crate::guest::system::unikraft;
use crate::model::names::named_enum;
use crate::model::platform::Accelerator;
use crate::model::program::Program;
use crate::model::units::Bytes;
use crate::platform::process::watch::ExitBehavior;

named_enum! {
    /// What boots in the machine.
    pub enum GuestSystem ("guest system") {
        /// Our own smallest guest, its own kernel.
        Null = "null",
        /// The distribution's kernel with exactly one program.
        Linux = "linux",
        /// A Debian with systemd.
        Debian = "debian",
        /// A unikernel with one program in its kernel.
        Unikraft = "unikraft",
        /// A unikernel that runs a program of Linux.
        Osv = "osv",
        /// A unikernel in OCaml, on Solo5.
        Mirage = "mirage",
    }
}

named_enum! {
    /// A machine of QEMU's, by the name that QEMU gives it.
    pub enum MachineType ("machine type") {
        /// Of today, with PCI Express.
        Q35 = "q35",
        /// Of 1996, with PCI.
        Pc = "pc",
        /// The least, with neither.
        Microvm = "microvm",
    }
}

/// A guest system in a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flavour {
    /// What boots.
    pub system: GuestSystem,
    /// The machine.
    pub machine: MachineType,
    /// Its processors.
    pub vcpus: u32,
    /// What it is to be executed by; `None` leaves it to what works here.
    pub accelerator: Option<Accelerator>,
}

/// More processors than a benchmark of ours has a use for.
const MOST_VCPUS: u32 = 64;

impl GuestSystem {
    /// The machine that it is measured in when the name tells none: the least that it boots in without ado.
    const fn machine(self) -> MachineType {
        match self {
            GuestSystem::Null | GuestSystem::Linux => MachineType::Microvm,
            GuestSystem::Debian => MachineType::Q35,
            // They speak multiboot and find their devices by PCI.
            GuestSystem::Unikraft | GuestSystem::Mirage => MachineType::Pc,
            GuestSystem::Osv => MachineType::Q35,
        }
    }

    /// Whether it is a unikernel, whose images come from upstream's sources.
    pub(super) const fn is_unikernel(self) -> bool {
        matches!(self, GuestSystem::Unikraft | GuestSystem::Osv | GuestSystem::Mirage)
    }

    /// Whether it is given a network card: the others have no driver for one, or nothing here tells them their address.
    pub(super) const fn has_card(self) -> bool {
        !matches!(self, GuestSystem::Null | GuestSystem::Osv | GuestSystem::Mirage)
    }

    /// Whether it tells by a line how its program ended; of another one the monitor's own exit code is all there is.
    pub(super) const fn tells_its_end(self) -> bool {
        !matches!(self, GuestSystem::Osv)
    }

    /// What its machine does once its program has ended. Unikraft's may be left on (its elfloader's notes of 0.17).
    pub(in crate::platform) const fn after_word(self) -> ExitBehavior {
        if matches!(self, GuestSystem::Unikraft) { ExitBehavior::MayStay } else { ExitBehavior::Ends }
    }

    /// Whether nothing but its port tells that a server in it serves.
    pub(in crate::platform) fn is_ready_by_port(self, program: Program) -> bool {
        self == GuestSystem::Unikraft && unikraft::ready(program) == Ready::Port
    }

    /// What an idle machine takes of the host's memory, generously: emulated ones of QEMU 10.0.2 took 40, 210 and 350 MiB.
    pub(in crate::platform) const fn idle_memory(self) -> Bytes {
        match self {
            GuestSystem::Null => Bytes(64 << 20),
            GuestSystem::Unikraft | GuestSystem::Osv | GuestSystem::Mirage => Bytes(128 << 20),
            GuestSystem::Linux => Bytes(256 << 20),
            GuestSystem::Debian => Bytes(512 << 20),
        }
    }
}

impl Flavour {
    /// Reads `linux`, `linux-q35`, `null-pc-tcg`, `debian-smp2`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('-');
        let system: GuestSystem = words.next()?.parse().ok()?;
        let plain = Self { system, machine: system.machine(), vcpus: 1, accelerator: None };
        let flavour = words.try_fold(plain, Self::with)?;
        // A platform has one name: in this order, and without what is usual.
        (flavour.to_string() == text).then_some(flavour)
    }

    fn with(self, word: &str) -> Option<Self> {
        let vcpus = |word: &str| word.strip_prefix("smp")?.parse().ok().filter(|n| (2..=MOST_VCPUS).contains(n));
        match (word.parse(), word.parse()) {
            (Ok(machine), _) => Some(Self { machine, ..self }),
            (_, Ok(accelerator)) if accelerator != Accelerator::None => {
                Some(Self { accelerator: Some(accelerator), ..self })
            }
            _ => Some(Self { vcpus: vcpus(word)?, ..self }),
        }
    }

    fn named_machine(&self) -> String {
        let Self { system, machine, .. } = self;
        format!("{system}-{machine}{}", self.rest())
    }

    fn rest(&self) -> String {
        let vcpus = if self.vcpus > 1 { format!("-smp{}", self.vcpus) } else { String::new() };
        let accelerator = self.accelerator.map_or_else(String::new, |accelerator| format!("-{accelerator}"));
        vcpus + &accelerator
    }
}

impl std::fmt::Display for Flavour {
    /// As it is written on the command line, without what is usual.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.machine == self.system.machine() {
            true => f.pad(&format!("{}{}", self.system, self.rest())),
            false => f.pad(&self.named_machine()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::least("null", MachineType::Microvm, 1, None)]
    #[case::machine("linux-q35", MachineType::Q35, 1, None)]
    #[case::processors("debian-smp2", MachineType::Q35, 2, None)]
    #[case::all("linux-pc-smp4-tcg", MachineType::Pc, 4, Some(Accelerator::Tcg))]
    fn a_name_tells_the_machine(
        #[case] name: &str,
        #[case] machine: MachineType,
        #[case] vcpus: u32,
        #[case] accelerator: Option<Accelerator>,
    ) {
        let flavour = Flavour::parse(name).expect("a flavour");
        assert_eq!((flavour.machine, flavour.vcpus, flavour.accelerator), (machine, vcpus, accelerator));
    }

    #[rstest]
    #[case("")]
    #[case("windows")]
    #[case("linux-")]
    #[case("linux-none")]
    #[case("linux-smp1")]
    #[case("linux-smp65")]
    #[case("linux-microvm")]
    #[case("linux-smp2-q35")]
    #[case("linux-q35-pc")]
    #[case("linux-smp2-smp3")]
    fn what_is_no_name_is_none(#[case] name: &str) {
        assert_eq!(Flavour::parse(name), None, "{name}");
    }
}
