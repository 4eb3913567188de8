//! The configuration of an image: what it asks for, and whether it was given. Pure.
//!
//! kconfig drops, without a word, what it does not know and what its dependencies do not allow. So every symbol that is
//! asked for is looked up in the configuration that came out.

use std::fmt;

use crate::guest::system::unikernel::Monitor;
use crate::model::program::Program;

/// A symbol and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol {
    name: &'static str,
    /// None: switched off, however a library implies it.
    value: Option<String>,
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "CONFIG_{}={value}", self.name),
            None => write!(f, "# CONFIG_{} is not set", self.name),
        }
    }
}

/// The machine, the C library with its clock, and the console as standard output.
const BASE: &[&str] = &[
    "PLAT_KVM",
    "ARCH_X86_64",
    // One line, which also ends the firmware's last one.
    "LIBUKBOOT_BANNER_MINIMAL",
    "LIBMUSL",
    "LIBPOSIX_TIME",
    "LIBPOSIX_TTY",
    "LIBPOSIX_TTY_STDIO",
    "LIBPOSIX_TTY_STDOUT_SERIAL",
];

/// Files in memory, from an archive in the kernel: nothing has to be passed along.
const FILES: &[&str] = &[
    "LIBPOSIX_VFS_SYSCALLS",
    "LIBPOSIX_VFS_FSTAB",
    "LIBPOSIX_VFS_FSTAB_BUILTIN",
    "LIBPOSIX_VFS_FSTAB_BUILTIN_EINITRD",
];

/// lwIP, with an address from the command line. Of its sources those that it was booted with.
const NETWORK: &[&str] = &[
    "LIBLWIP",
    "LWIP_UNIKRAFT21X",
    "LWIP_UKNETDEV",
    "LWIP_AUTOIFACE",
    "LWIP_THREADS",
    "LWIP_SOCKET",
    "LWIP_TCP",
    "LWIP_IPV4",
    "LIBUKNETDEV_EINFO_LIBPARAM",
    "LIBVIRTIO_NET",
];

/// Whether the image of `program` has files.
pub(super) const fn has_files(program: Program) -> bool {
    !matches!(program, Program::Hello | Program::Sleep | Program::Prime | Program::Stream | Program::Fork)
}

/// Everything that the image of `program` for `monitor` asks for.
pub(super) fn wanted(program: Program, monitor: Monitor) -> Vec<Symbol> {
    let named = Symbol { name: "UK_NAME", value: Some(format!("\"{program}\"")) };
    // The old file system layer, which keeps the new one from serving system calls.
    let off = Symbol { name: "LIBVFSCORE", value: None };
    let files = if has_files(program) { FILES } else { &[] };
    let network = if program.is_server() { NETWORK } else { &[] };
    let switches = [BASE, files, network, of_program(program), of_monitor(monitor, program.is_server())].concat();
    let switches = switches.into_iter().map(|name| Symbol { name, value: Some("y".to_owned()) });
    [named, off].into_iter().chain(switches).collect()
}

/// The library of a program that is one of upstream's. Its main function stays off: ours calls it.
const fn of_program(program: Program) -> &'static [&'static str] {
    match program {
        Program::Sqlite => &["LIBSQLITE"],
        Program::Nginx => &["LIBNGINX"],
        Program::Redis => {
            &["LIBREDIS", "LIBREDIS_SERVER", "LIBREDIS_LUA", "LIBPOSIX_PROCESS_MULTITHREADING", "LIBPOSIX_FUTEX"]
        }
        _ => &[],
    }
}

/// The way of booting and the bus of the devices.
const fn of_monitor(monitor: Monitor, network: bool) -> &'static [&'static str] {
    match (monitor, network) {
        (Monitor::Firecracker, _) => &[
            "KVM_VMM_FIRECRACKER",
            "KVM_BOOT_PROTO_LXBOOT",
            "LIBVIRTIO_MMIO",
            "VIRTIO_MMIO_LINUX_COMPAT_CMDLINE",
            "LIBUKPS2_SYSRESET",
            "LIBUKPM",
            "LIBNS16550",
            "LIBNS16550_EARLY_CONSOLE",
        ],
        (_, true) => &["KVM_VMM_QEMU", "LIBVIRTIO_PCI", "LIBUKBUS_PCI"],
        (_, false) => &["KVM_VMM_QEMU"],
    }
}

