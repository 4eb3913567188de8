//! The service's process: a parent that reaps its orphans, and its own mounts.
//!
//! Podman orphans its container monitors on purpose. They would become children of the harness, if that is a subreaper
//! (see `orphan`), and nothing would reap them. So a process between the two is their subreaper: it reaps the service's
//! orphans and ends with the last one. Invariant: between fork and `exec`, and in that process, only system calls are
//! made, as `signal-safety(7)` requires.

use std::ffi::{CStr, CString};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::ptr;

/// Where runtimes and libraries keep states and caches, regardless of options. These folders are empty for the service.
const COVERED: [&CStr; 2] = [c"/run", c"/var/lib"];

/// Makes the program of `command` start as the child of a subreaper that reaps its orphans. The command's caller sees
/// the subreaper, which leads a process group of both and ignores SIGTERM.
pub(super) fn add_subreaper(command: &mut Command) {
    command.process_group(0);
    // SAFETY: only system calls, and no memory but the stack.
    unsafe { command.pre_exec(fork_program) };
}

/// Returns in a child. Its parent never returns: it reaps until it has no children.
fn fork_program() -> io::Result<()> {
    // SAFETY: only async-signal-safe calls. The parent closes all descriptors and never returns into the harness's
    // code.
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

/// Gives the program of `command` its own mount namespace: [`COVERED`] is empty except for `dir`, and `hidden` is not
/// mounted.
///
/// # Errors
/// `dir` does not exist.
pub(super) fn separate_mounts(command: &mut Command, dir: &Path, hidden: Option<&Path>) -> io::Result<()> {
    let dir = dir.canonicalize()?;
    let mut ancestors = dir.ancestors().map(c_string).collect::<io::Result<Vec<_>>>()?;
    ancestors.reverse();
    let (dir, hidden) = (c_string(&dir)?, hidden.map(c_string).transpose()?);
    // SAFETY: only system calls, on memory that the closure owns.
    unsafe { command.pre_exec(move || change_mounts(&ancestors, &dir, hidden.as_deref())) };
    Ok(())
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn change_mounts(ancestors: &[CString], dir: &CStr, hidden: Option<&CStr>) -> io::Result<()> {
    // SAFETY: only system calls, on strings that outlive them.
    unsafe {
        if libc::unshare(libc::CLONE_NEWNS) != 0 {
            return Err(io::Error::last_os_error());
        }
        // Later mounts of the host still appear in this namespace; its own changes stay in it.
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
        for folder in ancestors {
            // Fails if the folder exists, which it does unless it was covered.
            libc::mkdir(folder.as_ptr(), 0o755);
        }
        // The working directory is still the covered folder.
        mount(c".", dir, None, libc::MS_BIND)?;
        if libc::chdir(dir.as_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn mount(source: &CStr, target: &CStr, kind: Option<&CStr>, flags: libc::c_ulong) -> io::Result<()> {
    let kind = kind.map_or(ptr::null(), CStr::as_ptr);
    // SAFETY: the strings outlive the call, and there is no data.
    match unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, ptr::null()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
