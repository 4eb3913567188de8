//! The arguments that every platform adds to those of a guest program. Pure.

use std::net::SocketAddr;

use super::LaunchSpec;
use crate::model::program::Program;

/// Whether `program` writes files and so needs `dir=`.
pub(super) fn needs_files(program: Program) -> bool {
    match program {
        Program::Open
        | Program::Read
        | Program::Write
        | Program::Stat
        | Program::Sqlite
        | Program::Probe
        | Program::Nginx
        | Program::Redis => true,
        Program::Hello | Program::Sleep | Program::Prime | Program::Stream | Program::Fork => false,
    }
}

/// The arguments of the guest: those of `spec`, `deadline=` in whole seconds, rounded up, `dir=` if there is one, and
/// `listen=` and `port=` for a reachable server.
pub(super) fn for_guest(spec: &LaunchSpec, dir: Option<&str>, listen: Option<SocketAddr>) -> Vec<String> {
    let seconds = spec.deadline.as_secs() + u64::from(spec.deadline.subsec_nanos() > 0);
    let mut arguments = spec.arguments.clone();
    arguments.push(format!("deadline={}", seconds.max(1)));
    arguments.extend(dir.map(|dir| format!("dir={dir}")));
    if let Some(at) = listen {
        arguments.extend([format!("listen={}", at.ip()), format!("port={}", at.port())]);
    }
    arguments
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rstest::rstest;

    use super::*;
    use crate::model::platform::Networking;
    use crate::platform::{Purpose, fake};

    #[rstest]
    #[case::plain(1000, None, None, "do=it deadline=1")]
    #[case::rounded_up(1001, Some("/tmp"), None, "do=it deadline=2 dir=/tmp")]
    #[case::never_none(0, None, Some("0.0.0.0:80"), "do=it deadline=1 listen=0.0.0.0 port=80")]
    #[case::all(60_000, Some("/x"), Some("127.18.0.1:26379"), "do=it deadline=60 dir=/x listen=127.18.0.1 port=26379")]
    fn a_guest_gets(#[case] ms: u64, #[case] dir: Option<&str>, #[case] at: Option<&str>, #[case] expected: &str) {
        let spec = LaunchSpec {
            name: "fw-20261121-084514-3f9a-0".into(),
            image: fake::image(Program::Probe),
            arguments: vec!["do=it".into()],
            cpus: None,
            limits: None,
            memory: None,
            network: Networking::Bridge,
            purpose: Purpose::Measured,
            deadline: Duration::from_millis(ms),
        };
        let at = at.map(|at| at.parse().expect("an address"));
        assert_eq!(for_guest(&spec, dir, at).join(" "), expected);
    }
}
