//! The command lines of guest kernels: what is measured in a machine is told to its guest system by them. Pure.

use std::net::Ipv4Addr;

use super::flavour::GuestSystem;
use crate::guest::system::unikernel::Monitor;
use crate::guest::system::{osv, unikraft};
use crate::platform::arguments;
use crate::platform::link;
use crate::platform::{Accelerator, LaunchSpec};

/// The in-memory folder of a guest.
const GUEST_DIR: &str = "/tmp";

/// Linux cuts a longer line (`COMMAND_LINE_SIZE`, `arch/x86/include/asm/setup.h`).
const MOST_BYTES: usize = 2047;

/// Linux passes no more arguments to its first process (`CONFIG_INIT_ENV_ARG_LIMIT`).
const MOST_ARGUMENTS: usize = 30;

/// How a guest is connected.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
    pub(super) gateway: (Ipv4Addr, [u8; 6]),
}

/// The kernel's command line for `system` with the program of `spec` in it. `tsc_khz` is the rate of the host's time
/// stamp counter, which an emulated guest counts with, too.
///
/// # Errors
/// When an argument cannot be passed on a command line.
pub(super) fn line(
    system: GuestSystem,
    spec: &LaunchSpec,
    network: Option<Network>,
    accelerator: Accelerator,
    tsc_khz: Option<u64>,
) -> Result<String, String> {
    let dir = arguments::needs_files(spec.image.program).then_some(GUEST_DIR);
    let arguments = arguments::of_guest(spec, dir, link::listen(spec));
    if let Some(odd) = arguments.iter().find(|argument| argument.contains([' ', '\t', '\n', '"', '\'', '\\'])) {
        return Err(format!("the argument `{odd}` cannot be passed on a kernel's command line"));
    }
    if arguments.len() > MOST_ARGUMENTS {
        return Err(format!(
            "{} arguments are more than the {MOST_ARGUMENTS} that a kernel passes on",
            arguments.len()
        ));
    }
    let run = format!("fw.run={}", spec.image.guest_path());
    let words = match system {
        GuestSystem::Null => vec![run],
        GuestSystem::Osv => return Ok(osv::command_line(spec.image.program, &arguments)),
        GuestSystem::Mirage => return Ok(arguments.join(" ")),
        GuestSystem::Unikraft => {
            let address = network.map(|net| unikraft::Address {
                ip: net.address,
                prefix: net.prefix,
                gateway: Some(net.gateway.0),
            });
            return Ok(unikraft::command_line(spec.image.program, Monitor::Qemu, &arguments, address.as_ref()));
        }
        GuestSystem::Linux | GuestSystem::Debian => {
            let mut words = kernel_words(accelerator, tsc_khz);
            words.extend((system == GuestSystem::Debian).then(|| "fw.root=/dev/vda".to_owned()));
            words.extend(network.map(net));
            words.push(run);
            words
        }
    };
    let line = format!("{} -- {}", words.join(" "), arguments.join(" "));
    if line.len() > MOST_BYTES {
        return Err(format!(
            "a command line of {} bytes is longer than the {MOST_BYTES} that a kernel reads",
            line.len()
        ));
    }
    Ok(line)
}

/// A console on the serial port, silent but for a panic, which ends the machine at once.
fn kernel_words(accelerator: Accelerator, tsc_khz: Option<u64>) -> Vec<String> {
    let mut words: Vec<String> =
        ["console=ttyS0", "loglevel=1", "panic=-1", "reboot=t", "cryptomgr.notests"].map(str::to_owned).into();
    if accelerator == Accelerator::Tcg {
        // A busy host makes an emulated guest fail to measure its counter, and then hang without a word: on microvm 8 of
        // 30 boots, two at a time, and none with it.
        words.extend(tsc_khz.map(|khz| format!("tsc_early_khz={khz}")));
        // What moves the kernel about at boot only costs time in a machine that is no target.
        words.push("nokaslr".to_owned());
    }
    words
}

fn net(network: Network) -> String {
    let Network { address, prefix, gateway: (gateway, mac) } = network;
    format!("fw.net={address}/{prefix},{gateway},{}", hardware_address(mac))
}

/// `02:46:57:12:00:02`.
pub(super) fn hardware_address(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::guest::Program;
    use crate::platform::{Networking, Purpose, fake};

    fn spec(program: Program, arguments: &[&str]) -> LaunchSpec {
        LaunchSpec {
            name: "fw-20261121-084514-3f9a-0".into(),
            image: fake::image(program),
            arguments: arguments.iter().map(|&argument| argument.to_owned()).collect(),
            cpus: None,
            limits: None,
            memory: None,
            network: Networking::Bridge,
            purpose: Purpose::Measured,
            deadline: Duration::from_secs(9),
        }
    }

    fn made(system: GuestSystem, spec: &LaunchSpec, accelerator: Accelerator) -> Result<String, String> {
        let gateway = (Ipv4Addr::new(198, 18, 0, 1), [2, 0x46, 0x57, 18, 0, 1]);
        let network = Network { address: Ipv4Addr::new(198, 18, 0, 2), prefix: 21, gateway };
        line(system, spec, Some(network), accelerator, Some(2_596_134))
    }

    #[test]
    fn guest_systems_are_told_what_to_run() {
        let null = made(GuestSystem::Null, &spec(Program::Hello, &[]), Accelerator::Kvm).expect("a line");
        assert_eq!(null, "fw.run=/fw/hello -- deadline=9");
        let linux = made(GuestSystem::Linux, &spec(Program::Redis, &[]), Accelerator::Tcg).expect("a line");
        assert_eq!(
            linux,
            "console=ttyS0 loglevel=1 panic=-1 reboot=t cryptomgr.notests tsc_early_khz=2596134 nokaslr \
             fw.net=198.18.0.2/21,198.18.0.1,02:46:57:12:00:01 fw.run=/fw/redis -- deadline=9 dir=/tmp listen=0.0.0.0 \
             port=6379"
        );
        let debian = made(GuestSystem::Debian, &spec(Program::Sqlite, &["rows=5"]), Accelerator::Kvm).expect("a line");
        assert!(
            debian.contains(" fw.root=/dev/vda ") && debian.ends_with(" -- rows=5 deadline=9 dir=/tmp"),
            "{debian}"
        );
        assert!(!debian.contains("tsc") && !debian.contains("kaslr"), "hardware needs no help: {debian}");
    }

    #[test]
    fn what_a_kernel_would_read_otherwise_is_refused() {
        let refused = |arguments: &[&str]| {
            made(GuestSystem::Linux, &spec(Program::Probe, arguments), Accelerator::Kvm).expect_err("refused")
        };
        assert!(refused(&["do=a b"]).contains("`do=a b`"));
        assert!(refused(&["do=\"x\""]).contains("cannot be passed"));
        assert!(refused(&["a=1"; 40]).contains("more than the 30"));
        assert!(refused(&[&"x".repeat(3000)]).contains("longer than the 2047"));
    }
}
