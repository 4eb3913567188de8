//! Unikraft: what its images hold, and how a monitor starts them.
//!
//! The facts of upstream that stand here are in `docs/unikernels.md`, each with where it was seen.

use std::net::Ipv4Addr;

use super::System;
use super::unikernel::{self, Manifest, Monitor, Ready, UnikernelError};
use crate::host::folders::Folders;
use crate::model::program::Program;
use crate::model::units::Bytes;

/// Its name: of the image set, of its folder, after the colon of a platform.
pub const NAME: &str = "unikraft";

/// The programs that are built: every one but the probe, which needs Linux.
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

/// The monitors that each is built for.
pub const MONITORS: &[Monitor] = &[Monitor::Qemu, Monitor::Firecracker];

/// QEMU's machine: its drivers are for virtio on PCI, its clock is set by the i8254 and the CMOS clock.
pub const MACHINE: &str = "pc";

/// QEMU's device that lets it power off, at its default port 0x501. The exit status that QEMU then has is no status of
/// the program: that is in the line `FW exit code N`.
pub const EXIT_DEVICE: &str = "isa-debug-exit";

/// Where a network guest is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Its own address.
    pub ip: Ipv4Addr,
    /// The bits of its network's prefix.
    pub prefix: u8,
    /// The way out of its network; none where nobody outside of it is talked to.
    pub gateway: Option<Ipv4Addr>,
}

/// What `monitor` boots for `program`.
///
/// # Errors
/// When it was not built, or is not what was built.
pub fn system(folders: &Folders, program: Program, monitor: Monitor) -> Result<System, UnikernelError> {
    unikernel::system(folders, NAME, program, monitor)
}

/// What was built for `program`, and from what.
///
/// # Errors
/// When it was not built, or its manifest cannot be understood.
pub fn manifest(folders: &Folders, program: Program) -> Result<Manifest, UnikernelError> {
    unikernel::load(folders, NAME, program)
}

/// The memory of a guest with `program`. Upstream's examples boot with 8 MiB and serve Redis with 256; STREAM has
/// three arrays of 64 MiB, 60,000 rows lie in an in-memory file system.
pub const fn memory(program: Program) -> Bytes {
    let mebibytes = match program {
        Program::Hello | Program::Sleep => 16,
        Program::Stream => 512,
        Program::Sqlite | Program::Redis => 256,
        _ => 64,
    };
    Bytes(mebibytes << 20)
}

/// How it is known that `program` works. A server is Unikraft's own port of it and prints no line of ours.
pub const fn ready(program: Program) -> Ready {
    if program.is_server() { Ready::Port } else { Ready::Line }
}

/// What a reader of the results of `program` has to know.
pub const fn notes(program: Program) -> &'static [&'static str] {
    match program {
        Program::Fork => &["Unikraft has no fork: the program prints what errno says and ends with code 1"],
        Program::Nginx => &[
            "Unikraft's port of Nginx, not the host's: no sendfile, one process",
            "ready when its port answers; it may stop answering after some load, and lwIP bounds its connections",
        ],
        Program::Redis => &[
            "Unikraft's port of Redis, not the host's",
            "ready when its port answers; lwIP bounds its connections to about 60",
        ],
        Program::Sqlite => &["Unikraft's port of SQLite, of another version than in other guests: see the result line"],
        Program::Open | Program::Read | Program::Write | Program::Stat => {
            &["native: a system call is a function call here, and enters no kernel"]
        }
        _ => &[],
    }
}

