//! Firecracker's configuration and command line. Pure: fields as in `src/firecracker/swagger/firecracker.yaml`, options as
//! in `firecracker --help`, Firecracker 1.8 to 1.13.
//!
//! Firecracker reads a file instead of requests on its API socket, which is off: one thread less, and a boot is one step.
//! So nothing reports when the monitor is up, and there is no such event.

use std::os::fd::RawFd;

use serde_json::{Value, json};

use crate::guest::system::System;
use crate::guest::system::unikernel::Monitor;
use crate::model::units::Bytes;
use crate::platform::LaunchSpec;
use crate::platform::machine::append::{self, Network};
use crate::platform::qemu::GuestSystem;

/// The kernel's words for this machine: a console on the serial port that prints only a panic; a reset by the keyboard
/// controller, which ends the monitor; no PCI bus; and no probing of a keyboard, which would slow every boot down.
const KERNEL_WORDS: &[&str] = &[
    "console=ttyS0",
    "loglevel=1",
    "panic=-1",
    "reboot=k",
    "pci=off",
    "i8042.noaux",
    "i8042.nomux",
    "i8042.nopnp",
    "i8042.dumbkbd",
];

/// Room for what Firecracker adds: ` pci=off`, and ` virtio_mmio.device=4K@0xd0000000:5` for each device.
const ADDED_BYTES: usize = 64;

/// What a machine consists of.
#[derive(Debug)]
pub(super) struct Machine<'a> {
    pub(super) vcpus: u32,
    pub(super) memory: Bytes,
    pub(super) system: &'a System,
    /// The kernel's command line.
    pub(super) append: &'a str,
    pub(super) card: Option<Card>,
}

/// A network card.
#[derive(Debug, Clone)]
pub(super) struct Card {
    /// The tap's name.
    pub(super) tap: String,
    pub(super) mac: String,
}

/// The kernel's command line for `system` with the program of `spec` in it; a Linux gets `more` words.
///
/// # Errors
/// Fails if an argument cannot be part of a command line.
pub(super) fn line(
    system: GuestSystem,
    spec: &LaunchSpec,
    network: Option<Network>,
    more: impl Iterator<Item = String>,
) -> Result<String, String> {
    match system {
        GuestSystem::Unikraft => append::unikraft(spec, Monitor::Firecracker, network),
        _ => {
            let words = KERNEL_WORDS.iter().map(|&word| word.to_owned()).chain(more);
            append::line(words.collect(), spec, network, ADDED_BYTES)
        }
    }
}

/// `memory` rounded up to whole MiB, as Firecracker needs it.
pub(super) fn whole_mebibytes(memory: Bytes) -> Bytes {
    Bytes(memory.0.div_ceil(Bytes::MIB.0).max(1) * Bytes::MIB.0)
}

/// The configuration file.
pub(super) fn config(machine: &Machine<'_>) -> Value {
    let mut boot = json!({
        "kernel_image_path": machine.system.kernel.display().to_string(),
        "boot_args": machine.append,
    });
    if let Some(initrd) = &machine.system.initrd {
        boot["initrd_path"] = json!(initrd.display().to_string());
    }
    let card = |card: &Card| json!({ "iface_id": "eth0", "guest_mac": card.mac, "host_dev_name": card.tap });
    json!({
        "boot-source": boot,
        "drives": [],
        "machine-config": {
            "vcpu_count": machine.vcpus,
            "mem_size_mib": machine.memory.0 / Bytes::MIB.0,
            "smt": false,
            "track_dirty_pages": false,
        },
        "network-interfaces": machine.card.iter().map(card).collect::<Vec<_>>(),
    })
}

/// The arguments, without the program's own name. Its log and its configuration are inherited descriptors. Without a path,
/// the log would go to the standard output, which is the guest's console.
pub(super) fn arguments(name: &str, log: RawFd, config: RawFd) -> Vec<String> {
    let descriptor = |fd: RawFd| format!("/proc/self/fd/{fd}");
    let (log, config) = (descriptor(log), descriptor(config));
    ["--no-api", "--id", name, "--log-path", &log, "--level", "Error", "--config-file", &config]
        .map(str::to_owned)
        .into()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::model::program::Program;
    use crate::platform::firecracker::Flavor;
    use crate::platform::machine::append::tests::{network, spec};

    fn none() -> std::iter::Empty<String> {
        std::iter::empty()
    }

    fn written(name: &str, program: Program, connected: bool) -> String {
        let flavor = Flavor::parse(name).expect("a flavor");
        let is_linux = flavor.system == GuestSystem::Linux;
        let system = System {
            kernel: if is_linux { "/images/vmlinux".into() } else { "/images/kernel-fc".into() },
            initrd: is_linux.then(|| "/images/initrd.cpio".into()),
            disk: None,
            digest: String::new(),
            size: Bytes(0),
            memory: Bytes(128 << 20),
        };
        let network = connected.then(network);
        let append = line(flavor.system, &spec(program, &["rows=5"]), network, none()).expect("a line");
        let card = connected.then(|| Card { tap: "fw0p0".to_owned(), mac: "02:46:57:12:00:02".to_owned() });
        let machine = Machine { vcpus: flavor.vcpus, memory: system.memory, system: &system, append: &append, card };
        serde_json::to_string_pretty(&config(&machine)).expect("written")
    }

    #[rstest]
    #[case::least("linux", Program::Sqlite, false)]
    #[case::networked("linux-smp2", Program::Redis, true)]
    #[case::unikernel("unikraft", Program::Sqlite, false)]
    #[case::unikernel_that_serves("unikraft", Program::Nginx, true)]
    fn a_machine_is_configured_like_this(#[case] name: &str, #[case] program: Program, #[case] connected: bool) {
        insta::with_settings!({ snapshot_suffix => format!("{name}-{program}") }, {
            insta::assert_snapshot!(written(name, program, connected));
        });
    }

    #[test]
    fn the_words_of_an_arm_follow_those_of_the_kernel() {
        let command_line =
            |system| line(system, &spec(Program::Hello, &[]), None, ["quiet".to_owned()].into_iter()).expect("a line");
        assert!(command_line(GuestSystem::Linux).contains(" i8042.dumbkbd quiet fw.run=/fw/hello "));
        assert!(!command_line(GuestSystem::Unikraft).contains("quiet"));
    }

    #[test]
    fn its_log_and_its_configuration_are_descriptors() {
        let line = arguments("fw-20261121-084514-3f9a-0", 3, 4).join(" ");
        insta::assert_snapshot!(line, @"--no-api --id fw-20261121-084514-3f9a-0 --log-path /proc/self/fd/3 --level Error --config-file /proc/self/fd/4");
    }

    #[rstest]
    #[case(0, 1 << 20)]
    #[case((23 << 20) + 1, 24 << 20)]
    #[case(128 << 20, 128 << 20)]
    fn memory_is_whole_mebibytes(#[case] asked: u64, #[case] had: u64) {
        assert_eq!(whole_mebibytes(Bytes(asked)), Bytes(had));
    }

    #[test]
    fn what_firecracker_adds_has_room() {
        // 2,047 bytes, less the words around it.
        let monitor = |bytes: usize| {
            line(GuestSystem::Linux, &spec(Program::Hello, &[&"x".repeat(bytes)]), None, none()).map(|line| line.len())
        };
        let most = (1..2047).rev().find_map(|bytes| monitor(bytes).ok());
        assert_eq!(most, Some(2047 - ADDED_BYTES));
    }
}
