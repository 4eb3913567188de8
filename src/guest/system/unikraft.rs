//! Unikraft: the properties of its images, and how a monitor starts them.
//!
//! `docs/unikernels.md` explains the facts about upstream that this module relies on.

use std::net::Ipv4Addr;

use super::System;
use super::unikernel::{self, Manifest, Monitor, Ready, UnikernelError};
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// The name of the image set and its folder, and the flavor of a platform.
pub const NAME: &str = "unikraft";

/// The programs with an image: all except for `probe`, which needs Linux.
pub const PROGRAMS: &[Program] = &[
    Program::Hello,
    Program::Sleep,
    Program::Prime,
    Program::Stream,
    Program::Open,
    Program::Read,
    Program::Write,
    Program::Stat,
    Program::Fork,
    Program::Sqlite,
    Program::Nginx,
    Program::Redis,
];

/// The monitors that every image is built for.
pub const MONITORS: &[Monitor] = &[Monitor::Qemu, Monitor::Firecracker];

/// QEMU's machine type. Unikraft's drivers need virtio on PCI, and its clock needs the i8254 and the CMOS clock.
pub const MACHINE: &str = "pc";

/// QEMU's device that lets the guest power off, at its default port 0x501. QEMU's exit status then has no meaning: the
/// program's status is in the line `FW exit code N`.
pub const EXIT_DEVICE: &str = "isa-debug-exit";

/// The address of a guest with a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The guest's address.
    pub ip: Ipv4Addr,
    /// The length of the network's prefix, in bits.
    pub prefix: u8,
    /// The gateway; `None` if the guest stays within its network.
    pub gateway: Option<Ipv4Addr>,
}

/// Returns what `monitor` boots for `program`.
///
/// # Errors
/// When the image is missing or changed.
pub fn system(folders: &Folders, program: Program, monitor: Monitor) -> Result<System, UnikernelError> {
    unikernel::system(folders, NAME, program, monitor)
}

/// Loads the manifest of the image of `program`.
///
/// # Errors
/// When the image does not exist, or its manifest cannot be parsed.
pub fn manifest(folders: &Folders, program: Program) -> Result<Manifest, UnikernelError> {
    unikernel::load(folders, NAME, program)
}

/// Returns the memory of a guest with `program`.
///
/// Upstream's examples boot with 8 MiB, and serve Redis with 256 MiB. STREAM has three arrays of 64 MiB. The database
/// of `sqlite` with its 60,000 rows is in an in-memory file system.
pub const fn memory(program: Program) -> Bytes {
    let mebibytes = match program {
        Program::Hello | Program::Sleep => 16,
        Program::Stream => 512,
        Program::Sqlite | Program::Redis => 256,
        _ => 64,
    };
    Bytes(mebibytes << 20)
}

/// Returns how `program` shows that it is ready. A server is Unikraft's own port and does not print `FW ready`.
pub const fn ready(program: Program) -> Ready {
    if program.is_server() { Ready::Port } else { Ready::Line }
}

/// Returns the peculiarities of `program` that matter for its results.
pub const fn notes(program: Program) -> &'static [&'static str] {
    match program {
        Program::Fork => &["Unikraft has no fork: the program prints the error of errno and exits with code 1"],
        Program::Nginx => &[
            "Unikraft's port of Nginx, not the host's: no sendfile, one process",
            "ready when its port answers; it may stop answering after some load, and lwIP bounds its connections",
        ],
        Program::Redis => &[
            "Unikraft's port of Redis, not the host's",
            "ready when its port answers; lwIP bounds its connections to about 60",
        ],
        Program::Sqlite => {
            &["Unikraft's port of SQLite; its version differs from other guests and is in the result line"]
        }
        Program::Open | Program::Read | Program::Write | Program::Stat => {
            &["native: a system call is a function call and does not enter a kernel"]
        }
        _ => &[],
    }
}

