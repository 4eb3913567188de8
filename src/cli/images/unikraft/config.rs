//! The configuration of an image: the requested symbols, and a check of the result. Pure.
//!
//! kconfig silently drops unknown symbols and those with unmet dependencies. So every requested symbol is looked up in
//! the resolved configuration.

use std::fmt;

use crate::guest::system::unikernel::Monitor;
use crate::model::program::Program;

/// A symbol with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbol {
    name: &'static str,
    /// The value; `None` switches the symbol off even if a library implies it.
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
    // Prints one line, which also ends the firmware's last line.
    "LIBUKBOOT_BANNER_MINIMAL",
    "LIBMUSL",
    "LIBPOSIX_TIME",
    "LIBPOSIX_TTY",
    "LIBPOSIX_TTY_STDIO",
    "LIBPOSIX_TTY_STDOUT_SERIAL",
];

/// Files in memory, from an archive in the kernel: the command line needs no parameters for them.
const FILES: &[&str] = &[
    "LIBPOSIX_VFS_SYSCALLS",
    "LIBPOSIX_VFS_FSTAB",
    "LIBPOSIX_VFS_FSTAB_BUILTIN",
    "LIBPOSIX_VFS_FSTAB_BUILTIN_EINITRD",
];

/// lwIP, with an address from the command line. The version of its sources is the one that others have booted.
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

/// Returns the requested symbols of the image of `program` for `monitor`.
pub(super) fn requested(program: Program, monitor: Monitor) -> Vec<Symbol> {
    let name = Symbol { name: "UK_NAME", value: Some(format!("\"{program}\"")) };
    // The old file system layer prevents the new one from handling system calls.
    let old_files = Symbol { name: "LIBVFSCORE", value: None };
    let files = if has_files(program) { FILES } else { &[] };
    let network = if program.is_server() { NETWORK } else { &[] };
    let switches =
        [BASE, files, network, program_symbols(program), monitor_symbols(monitor, program.is_server())].concat();
    let switches = switches.into_iter().map(|name| Symbol { name, value: Some("y".to_owned()) });
    [name, old_files].into_iter().chain(switches).collect()
}

/// Returns the symbols of the upstream library that implements a program. The library's own entry point stays off,
/// because this project's `main` calls it.
const fn program_symbols(program: Program) -> &'static [&'static str] {
    match program {
        Program::Sqlite => &["LIBSQLITE"],
        Program::Nginx => &["LIBNGINX"],
        Program::Redis => {
            &["LIBREDIS", "LIBREDIS_SERVER", "LIBREDIS_LUA", "LIBPOSIX_PROCESS_MULTITHREADING", "LIBPOSIX_FUTEX"]
        }
        _ => &[],
    }
}

/// Returns the symbols for a monitor's boot protocol and device bus.
const fn monitor_symbols(monitor: Monitor, network: bool) -> &'static [&'static str] {
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

/// Returns the input of `make defconfig`.
pub(super) fn defconfig(requested: &[Symbol]) -> String {
    requested.iter().map(|symbol| format!("{symbol}\n")).collect()
}

/// Returns the requested symbols that the resolved configuration does not have, or has with another value. A symbol
/// that is switched off may be absent.
pub(super) fn dropped<'a>(requested: &'a [Symbol], resolved: &str) -> Vec<&'a Symbol> {
    let lines: Vec<&str> = resolved.lines().map(str::trim_end).collect();
    let is_resolved = |symbol: &&Symbol| match &symbol.value {
        Some(_) => lines.contains(&symbol.to_string().as_str()),
        None => !lines.iter().any(|line| line.starts_with(&format!("CONFIG_{}=", symbol.name))),
    };
    requested.iter().filter(|symbol| !is_resolved(symbol)).collect()
}

#[cfg(test)]
mod tests {
    use crate::guest::system::unikraft::{MONITORS, PROGRAMS};

    use super::*;

    #[test]
    fn dropped_symbols_are_found() {
        let requested = requested(Program::Hello, Monitor::Qemu);
        let complete = defconfig(&requested);
        assert_eq!(dropped(&requested, &complete), Vec::<&Symbol>::new());
        let resolved = complete
            .replace("CONFIG_LIBPOSIX_TIME=y\n", "# CONFIG_LIBPOSIX_TIME is not set\n")
            .replace("CONFIG_LIBMUSL=y\n", "")
            .replace("CONFIG_UK_NAME=\"hello\"", "CONFIG_UK_NAME=\"app\"")
            .replace("# CONFIG_LIBVFSCORE is not set", "CONFIG_LIBVFSCORE=y");
        let symbols: Vec<String> = dropped(&requested, &resolved).into_iter().map(Symbol::to_string).collect();
        assert_eq!(
            symbols.join("; "),
            "CONFIG_UK_NAME=\"hello\"; # CONFIG_LIBVFSCORE is not set; CONFIG_LIBMUSL=y; CONFIG_LIBPOSIX_TIME=y"
        );
        let unknown = complete.replace("# CONFIG_LIBVFSCORE is not set\n", "");
        assert_eq!(dropped(&requested, &unknown), Vec::<&Symbol>::new());
    }

    #[test]
    fn no_image_requests_a_symbol_twice() {
        for (&program, &monitor) in PROGRAMS.iter().flat_map(|p| MONITORS.iter().map(move |m| (p, m))) {
            let mut names: Vec<_> = requested(program, monitor).into_iter().map(|symbol| symbol.name).collect();
            let all = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), all, "{program} for {monitor}");
        }
    }

    #[test]
    fn an_image_requests_the_symbols_of_its_program_and_monitor() {
        let text = |program, monitor| defconfig(&requested(program, monitor));
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