/// The text that `make defconfig` reads.
pub(super) fn defconfig(wanted: &[Symbol]) -> String {
    wanted.iter().map(|symbol| format!("{symbol}\n")).collect()
}

/// What of `wanted` the configuration that came out has not, or has otherwise. One that is off may also be unknown.
pub(super) fn dropped<'a>(wanted: &'a [Symbol], resolved: &str) -> Vec<&'a Symbol> {
    let lines: Vec<&str> = resolved.lines().map(str::trim_end).collect();
    let is_given = |symbol: &&Symbol| match &symbol.value {
        Some(_) => lines.contains(&symbol.to_string().as_str()),
        None => !lines.iter().any(|line| line.starts_with(&format!("CONFIG_{}=", symbol.name))),
    };
    wanted.iter().filter(|symbol| !is_given(symbol)).collect()
}

#[cfg(test)]
mod tests {
    use crate::guest::system::unikraft::{MONITORS, PROGRAMS};

    use super::*;

    #[test]
    fn what_kconfig_drops_is_seen() {
        let wanted = wanted(Program::Hello, Monitor::Qemu);
        let whole = defconfig(&wanted);
        assert_eq!(dropped(&wanted, &whole), Vec::<&Symbol>::new());
        let resolved = whole
            .replace("CONFIG_LIBPOSIX_TIME=y\n", "# CONFIG_LIBPOSIX_TIME is not set\n")
            .replace("CONFIG_LIBMUSL=y\n", "")
            .replace("CONFIG_UK_NAME=\"hello\"", "CONFIG_UK_NAME=\"app\"")
            .replace("# CONFIG_LIBVFSCORE is not set", "CONFIG_LIBVFSCORE=y");
        let told: Vec<String> = dropped(&wanted, &resolved).into_iter().map(Symbol::to_string).collect();
        assert_eq!(
            told.join("; "),
            "CONFIG_UK_NAME=\"hello\"; # CONFIG_LIBVFSCORE is not set; CONFIG_LIBMUSL=y; CONFIG_LIBPOSIX_TIME=y"
        );
        let unknown = whole.replace("# CONFIG_LIBVFSCORE is not set\n", "");
        assert_eq!(dropped(&wanted, &unknown), Vec::<&Symbol>::new());
    }

    #[test]
    fn no_image_asks_for_a_symbol_twice() {
        for (&program, &monitor) in PROGRAMS.iter().flat_map(|p| MONITORS.iter().map(move |m| (p, m))) {
            let mut names: Vec<_> = wanted(program, monitor).into_iter().map(|symbol| symbol.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{program} for {monitor}");
        }
    }

    #[test]
    fn an_image_asks_for_what_its_program_and_monitor_need() {
        let text = |program, monitor| defconfig(&wanted(program, monitor));
        assert_eq!(
            text(Program::Hello, Monitor::Qemu),
            "CONFIG_UK_NAME=\"hello\"\n# CONFIG_LIBVFSCORE is not set\nCONFIG_PLAT_KVM=y\nCONFIG_ARCH_X86_64=y\n\
             CONFIG_LIBUKBOOT_BANNER_MINIMAL=y\nCONFIG_LIBMUSL=y\nCONFIG_LIBPOSIX_TIME=y\nCONFIG_LIBPOSIX_TTY=y\n\
             CONFIG_LIBPOSIX_TTY_STDIO=y\nCONFIG_LIBPOSIX_TTY_STDOUT_SERIAL=y\nCONFIG_KVM_VMM_QEMU=y\n"
        );
        let nginx = text(Program::Nginx, Monitor::Firecracker);
        for symbol in ["LIBNGINX", "LIBLWIP", "LIBPOSIX_VFS_FSTAB_BUILTIN_EINITRD", "KVM_BOOT_PROTO_LXBOOT"] {
            assert!(nginx.contains(&format!("CONFIG_{symbol}=y\n")), "{symbol}");
        }
        assert!(!nginx.contains("MAIN_FUNCTION") && !nginx.contains("PCI"), "{nginx}");
        assert!(!text(Program::Stat, Monitor::Qemu).contains("LWIP"));
    }
}
