//! QEMU's command line, from what a machine is to be. Pure: options as in `qemu-system-x86_64(1)`, QEMU 7.2 to 10.
//!
//! Nothing that the user has configured enters, and no device that is not asked for: what is measured is this line.

use std::os::fd::RawFd;
use std::path::Path;

use super::flavour::{Flavour, GuestSystem, MachineType};
use crate::guest::system::System;
use crate::model::platform::Accelerator;
use crate::model::units::Bytes;

/// Where a guest ends its machine: QEMU's usual port of `isa-debug-exit`, which our guests write to.
const DEBUG_EXIT: &str = "isa-debug-exit,iobase=0xf4,iosize=4";

/// That of Unikraft's driver (`plat/kvm/x86`, pull request 1019) and of Solo5's (`bindings/virtio/platform.c`).
const DEFAULT_DEBUG_EXIT: &str = "isa-debug-exit,iobase=0x501,iosize=2";

/// MiB of translated code that emulation keeps. The usual gigabyte grows to some 60 MiB in a booted Linux; with 32 an idle
/// one takes a tenth less memory and boots as fast, with 8 it boots half as fast again (measured, QEMU 10.0.2).
const TRANSLATIONS_MIB: u32 = 32;

/// What a machine is started with.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    /// Its name for people who list processes.
    pub(super) name: &'a str,
    pub(super) flavour: Flavour,
    pub(super) accelerator: Accelerator,
    pub(super) system: &'a System,
    pub(super) memory: Bytes,
    /// The command line of the guest's kernel.
    pub(super) append: &'a str,
    /// The descriptor of the monitor's socket.
    pub(super) monitor: RawFd,
    pub(super) card: Option<Card>,
}

/// A network card.
#[derive(Debug, Clone)]
pub(super) struct Card {
    /// The descriptor of its tap.
    pub(super) tap: RawFd,
    /// Its hardware address.
    pub(super) mac: String,
    /// Whether the host's kernel moves its packets.
    pub(super) vhost: bool,
}

/// The arguments, without the program's own name.
pub(super) fn arguments(machine: &Machine<'_>) -> Vec<String> {
    let mut words = Words::default();
    words.pair("-name", format!("{},debug-threads=on", machine.name));
    words.all(&["-no-user-config", "-nodefaults", "-no-reboot", "-display", "none"]);
    words.pair("-machine", kind(machine.flavour));
    words.pair("-accel", accelerator(machine));
    words.pair("-cpu", if machine.accelerator == Accelerator::Kvm { "host" } else { "max" });
    words.pair("-smp", machine.flavour.vcpus.to_string());
    words.pair("-m", format!("{}k", machine.memory.0 >> 10));
    words.all(&["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    words.pair("-chardev", format!("socket,id=monitor,fd={}", machine.monitor));
    words.all(&["-mon", "chardev=monitor,mode=control"]);
    words.pair("-device", debug_exit(machine.flavour.system));
    words.pair("-kernel", path(&machine.system.kernel));
    words.pair("-append", machine.append);
    if let Some(initrd) = &machine.system.initrd {
        words.pair("-initrd", path(initrd));
    }
    if let Some(disk) = &machine.system.disk {
        words.pair("-drive", format!("id=root,file={},format=raw,if=none,snapshot=on,cache=unsafe", path(disk)));
        words.pair("-device", device(machine, "virtio-blk", "drive=root"));
    }
    if let Some(card) = &machine.card {
        let vhost = if card.vhost { ",vhost=on" } else { "" };
        words.pair("-netdev", format!("tap,id=network,fd={}{vhost}", card.tap));
        words.pair("-device", device(machine, "virtio-net", &format!("netdev=network,mac={}", card.mac)));
    }
    words.0
}

#[derive(Debug, Default)]
struct Words(Vec<String>);

impl Words {
    fn all(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|&word| word.to_owned()));
    }

    fn pair(&mut self, option: &str, value: impl Into<String>) {
        self.0.extend([option.to_owned(), value.into()]);
    }
}

/// The machine without what its guest has no use for. The null guest needs neither timers nor tables of them; Linux finds
/// its devices in ACPI's tables, and is loaded by an option ROM.
fn kind(flavour: Flavour) -> String {
    let options = match (flavour.machine, flavour.system) {
        (MachineType::Microvm, GuestSystem::Null) => ",x-option-roms=off,pit=off,pic=off,rtc=off,acpi=off",
        (MachineType::Microvm, _) => ",auto-kernel-cmdline=off",
        (MachineType::Q35 | MachineType::Pc, _) => "",
    };
    format!("{}{options}", flavour.machine)
}

fn accelerator(machine: &Machine<'_>) -> String {
    match machine.accelerator {
        Accelerator::Kvm => "kvm".to_owned(),
        _ => {
            let threads = if machine.flavour.vcpus > 1 { "multi" } else { "single" };
            format!("tcg,thread={threads},tb-size={TRANSLATIONS_MIB}")
        }
    }
}

fn debug_exit(system: GuestSystem) -> &'static str {
    match system {
        GuestSystem::Unikraft | GuestSystem::Mirage => DEFAULT_DEBUG_EXIT,
        _ => DEBUG_EXIT,
    }
}

/// A virtio device on the bus that the machine has; without a ROM to boot from, which would only be read.
fn device(machine: &Machine<'_>, kind: &str, options: &str) -> String {
    match machine.flavour.machine {
        MachineType::Microvm => format!("{kind}-device,{options}"),
        MachineType::Q35 | MachineType::Pc if kind == "virtio-net" => format!("{kind}-pci,{options},romfile="),
        MachineType::Q35 | MachineType::Pc => format!("{kind}-pci,{options}"),
    }
}

/// QEMU separates options by commas; one in a path is doubled.
fn path(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn line(flavour: &str, accelerator: Accelerator, disk: bool, card: Option<Card>) -> String {
        let system = System {
            kernel: "/images/kernel".into(),
            initrd: disk.then(|| "/images/initrd".into()),
            disk: disk.then(|| "/images/a,b/disk".into()),
            digest: String::new(),
            size: Bytes(0),
            memory: Bytes(128 << 20),
        };
        let machine = Machine {
            name: "fw-20261121-084514-3f9a-0",
            flavour: Flavour::parse(flavour).expect("a flavour"),
            accelerator,
            system: &system,
            memory: system.memory,
            append: "fw.run=/fw/hello -- deadline=1",
            monitor: 3,
            card,
        };
        arguments(&machine).join("\n").replace("\n-", " \\\n-").replace("\n", " ").replace("\\ ", "\n")
    }

    fn card(vhost: bool) -> Option<Card> {
        Some(Card { tap: 4, mac: "02:46:57:12:00:02".to_owned(), vhost })
    }

    #[rstest]
    #[case::least("null", Accelerator::Tcg, false, None)]
    #[case::networked("linux", Accelerator::Tcg, false, card(false))]
    #[case::hardware("linux-q35-smp2", Accelerator::Kvm, false, card(true))]
    #[case::disk("debian", Accelerator::Tcg, true, card(false))]
    #[case::disk_without_pci("debian-microvm-smp2", Accelerator::Tcg, true, None)]
    #[case::unikernel("unikraft", Accelerator::Kvm, false, card(false))]
    fn a_machine_is_started_like_this(
        #[case] flavour: &str,
        #[case] accelerator: Accelerator,
        #[case] disk: bool,
        #[case] card: Option<Card>,
    ) {
        insta::with_settings!({ snapshot_suffix => flavour }, {
            insta::assert_snapshot!(line(flavour, accelerator, disk, card));
        });
    }
}