/// Returns the kernel's command line for a program's arguments.
///
/// Unikraft reads its own parameters only between the first word, the name, and `--`. QEMU prepends the kernel's path.
/// Firecracker prepends nothing, and inserts its devices before `--` if an argument follows. So the line for
/// Firecracker needs both a name and an argument.
pub fn command_line(program: Program, monitor: Monitor, arguments: &[String], network: Option<&Address>) -> String {
    let arguments = arguments.iter().map(|argument| quoted(argument)).collect::<Vec<_>>().join(" ");
    let parameters = network.map(|address| format!(" {}", address.parameter())).unwrap_or_default();
    match monitor {
        // Without parameters, all words are arguments of the program.
        Monitor::Qemu if network.is_none() => arguments,
        _ if arguments.is_empty() => format!("{program}{parameters} -- {DEFAULT_ARGUMENT}"),
        _ => format!("{program}{parameters} -- {arguments}"),
    }
}

/// An argument with its default value, for command lines that need an argument.
const DEFAULT_ARGUMENT: &str = "report_ms=1000";

impl Address {
    /// Returns the parameter that sets the address: `netdev.ip=CIDR[:GATEWAY[:DNS0[:DNS1[:HOST[:DOMAIN]]]]]`.
    fn parameter(&self) -> String {
        let gateway = self.gateway.map(|gateway| format!(":{gateway}:::")).unwrap_or_default();
        format!("netdev.ip={}/{}{gateway}", self.ip, self.prefix)
    }
}

/// Quotes an argument that contains spaces. Arguments of guest programs contain no quotes.
fn quoted(argument: &str) -> String {
    if argument.contains(char::is_whitespace) { format!("'{argument}'") } else { argument.to_owned() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ADDRESS: Address =
        Address { ip: Ipv4Addr::new(172, 44, 0, 2), prefix: 24, gateway: Some(Ipv4Addr::new(172, 44, 0, 1)) };

    #[rstest]
    #[case::arguments_only(Monitor::Qemu, "deadline=5 dir=/tmp", None, "deadline=5 dir=/tmp")]
    #[case::nothing(Monitor::Qemu, "", None, "")]
    #[case::with_a_network(
        Monitor::Qemu,
        "deadline=5",
        Some(ADDRESS),
        "nginx netdev.ip=172.44.0.2/24:172.44.0.1::: -- deadline=5"
    )]
    #[case::the_name_precedes_the_parameters(Monitor::Firecracker, "deadline=5", None, "nginx -- deadline=5")]
    #[case::an_argument_follows_the_dashes(Monitor::Firecracker, "", None, "nginx -- report_ms=1000")]
    #[case::all(
        Monitor::Firecracker,
        "deadline=5",
        Some(Address { gateway: None, ..ADDRESS }),
        "nginx netdev.ip=172.44.0.2/24 -- deadline=5"
    )]
    fn a_command_line_has_the_kernels_format(
        #[case] monitor: Monitor,
        #[case] arguments: &str,
        #[case] network: Option<Address>,
        #[case] expected: &str,
    ) {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        assert_eq!(command_line(Program::Nginx, monitor, &arguments, network.as_ref()), expected);
    }

    #[test]
    fn an_argument_with_spaces_is_quoted() {
        let line = command_line(Program::Sqlite, Monitor::Qemu, &["dir=/a b".into(), "rows=5".into()], None);
        assert_eq!(line, "'dir=/a b' rows=5");
    }

    #[test]
    fn peculiarities_are_noted() {
        assert!(notes(Program::Fork)[0].contains("no fork"));
        for &program in PROGRAMS {
            assert_eq!(ready(program) == Ready::Port, program.is_server(), "{program}");
            assert!(!program.is_server() || !notes(program).is_empty(), "{program}");
        }
    }

    #[test]
    fn there_is_memory_for_a_programs_data() {
        assert!(memory(Program::Stream).0 > 3 * (64 << 20));
        assert_eq!(memory(Program::Hello), Bytes(16 << 20));
    }

    #[test]
    fn a_built_image_has_a_manifest_and_a_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let folders = unikernel::tests::folders(dir.path());
        unikernel::tests::store(&folders, NAME, Program::Hello, "abc");
        assert_eq!(manifest(&folders, Program::Hello).unwrap().program, Program::Hello);
        assert!(system(&folders, Program::Hello, Monitor::Qemu).is_ok());
        assert!(system(&folders, Program::Hello, Monitor::Firecracker).is_err());
    }
}
