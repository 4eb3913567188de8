//! The arguments of `bwrap`. Pure: options as in `bwrap(1)`, bubblewrap 0.8.

use std::os::fd::RawFd;
use std::path::Path;

use crate::model::platform::Networking;
use crate::platform::{LaunchSpec, arguments, link};

/// The folder of a guest's files.
const GUEST_DIR: &str = "/tmp";

/// The capabilities of a guest, as in `runc spec`.
const CAPABILITIES: [&str; 3] = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"];

/// The descriptors that `bwrap` inherits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Descriptors {
    /// It writes the guest's process number there.
    pub(super) info: RawFd,
    /// It reads there before it executes the guest.
    pub(super) gate: RawFd,
}

/// The arguments that run the guest of `spec`, without the program's own name.
///
/// `--die-with-parent` is missing: it would end the guest with the thread of the harness that launched it.
pub(super) fn arguments(spec: &LaunchSpec, descriptors: Descriptors) -> Vec<String> {
    let mut words = sandbox(&spec.image.rootfs, spec.network);
    words.extend(["--info-fd".to_owned(), descriptors.info.to_string()]);
    words.extend(["--block-fd".to_owned(), descriptors.gate.to_string()]);
    words.extend(["--".to_owned(), spec.image.guest_path()]);
    let dir = arguments::needs_files(spec.image.program).then_some(GUEST_DIR);
    words.extend(arguments::for_guest(spec, dir, link::listen(spec)));
    words
}

/// The arguments that print the version from inside of a sandbox, which shows that this host allows one. The host's own
/// root is the root of that sandbox.
pub(super) fn version(program: &Path) -> Vec<String> {
    let mut words = sandbox(Path::new("/"), Networking::None);
    words.extend(["--".to_owned(), program.display().to_string(), "--version".to_owned()]);
    words
}

/// A sandbox with namespaces for everything but users: in a user namespace, root may not listen on ports below 1024. `bwrap`
/// adds that namespace itself for an ordinary user. A connected guest stays in the network namespace that `bwrap` is in.
fn sandbox(root: &Path, network: Networking) -> Vec<String> {
    let root = root.display().to_string();
    let mut words = vec!["--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"];
    if network == Networking::None {
        words.push("--unshare-net");
    }
    words.extend(["--as-pid-1", "--new-session", "--hostname", "featherweight", "--cap-drop", "ALL"]);
    for capability in CAPABILITIES {
        words.extend(["--cap-add", capability]);
    }
    words.extend(["--ro-bind", &root, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", GUEST_DIR, "--chdir", "/"]);
    words.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::program::Program;
    use crate::platform::machine::append::tests::spec;

    #[test]
    fn a_guest_gets_a_read_only_root_and_its_own_namespaces() {
        let spec = LaunchSpec { network: Networking::None, ..spec(Program::Write, &["rows=3"]) };
        let line = arguments(&spec, Descriptors { info: 3, gate: 4 }).join(" ");
        insta::assert_snapshot!(line, @"--unshare-ipc --unshare-pid --unshare-uts --unshare-cgroup-try --unshare-net --as-pid-1 --new-session --hostname featherweight --cap-drop ALL --cap-add CAP_AUDIT_WRITE --cap-add CAP_KILL --cap-add CAP_NET_BIND_SERVICE --ro-bind /nowhere / --proc /proc --dev /dev --tmpfs /tmp --chdir / --info-fd 3 --block-fd 4 -- /fw/write rows=3 deadline=9 dir=/tmp");
    }

    #[test]
    fn a_connected_server_stays_in_its_network_namespace_and_listens() {
        let line = arguments(&spec(Program::Redis, &[]), Descriptors { info: 3, gate: 4 }).join(" ");
        assert!(!line.contains("--unshare-net") && line.ends_with("listen=0.0.0.0 port=6379"), "{line}");
    }
}
