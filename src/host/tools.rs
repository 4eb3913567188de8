//! Finds the host's tools and reads their versions. Each tool runs in its own process with a deadline and without a shell.

use std::collections::BTreeMap;
use std::env;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// The tools that results may depend on, with the option that prints the version.
const TOOLS: &[(&str, &str)] = &[
    ("cc", "--version"),
    ("rustc", "--version"),
    ("git", "--version"),
    ("docker", "--version"),
    ("containerd", "--version"),
    ("podman", "--version"),
    ("runc", "--version"),
    ("crun", "--version"),
    ("runsc", "--version"),
    ("youki", "--version"),
    ("lxc-start", "--version"),
    ("incus", "--version"),
    ("systemd-nspawn", "--version"),
    ("qemu-system-x86_64", "--version"),
    ("qemu-system-aarch64", "--version"),
    ("firecracker", "--version"),
    ("solo5-hvt", "--version"),
    ("solo5-spt", "--version"),
    ("nginx", "-v"),
    ("redis-server", "--version"),
    ("wrk", "-v"),
    ("redis-benchmark", "--version"),
    ("dnsperf", "-h"),
    ("iperf3", "--version"),
];

/// The version line of every known tool in `PATH`; `None` for a tool that printed none before `deadline`.
pub fn versions(deadline: Duration) -> BTreeMap<String, Option<String>> {
    let entry = |&(name, option): &(&str, &str)| Some((name.to_owned(), version(&find(name)?, &[option], deadline)));
    TOOLS.iter().filter_map(entry).collect()
}

/// The path of the program called `name` in `PATH`.
pub fn find(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| is_program(path))
}

/// Whether `path` is an executable file.
pub fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// The first line with a digit that `program` prints, on either stream. The exit code is ignored, since `wrk -v` fails.
pub fn version(program: &Path, args: &[&str], deadline: Duration) -> Option<String> {
    let output = output(program, args, deadline).ok()??;
    output.lines().map(str::trim).find(|l| l.bytes().any(|b| b.is_ascii_digit())).map(str::to_owned)
}

/// Everything that `program` prints; `None` if it does not end before `deadline` and is killed. The output goes to memory
/// instead of a pipe, so that neither a long output nor a grandchild that keeps the pipe open can block.
pub(crate) fn output(program: &Path, args: &[&str], deadline: Duration) -> io::Result<Option<String>> {
    let mut output = File::from(memfd_create("output", MemfdFlags::CLOEXEC)?);
    let mut child = Command::new(program)
        .args(args)
        .env("LC_ALL", "C")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()?;
    let in_time = ended_within(&child, deadline);
    if !matches!(in_time, Ok(true)) {
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
    }
    child.wait()?;
    if !in_time? {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    output.rewind()?;
    output.read_to_end(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn ended_within(child: &Child, deadline: Duration) -> io::Result<bool> {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty())?;
    let timeout = Timespec::try_from(deadline).map_err(io::Error::other)?;
    Ok(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&timeout))? > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[test]
    fn the_version_is_the_first_line_with_a_number() {
        let program = find("printf").unwrap();
        assert_eq!(version(&program, &["Tool\nVersion 2.1\n3"], SOON).as_deref(), Some("Version 2.1"));
    }

    #[test]
    fn the_error_stream_counts_and_so_does_a_failing_tool() {
        let program = find("ls").unwrap();
        let version = version(&program, &["/no-such-file-1"], SOON).unwrap();
        assert!(version.contains("no-such-file-1"), "{version}");
    }

    #[test]
    fn a_tool_that_hangs_is_killed_at_the_deadline() {
        assert_eq!(version(&find("sleep").unwrap(), &["600"], Duration::from_millis(20)), None);
    }

    #[test]
    fn a_missing_tool_is_omitted() {
        assert_eq!(find("no-such-tool-of-ours"), None);
        assert_eq!(version(Path::new("/no-such-tool"), &[], SOON), None);
        assert!(versions(SOON).contains_key("cc"), "tests need a C compiler, as the guests do");
    }
}
