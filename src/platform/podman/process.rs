//! The service's process: a parent that reaps for it, and mounts of its own.
//!
//! Whoever keeps a container is orphaned on purpose and would become the harness's child wherever that adopts orphans
//! (see `orphan`), to be reaped by nobody. So a process without a program stands between: it adopts and reaps what the
//! service leaves, and ends with the last of it. Invariant: between fork and `exec`, or the end of that process, only
//! system calls are made, as `signal-safety(7)` asks.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::ptr;

/// Where runtimes keep states, and libraries their caches, whatever they are told: empty for the service.
const COVERED: [&CStr; 2] = [c"/run", c"/var/lib"];

/// Makes the program of `command` start as the child of a process that adopts and reaps what it leaves. That one is
/// what the command's caller sees, and leads a process group of both; it ignores SIGTERM.
pub(super) fn reap_after(command: &mut Command) {
    command.process_group(0);
    // SAFETY: system calls alone, on no memory but the stack.
    unsafe { command.pre_exec(divide) };
}

/// Returns in a child; its parent stays and reaps until there is nobody left.
fn divide() -> io::Result<()> {
    // SAFETY: as `signal-safety(7)` asks; the parent shares no descriptor with anybody once it has closed all, and never
    // returns into the harness's code.
    unsafe {
        if libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) != 0 {
            return Err(io::Error::last_os_error());
        }
        match libc::fork() {
            -1 => Err(io::Error::last_os_error()),
            0 => Ok(()),
            _ => {
                libc::prctl(libc::PR_SET_NAME, c"fw-podman".as_ptr());
                libc::signal(libc::SIGTERM, libc::SIG_IGN);
                libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
                while libc::waitpid(-1, ptr::null_mut(), 0) > 0 || *libc::__errno_location() == libc::EINTR {}
                libc::_exit(0)
            }
        }
    }
}

/// Gives the program of `command` mounts of its own, which end with its last process: nothing of the host's in
/// [`COVERED`], `dir` all the same, and not `hidden`.
///
/// # Errors
/// When `dir` is no path of this host.
pub(super) fn mount_apart(command: &mut Command, dir: &Path, hidden: Option<&Path>) -> io::Result<()> {
    let dir = dir.canonicalize()?;
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let mut above = dir.ancestors().map(text).collect::<io::Result<Vec<_>>>()?;
    above.reverse();
    let (dir, hidden) = (text(&dir)?, hidden.map(text).transpose()?);
    // SAFETY: system calls alone, on memory that the closure owns.
    unsafe { command.pre_exec(move || set_apart(&above, &dir, hidden.as_deref())) };
    Ok(())
}

fn set_apart(above: &[CString], dir: &CStr, hidden: Option<&CStr>) -> io::Result<()> {
    // SAFETY: plain system calls on strings that live.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            return Err(io::Error::last_os_error());
        }
        // What is mounted later on the host still shows here; nothing of this shows there.
        mount(c"none", c"/", None, libc::MS_REC | libc::MS_SLAVE)?;
        if let Some(hidden) = hidden
            && libc::umount2(hidden.as_ptr(), libc::MNT_DETACH) != 0
        {
            return Err(io::Error::last_os_error());
        }
        if libc::chdir(dir.as_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        for covered in COVERED {
            mount(c"none", covered, Some(c"tmpfs"), 0)?;
        }
        for folder in above {
            // It is there unless it was covered.
            libc::mkdir(folder.as_ptr(), 0o755);
        }
        // The working directory is still the one that was covered.
        mount(c".", dir, None, libc::MS_BIND)?;
        if libc::chdir(dir.as_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn mount(source: &CStr, target: &CStr, kind: Option<&CStr>, flags: libc::c_ulong) -> io::Result<()> {
    let kind = kind.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: strings that live, and no data.
    match unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, ptr::null()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