/// The kernel's command line for a program's arguments.
///
/// Unikraft reads its own parameters only from between the first word, which it takes for a name, and `--`. QEMU puts
/// the kernel's path in front; Firecracker puts nothing in front and its devices before `--`, so that both the name and
/// an argument after it have to be there.
pub fn command_line(program: Program, monitor: Monitor, arguments: &[String], network: Option<&Address>) -> String {
    let given = arguments.iter().map(|argument| quoted(argument)).collect::<Vec<_>>().join(" ");
    let parameters = network.map(|address| format!(" {}", address.parameter())).unwrap_or_default();
    match monitor {
        // Without parameters all words go to the program.
        Monitor::Qemu if network.is_none() => given,
        _ if given.is_empty() => format!("{program}{parameters} -- {DEFAULT_ARGUMENT}"),
        _ => format!("{program}{parameters} -- {given}"),
    }
}

/// What every program takes and what changes nothing: an argument for where there must be one.
const DEFAULT_ARGUMENT: &str = "report_ms=1000";

impl Address {
    /// The parameter that sets it: `netdev.ip=CIDR[:GATEWAY[:DNS0[:DNS1[:HOST[:DOMAIN]]]]]`.
    fn parameter(&self) -> String {
        let gateway = self.gateway.map(|gateway| format!(":{gateway}:::")).unwrap_or_default();
        format!("netdev.ip={}/{}{gateway}", self.ip, self.prefix)
    }
}

/// Single quotes keep a word with spaces together; no argument of ours has a quote in it.
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
    #[case::to_the_program_alone(Monitor::Qemu, "deadline=5 dir=/tmp", None, "deadline=5 dir=/tmp")]
    #[case::nothing_at_all(Monitor::Qemu, "", None, "")]
    #[case::with_a_network(
        Monitor::Qemu,
        "deadline=5",
        Some(ADDRESS),
        "nginx netdev.ip=172.44.0.2/24:172.44.0.1::: -- deadline=5"
    )]
    #[case::a_name_is_never_read_as_a_parameter(Monitor::Firecracker, "deadline=5", None, "nginx -- deadline=5")]
    #[case::something_follows_the_dashes(Monitor::Firecracker, "", None, "nginx -- report_ms=1000")]
    #[case::all(
        Monitor::Firecracker,
        "deadline=5",
        Some(Address { gateway: None, ..ADDRESS }),
        "nginx netdev.ip=172.44.0.2/24 -- deadline=5"
    )]
    fn a_command_line_is_what_its_kernel_reads(
        #[case] monitor: Monitor,
        #[case] arguments: &str,
        #[case] network: Option<Address>,
        #[case] expected: &str,
    ) {
        let arguments: Vec<String> = arguments.split_whitespace().map(str::to_owned).collect();
        assert_eq!(command_line(Program::Nginx, monitor, &arguments, network.as_ref()), expected);
    }

    #[test]
    fn a_word_with_spaces_stays_one() {
        let line = command_line(Program::Sqlite, Monitor::Qemu, &["dir=/a b".into(), "rows=5".into()], None);
        assert_eq!(line, "'dir=/a b' rows=5");
    }

    #[test]
    fn what_is_peculiar_is_noted() {
        assert!(notes(Program::Fork)[0].contains("no fork"));
        for &program in PROGRAMS {
            assert_eq!(ready(program) == Ready::Port, program.is_server(), "{program}");
            assert!(!program.is_server() || !notes(program).is_empty(), "{program}");
        }
    }

    #[test]
    fn there_is_memory_for_what_a_program_holds() {
        assert!(memory(Program::Stream).0 > 3 * (64 << 20));
        assert_eq!(memory(Program::Hello), Bytes(16 << 20));
    }

    #[test]
    fn a_built_one_has_a_manifest_and_a_kernel() {
        let dir = tempfile::tempdir().unwrap();
        let folders = unikernel::tests::folders(dir.path());
        unikernel::tests::put(&folders, NAME, Program::Hello, "abc");
        assert_eq!(manifest(&folders, Program::Hello).unwrap().program, Program::Hello);
        assert!(system(&folders, Program::Hello, Monitor::Qemu).is_ok());
        assert!(system(&folders, Program::Hello, Monitor::Firecracker).is_err());
    }
}
