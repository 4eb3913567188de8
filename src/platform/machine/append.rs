//! The command lines of guest kernels, which carry the program to run and its arguments. Pure.

use std::net::Ipv4Addr;

use crate::guest::system::unikernel::Monitor;
use crate::guest::system::unikraft;
use crate::host::network::Tap;
use crate::platform::{LaunchSpec, arguments, link};

/// The guest's in-memory folder.
const GUEST_DIR: &str = "/tmp";

/// Linux truncates a longer line (`COMMAND_LINE_SIZE`, `arch/x86/include/asm/setup.h`).
const MOST_BYTES: usize = 2047;

/// The most arguments that Linux passes to its first process (`CONFIG_INIT_ENV_ARG_LIMIT`).
const MOST_ARGUMENTS: usize = 30;

/// How a guest is connected.
#[derive(Debug, Clone, Copy)]
pub(in crate::platform) struct Network {
    pub(in crate::platform) address: Ipv4Addr,
    pub(in crate::platform) prefix: u8,
    pub(in crate::platform) gateway: (Ipv4Addr, [u8; 6]),
}

impl From<&Tap> for Network {
    fn from(tap: &Tap) -> Self {
        Self { address: tap.address(), prefix: tap.prefix(), gateway: tap.gateway() }
    }
}

/// The line with the kernel's own `words`, the network, and then the program to run. It leaves `added` bytes for what the
/// monitor adds.
///
/// # Errors
/// Fails if an argument cannot be part of a command line.
pub(in crate::platform) fn line(
    mut words: Vec<String>,
    spec: &LaunchSpec,
    network: Option<Network>,
    added: usize,
) -> Result<String, String> {
    let arguments = arguments_of(spec)?;
    words.extend(network.map(net));
    words.push(format!("fw.run={}", spec.image.guest_path()));
    let line = format!("{} -- {}", words.join(" "), arguments.join(" "));
    if line.len() + added > MOST_BYTES {
        return Err(format!(
            "a command line of {} bytes is longer than the {MOST_BYTES} that a kernel reads",
            line.len() + added
        ));
    }
    Ok(line)
}

/// The line of a Unikraft unikernel.
///
/// # Errors
/// As [`line()`].
pub(in crate::platform) fn unikraft(
    spec: &LaunchSpec,
    monitor: Monitor,
    network: Option<Network>,
) -> Result<String, String> {
    let address =
        network.map(|net| unikraft::Address { ip: net.address, prefix: net.prefix, gateway: Some(net.gateway.0) });
    Ok(unikraft::command_line(spec.image.program, monitor, &arguments_of(spec)?, address.as_ref()))
}

/// The arguments of the program of `spec`.
///
/// # Errors
/// Fails if a kernel would parse one of them differently.
pub(in crate::platform) fn arguments_of(spec: &LaunchSpec) -> Result<Vec<String>, String> {
    let dir = arguments::needs_files(spec.image.program).then_some(GUEST_DIR);
    let arguments = arguments::for_guest(spec, dir, link::listen(spec));
    if let Some(odd) = arguments.iter().find(|argument| argument.contains([' ', '\t', '\n', '"', '\'', '\\'])) {
        return Err(format!("the argument `{odd}` cannot be part of a kernel's command line"));
    }
    if arguments.len() > MOST_ARGUMENTS {
        return Err(format!(
            "{} arguments are more than the {MOST_ARGUMENTS} that a kernel passes on",
            arguments.len()
        ));
    }
    Ok(arguments)
}

fn net(network: Network) -> String {
    let Network { address, prefix, gateway: (gateway, mac) } = network;
    format!("fw.net={address}/{prefix},{gateway},{}", hardware_address(mac))
}

/// `02:46:57:12:00:02`.
pub(in crate::platform) fn hardware_address(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

#[cfg(test)]
pub(in crate::platform) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::platform::Networking;
    use crate::model::program::Program;
    use crate::platform::{Purpose, fake};

    /// A launch of `program` with these arguments.
    pub(in crate::platform) fn spec(program: Program, arguments: &[&str]) -> LaunchSpec {
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

    /// The first port of the first bridge.
    pub(in crate::platform) fn network() -> Network {
        let gateway = (Ipv4Addr::new(198, 18, 0, 1), [2, 0x46, 0x57, 18, 0, 1]);
        Network { address: Ipv4Addr::new(198, 18, 0, 2), prefix: 21, gateway }
    }

    #[test]
    fn what_a_kernel_would_parse_differently_is_rejected() {
        let rejected = |arguments: &[&str], added| {
            line(Vec::new(), &spec(Program::Probe, arguments), Some(network()), added).expect_err("rejected")
        };
        assert!(rejected(&["do=a b"], 0).contains("`do=a b`"));
        assert!(rejected(&["do=\"x\""], 0).contains("cannot be part of"));
        assert!(rejected(&["a=1"; 40], 0).contains("more than the 30"));
        assert!(rejected(&[&"x".repeat(3000)], 0).contains("longer than the 2047"));
        assert!(rejected(&[], MOST_BYTES).contains("longer than the 2047"));
    }
}
