//! QEMU's command line. Pure: options as in `qemu-system-x86_64(1)`, QEMU 7.2 to 10.
//!
//! The user's QEMU configuration and default devices have no effect: this line alone defines what is measured.

use std::os::fd::RawFd;
use std::path::Path;

use super::flavor::{Flavor, GuestSystem, MachineType};
use crate::guest::system::System;
use crate::model::platform::Accelerator;
use crate::model::units::Bytes;

/// The port that ends the machine: our guests write to 0xf4, as QEMU's documentation does.
const DEBUG_EXIT: &str = "isa-debug-exit,iobase=0xf4,iosize=4";

/// The port in Unikraft's driver (`plat/kvm/x86`, pull request 1019) and in Solo5's (`bindings/virtio/platform.c`), which
/// is QEMU's default.
const DEFAULT_DEBUG_EXIT: &str = "isa-debug-exit,iobase=0x501,iosize=2";

/// MiB of translated code that emulation keeps. With the default of 1 GiB, a booted Linux fills about 60 MiB. With 32 an
/// idle Linux uses a tenth less memory and boots as fast; with 8 its boot takes half as long again (QEMU 10.0.2).
const TRANSLATIONS_MIB: u32 = 32;

/// What a machine consists of.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    /// Its name, for people who list processes.
    pub(super) name: &'a str,
    pub(super) flavor: Flavor,
    pub(super) accelerator: Accelerator,
    pub(super) system: &'a System,
    pub(super) memory: Bytes,
    /// The kernel's command line.
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
    pub(super) mac: String,
    /// Whether the host's kernel forwards its packets.
    pub(super) vhost: bool,
}

/// The arguments, without the program's own name.
pub(super) fn arguments(machine: &Machine<'_>) -> Vec<String> {
    let mut words = Words::default();
    words.pair("-name", format!("{},debug-threads=on", machine.name));
    words.all(&["-no-user-config", "-nodefaults", "-no-reboot", "-display", "none"]);
    words.pair("-machine", kind(machine.flavor));
    words.pair("-accel", accelerator(machine));
    words.pair("-cpu", if machine.accelerator == Accelerator::Kvm { "host" } else { "max" });
    words.pair("-smp", machine.flavor.vcpus.to_string());
    words.pair("-m", format!("{}k", machine.memory.0 >> 10));
    words.all(&["-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]);
    words.pair("-chardev", format!("socket,id=monitor,fd={}", machine.monitor));
    words.all(&["-mon", "chardev=monitor,mode=control"]);
    words.pair("-device", debug_exit(machine.flavor.system));
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

/// The machine, without the parts that its guest does not use. The null guest needs no timers and no ACPI. Linux finds its
/// devices in the ACPI tables, and an option ROM loads it.
fn kind(flavor: Flavor) -> String {
    let options = match (flavor.machine, flavor.system) {
        (MachineType::Microvm, GuestSystem::Null) => ",x-option-roms=off,pit=off,pic=off,rtc=off,acpi=off",
        (MachineType::Microvm, _) => ",auto-kernel-cmdline=off",
        (MachineType::Q35 | MachineType::Pc, _) => "",
    };
    format!("{}{options}", flavor.machine)
}

fn accelerator(machine: &Machine<'_>) -> String {
    match machine.accelerator {
        Accelerator::Kvm => "kvm".to_owned(),
        _ => {
            let threads = if machine.flavor.vcpus > 1 { "multi" } else { "single" };
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

/// A virtio device on the machine's bus, without the boot ROM, which would only cost time.
fn device(machine: &Machine<'_>, kind: &str, options: &str) -> String {
    match machine.flavor.machine {
        MachineType::Microvm => format!("{kind}-device,{options}"),
        MachineType::Q35 | MachineType::Pc if kind == "virtio-net" => format!("{kind}-pci,{options},romfile="),
        MachineType::Q35 | MachineType::Pc => format!("{kind}-pci,{options}"),
    }
}

/// QEMU separates options by commas, so a comma in a path is doubled.
fn path(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn line(flavor: &str, accelerator: Accelerator, disk: bool, card: Option<Card>) -> String {
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
            flavor: Flavor::parse(flavor).expect("a flavor"),
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
        #[case] flavor: &str,
        #[case] accelerator: Accelerator,
        #[case] disk: bool,
        #[case] card: Option<Card>,
    ) {
        insta::with_settings!({ snapshot_suffix => flavor }, {
            insta::assert_snapshot!(line(flavor, accelerator, disk, card));
        });
    }
}
