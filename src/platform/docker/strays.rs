//! Stray processes of a failed start.
//!
//! When gVisor's runtime fails to start a container, its shim, gofer and sandbox keep running, and the engine has no
//! record of them. Their arguments contain the container's id.

use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The length of a container's id, in hexadecimal digits. A shorter text could be part of other arguments.
const ID_DIGITS: usize = 64;

/// Kills every process of this host whose arguments contain the container `id`, and returns how many there were.
pub(super) fn kill(id: &str) -> usize {
    if id.len() != ID_DIGITS || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
        return 0;
    }
    let mut count = 0;
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(pid) = pid.filter(|&pid| pid != std::process::id() as i32)
            && kill_if_named(pid, id.as_bytes())
        {
            count += 1;
        }
    }
    count
}

/// Opens the handle before it reads the arguments, so that a reused process number is never hit.
fn kill_if_named(pid: i32, id: &[u8]) -> bool {
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
    fn only_processes_that_name_the_container_are_killed() {
        let id = "0123456789abcdef".repeat(4);
        // `tail` follows missing files, so its argument may be any name.
        let start = |argument: &str| {
            let mut command = Command::new("tail");
            command.args(["-q", "-F", argument]).stderr(std::process::Stdio::null()).spawn().expect("tail starts")
        };
        let (mut named, mut other) = (start(&format!("/nowhere/{id}/x")), start(&format!("/nowhere/{}", &id[..63])));
        assert_eq!(kill("short"), 0);
        while kill(&id) == 0 {
            std::thread::yield_now();
        }
        assert!(named.wait().expect("ended").code().is_none(), "by a signal");
        assert!(other.try_wait().expect("its state").is_none(), "the other process lives");
        other.kill().and_then(|()| other.wait()).expect("the other process ends");
    }
}
