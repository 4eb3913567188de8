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
        /// Our own minimal guest, which is its own kernel.
        Null = "null",
        /// The distribution's kernel with exactly one program.
        Linux = "linux",
        /// A Debian with systemd.
        Debian = "debian",
        /// A unikernel with one program in its kernel.
        Unikraft = "unikraft",
        /// A unikernel that runs a Linux program.
        Osv = "osv",
        /// A unikernel in OCaml, on Solo5.
        Mirage = "mirage",
    }
}

named_enum! {
    /// A machine type, by QEMU's name.
    pub enum MachineType ("machine type") {
        /// A current machine with PCI Express.
        Q35 = "q35",
        /// A machine of 1996 with PCI.
        Pc = "pc",
        /// The minimal machine, with neither.
        Microvm = "microvm",
    }
}

/// A guest system in a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flavor {
    /// What boots.
    pub system: GuestSystem,
    /// The machine.
    pub machine: MachineType,
    /// The number of virtual CPUs.
    pub vcpus: u32,
    /// What executes it; `None` takes the best that works here.
    pub accelerator: Option<Accelerator>,
}

/// More virtual CPUs than any of our benchmarks can use.
const MOST_VCPUS: u32 = 64;

impl GuestSystem {
    /// The machine that it is measured in unless the name says otherwise: the smallest one that boots it unchanged.
    const fn machine(self) -> MachineType {
        match self {
            GuestSystem::Null | GuestSystem::Linux => MachineType::Microvm,
            GuestSystem::Debian | GuestSystem::Osv => MachineType::Q35,
            // They need multiboot and find their devices through PCI.
            GuestSystem::Unikraft | GuestSystem::Mirage => MachineType::Pc,
        }
    }

    /// Whether a Linux kernel boots.
    pub(in crate::platform) const fn is_linux(self) -> bool {
        matches!(self, GuestSystem::Linux | GuestSystem::Debian)
    }

    /// Whether it is a unikernel, whose images are built from upstream's sources.
    pub(super) const fn is_unikernel(self) -> bool {
        matches!(self, GuestSystem::Unikraft | GuestSystem::Osv | GuestSystem::Mirage)
    }

    /// Whether it gets a network card: the others have no driver for one, or no way to learn their address.
    pub(super) const fn has_network_card(self) -> bool {
        !matches!(self, GuestSystem::Null | GuestSystem::Osv | GuestSystem::Mirage)
    }

    /// Whether it prints how its program ended; otherwise only the monitor's exit code is known.
    pub(super) const fn reports_exit(self) -> bool {
        !matches!(self, GuestSystem::Osv)
    }

    /// What its machine does after its program ended. Unikraft's may stay on (release notes of elfloader 0.17).
    pub(in crate::platform) const fn exit_behavior(self) -> ExitBehavior {
        if matches!(self, GuestSystem::Unikraft) { ExitBehavior::MayStay } else { ExitBehavior::Ends }
    }

    /// Whether only its port shows that the server in it is ready.
    pub(in crate::platform) fn is_ready_by_port(self, program: Program) -> bool {
        self == GuestSystem::Unikraft && unikraft::ready(program) == Ready::Port
    }

    /// The memory of the host that an idle machine uses, estimated generously: emulated ones of QEMU 10.0.2 used 40, 210
    /// and 350 MiB.
    pub(in crate::platform) const fn idle_memory(self) -> Bytes {
        match self {
            GuestSystem::Null => Bytes(64 << 20),
            GuestSystem::Unikraft | GuestSystem::Osv | GuestSystem::Mirage => Bytes(128 << 20),
            GuestSystem::Linux => Bytes(256 << 20),
            GuestSystem::Debian => Bytes(512 << 20),
        }
    }
}

impl Flavor {
    /// Parses `linux`, `linux-q35`, `null-pc-tcg` or `debian-smp2`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split('-');
        let system: GuestSystem = words.next()?.parse().ok()?;
        let plain = Self { system, machine: system.machine(), vcpus: 1, accelerator: None };
        let flavor = words.try_fold(plain, Self::with)?;
        // A platform has exactly one name: in this order, and without defaults.
        (flavor.to_string() == text).then_some(flavor)
    }

    fn with(self, word: &str) -> Option<Self> {
        if let Ok(machine) = word.parse() {
            return Some(Self { machine, ..self });
        }
        match word.parse() {
            Ok(Accelerator::None) => None,
            Ok(accelerator) => Some(Self { accelerator: Some(accelerator), ..self }),
            Err(_) => {
                let vcpus = word.strip_prefix("smp")?.parse().ok()?;
                (2..=MOST_VCPUS).contains(&vcpus).then_some(Self { vcpus, ..self })
            }
        }
    }
}

impl std::fmt::Display for Flavor {
    /// As it is written on the command line, without defaults.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = self.system.to_string();
        if self.machine != self.system.machine() {
            text += &format!("-{}", self.machine);
        }
        if self.vcpus > 1 {
            text += &format!("-smp{}", self.vcpus);
        }
        if let Some(accelerator) = self.accelerator {
            text += &format!("-{accelerator}");
        }
        f.pad(&text)
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
    fn a_name_defines_the_machine(
        #[case] name: &str,
        #[case] machine: MachineType,
        #[case] vcpus: u32,
        #[case] accelerator: Option<Accelerator>,
    ) {
        let flavor = Flavor::parse(name).expect("a flavor");
        assert_eq!((flavor.machine, flavor.vcpus, flavor.accelerator), (machine, vcpus, accelerator));
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
    fn other_text_is_not_a_flavor(#[case] name: &str) {
        assert_eq!(Flavor::parse(name), None, "{name}");
    }
}
