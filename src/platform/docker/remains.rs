//! Processes that a failed start leaves behind.
//!
//! When gVisor's runtime fails to start a container, its shim, gofer and sandbox stay, and the engine does not know of
//! them. They carry the container's id among their arguments.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The length of a container's id, in hexadecimal digits: anything shorter could be part of somebody else's arguments.
const ID_DIGITS: usize = 64;

/// Ends every process of this host whose arguments name the container `id`; how many there were.
pub(super) fn end(id: &str) -> usize {
    if id.len() != ID_DIGITS || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return 0;
    }
    let pids = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
        entry.ok()?.file_name().to_str()?.parse::<i32>().ok().filter(|&pid| pid != std::process::id() as i32)
    });
    pids.filter(|&pid| end_if_named(pid, id.as_bytes())).count()
}

/// The handle is opened before the arguments are read, so that a reused process number is never hit.
fn end_if_named(pid: i32, id: &[u8]) -> bool {
    let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok()) else {
        return false;
    };
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let named = arguments.split(|&b| b == 0).any(|argument| argument.windows(id.len()).any(|part| part == id));
    named && pidfd_send_signal(&handle, Signal::KILL).is_ok()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn only_processes_that_name_the_container_are_ended() {
        let id = "0123456789abcdef".repeat(4);
        // `tail` follows files that are not there, whatever they are called.
        let start = |argument: &str| {
            let mut command = Command::new("tail");
            command.args(["-q", "-F", argument]).stderr(std::process::Stdio::null()).spawn().expect("tail starts")
        };
        let (mut named, mut stranger) = (start(&format!("/nowhere/{id}/x")), start(&format!("/nowhere/{}", &id[..63])));
        assert_eq!(end("short"), 0);
        while end(&id) == 0 {
            std::thread::yield_now();
        }
        assert!(named.wait().expect("ended").code().is_none(), "by a signal");
        assert!(stranger.try_wait().expect("asked").is_none(), "the stranger lives");
        stranger.kill().and_then(|()| stranger.wait()).expect("the stranger is ended");
    }
}
