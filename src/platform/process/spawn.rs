//! Starting a process as fast as the kernel can: with a `clone(2)` that shares the address space until the `exec`.
//!
//! `std::process::Command` forks, and so copies page tables, as soon as it has to run code in the child. This module
//! works like `posix_spawn(3)` and adds a session, an affinity, limits, control groups, a hidden mount and a network
//! namespace.
//! Invariant: the child calls only what `signal-safety(7)` lists, and the parent sleeps until it has called `exec`.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use crate::model::cpuset::CpuSet;

/// Bytes of stack for the child, which calls a dozen functions of the C library.
const STACK: usize = 64 << 10;

/// The first descriptor after the standard ones.
pub(in crate::platform) const FIRST_PASSED: RawFd = 3;

/// How to start a process.
#[derive(Debug)]
pub(in crate::platform) struct Start<'a> {
    /// The program.
    pub(in crate::platform) program: CString,
    /// Its arguments, starting with its own name.
    pub(in crate::platform) arguments: Vec<CString>,
    /// Its whole environment, `NAME=value`.
    pub(in crate::platform) environment: Vec<CString>,
    /// Its standard input.
    pub(in crate::platform) input: BorrowedFd<'a>,
    /// Its standard output.
    pub(in crate::platform) output: BorrowedFd<'a>,
    /// Its standard error; `None` uses the standard output.
    pub(in crate::platform) error: Option<BorrowedFd<'a>>,
    /// Further descriptors that it inherits, numbered from [`FIRST_PASSED`].
    pub(in crate::platform) passed: &'a [BorrowedFd<'a>],
    /// The CPUs it may run on.
    pub(in crate::platform) cpus: Option<&'a CpuSet>,
    /// Files of the control groups it joins: it writes `0` to each.
    pub(in crate::platform) cgroup_fds: &'a [OwnedFd],
    /// Limits by `setrlimit(2)`: resource and value.
    pub(in crate::platform) rlimits: &'a [(libc::__rlimit_resource_t, u64)],
    /// A mount that it does not see, which gives it its own mount namespace.
    pub(in crate::platform) hides: Option<&'a CStr>,
    /// Its network namespace; `None` is the harness's.
    pub(in crate::platform) netns: Option<BorrowedFd<'a>>,
}

/// The child's copy of a [`Start`]: plain memory, prepared before the clone.
struct Child {
    program: *const libc::c_char,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    input: RawFd,
    output: RawFd,
    error: RawFd,
    passed: Vec<RawFd>,
    cpus: Option<libc::cpu_set_t>,
    cgroup_fds: Vec<RawFd>,
    rlimits: Vec<(libc::__rlimit_resource_t, libc::rlimit)>,
    hides: Option<*const libc::c_char>,
    netns: Option<RawFd>,
    /// The failed step and its `errno`. The child writes it into the shared memory, and the parent reads it.
    failed: Option<(&'static str, i32)>,
}

/// A step that failed in the parent or in the child.
#[derive(Debug, thiserror::Error)]
#[error("failed to {step}: {source}")]
pub(in crate::platform) struct SpawnError {
    step: &'static str,
    source: io::Error,
}

impl From<SpawnError> for io::Error {
    fn from(error: SpawnError) -> Self {
        io::Error::new(error.source.kind(), error)
    }
}

/// Starts a process and returns its number and handle. The calling thread sleeps until the program runs.
pub(in crate::platform) fn start(start: &Start<'_>) -> Result<(i32, OwnedFd), SpawnError> {
    let mut child = Child::new(start);
    let mut stack: Vec<MaybeUninit<u8>> = Vec::with_capacity(STACK);
    // SAFETY: the end of the allocation, rounded down to the stack alignment of the x86-64 and arm64 ABIs.
    let top = unsafe { stack.as_mut_ptr().add(STACK).map_addr(|end| end & !0xf) };
    let mut handle: libc::c_int = -1;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD;
    let masked = MaskedSignals::all();
    // SAFETY: `run` never returns and unwinds nowhere. With CLONE_VFORK this thread sleeps until the child has called
    // `exec` or `_exit`, so the stack, `child` and all it points into outlive the child's use of them, and nothing else
    // has a reference to `child`. Signals are blocked, so no handler of ours runs in the child. With CLONE_PIDFD the
    // kernel stores a descriptor in `handle`.
    let pid = unsafe { libc::clone(run, top.cast(), flags, (&raw mut child).cast(), &raw mut handle) };
    let error = io::Error::last_os_error();
    drop(masked);
    if pid < 0 {
        return Err(SpawnError { step: "clone", source: error });
    }
    // SAFETY: the clone succeeded, so `handle` is a new descriptor that nothing else owns.
    let handle = unsafe { OwnedFd::from_raw_fd(handle) };
    match child.failed {
        None => Ok((pid, handle)),
        Some((step, errno)) => {
            use rustix::process::{WaitId, WaitIdOptions, waitid};
            use std::os::fd::AsFd;
            let _ = waitid(WaitId::PidFd(handle.as_fd()), WaitIdOptions::EXITED);
            Err(SpawnError { step, source: io::Error::from_raw_os_error(errno) })
        }
    }
}

impl Child {
    fn new(start: &Start<'_>) -> Self {
        Self {
            program: start.program.as_ptr(),
            argv: null_terminated(&start.arguments),
            envp: null_terminated(&start.environment),
            input: start.input.as_raw_fd(),
            output: start.output.as_raw_fd(),
            error: start.error.unwrap_or(start.output).as_raw_fd(),
            passed: start.passed.iter().map(AsRawFd::as_raw_fd).collect(),
            cpus: start.cpus.map(kernel_set),
            cgroup_fds: start.cgroup_fds.iter().map(AsRawFd::as_raw_fd).collect(),
            rlimits: start.rlimits.iter().map(|&(resource, max)| (resource, rlimit(max))).collect(),
            hides: start.hides.map(CStr::as_ptr),
            netns: start.netns.map(|netns| netns.as_raw_fd()),
            failed: None,
        }
    }

    /// Changes the child's namespaces. Returns the step that failed, if one did.
    ///
    /// # Safety
    /// As [`Self::become_program`].
    unsafe fn change_namespaces(&self) -> Option<&'static str> {
        // SAFETY: only system calls, on memory that outlives them.
        unsafe {
            if let Some(netns) = self.netns
                && libc::setns(netns, libc::CLONE_NEWNET) != 0
            {
                return Some("enter the network namespace");
            }
            if let Some(mount) = self.hides {
                // Later mounts of the host still appear in this namespace; its own changes stay in it.
                let (none, private) = (ptr::null(), libc::MS_REC | libc::MS_SLAVE);
                if libc::unshare(libc::CLONE_NEWNS) != 0
                    || libc::mount(none, c"/".as_ptr(), none, private, ptr::null()) != 0
                    || libc::umount2(mount, libc::MNT_DETACH) != 0
                {
                    return Some("hide a mount");
                }
            }
        }
        None
    }

    /// Runs the steps between clone and `exec` in the child. Returns the failed step, and only on failure.
    ///
    /// # Safety
    /// Call it only in a child of [`start`], with the pointers of `self` alive.
    unsafe fn become_program(&mut self) -> &'static str {
        // SAFETY: only system calls, on memory that outlives them; `empty` is initialized by `sigemptyset`.
        unsafe {
            if libc::setsid() < 0 {
                return "start a session";
            }
            for &fd in &self.cgroup_fds {
                if libc::write(fd, c"0".as_ptr().cast(), 1) != 1 {
                    return "join the cgroup";
                }
            }
            for (resource, limit) in &self.rlimits {
                if libc::setrlimit(*resource, limit) != 0 {
                    return "set a resource limit";
                }
            }
            if let Some(failed) = self.change_namespaces() {
                return failed;
            }
            if let Some(set) = &self.cpus
                && libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), set) != 0
            {
                return "set the CPU affinity";
            }
            if libc::dup2(self.input, 0) < 0 || libc::dup2(self.output, 1) < 0 || libc::dup2(self.error, 2) < 0 {
                return "connect the output";
            }
            let end = FIRST_PASSED + self.passed.len() as RawFd;
            // Move all out of the way first, since one may occupy another's number.
            for passed in &mut self.passed {
                *passed = libc::fcntl(*passed, libc::F_DUPFD_CLOEXEC, end);
            }
            for (at, &passed) in (FIRST_PASSED..).zip(&self.passed) {
                if libc::dup2(passed, at) < 0 {
                    return "pass a descriptor";
                }
            }
            // Close everything else that the harness has open. A kernel before 5.11 does not support the flag; then
            // only descriptors without close-on-exec would leak.
            libc::syscall(libc::SYS_close_range, end, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            // The Rust runtime ignores SIGPIPE, and an ignored signal stays ignored across `exec`. The harness handles
            // the other signals, and its handlers must not run in the shared memory.
            for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
                libc::signal(signal, libc::SIG_DFL);
            }
            let mut empty = MaybeUninit::uninit();
            libc::sigemptyset(empty.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, empty.as_ptr(), ptr::null_mut());
            libc::execve(self.program, self.argv.as_ptr(), self.envp.as_ptr());
        }
        "execute the program"
    }
}

/// Runs in the child up to the `exec`.
extern "C" fn run(child: *mut libc::c_void) -> libc::c_int {
    let child: *mut Child = child.cast();
    // SAFETY: `start` passes a pointer to a `Child` that outlives this function and that nothing else uses meanwhile.
    unsafe {
        let step = (*child).become_program();
        (*child).failed = Some((step, *libc::__errno_location()));
        libc::_exit(127)
    }
}

fn null_terminated(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

fn rlimit(max: u64) -> libc::rlimit {
    libc::rlimit { rlim_cur: max, rlim_max: max }
}

fn kernel_set(cpus: &CpuSet) -> libc::cpu_set_t {
    // SAFETY: the set is plain bits, all zero is its empty value; CPU_SET ignores numbers beyond its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        cpus.iter().for_each(|cpu| libc::CPU_SET(cpu as usize, &mut set));
        set
    }
}

/// Blocks every signal of this thread while it lives.
struct MaskedSignals(libc::sigset_t);

impl MaskedSignals {
    fn all() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: `sigfillset` initializes the one set, `pthread_sigmask` the other; neither fails for these arguments.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            Self(before.assume_init())
        }
    }
}

impl Drop for MaskedSignals {
    fn drop(&mut self) {
        // SAFETY: the set is the one that this thread had before.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use super::*;
    use crate::platform::process::handle::Process;

    /// Starts `cat` on `file`, with everything else at its default.
    fn cat<'a>(file: &CStr, input: &'a File, output: &'a io::PipeWriter) -> Start<'a> {
        let program = crate::host::tools::find("cat").expect("every system has it");
        let program = CString::new(program.into_os_string().into_encoded_bytes()).expect("a path");
        Start {
            program: program.clone(),
            arguments: vec![program, file.to_owned()],
            environment: Vec::new(),
            input: input.as_fd(),
            output: output.as_fd(),
            error: None,
            passed: &[],
            cpus: None,
            cgroup_fds: &[],
            rlimits: &[],
            hides: None,
            netns: None,
        }
    }

    /// What a process reads from `file`, with `hides` and in `netns`.
    fn read_in_child(file: &CStr, hides: Option<&CStr>, netns: Option<BorrowedFd<'_>>) -> io::Result<String> {
        let (mut read, write) = io::pipe()?;
        let input = File::open("/dev/null")?;
        let (pid, handle) = start(&Start { hides, netns, ..cat(file, &input, &write) })?;
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text)?;
        Process::new(pid, handle).reap().map(|_| text).map_err(io::Error::other)
    }

    fn mounts(hides: Option<&CStr>) -> io::Result<String> {
        read_in_child(c"/proc/self/mounts", hides, None)
    }

    #[test]
    fn descriptors_are_passed_in_their_order_and_no_others() {
        let (mut read, write) = io::pipe().expect("a pipe");
        let files: Vec<_> = ["first", "second"].map(memory_file).into();
        // In reverse order, so that each occupies the other's number or was opened before it.
        let passed: Vec<_> = files.iter().rev().map(AsFd::as_fd).collect();
        let program = CString::new(
            crate::host::tools::find("sh").expect("every system has it").into_os_string().into_encoded_bytes(),
        );
        let program = program.expect("a path");
        let input = File::open("/dev/null").expect("it is there");
        let script = c"cat /proc/self/fd/3 /proc/self/fd/4; test -e /proc/self/fd/5 || echo no more".to_owned();
        let (pid, handle) = start(&Start {
            program: program.clone(),
            arguments: vec![program, c"-c".to_owned(), script],
            environment: vec![c"PATH=/bin:/usr/bin".to_owned()],
            input: input.as_fd(),
            output: write.as_fd(),
            error: None,
            passed: &passed,
            cpus: None,
            cgroup_fds: &[],
            rlimits: &[],
            hides: None,
            netns: None,
        })
        .expect("it starts");
        drop(write);
        let mut text = String::new();
        read.read_to_string(&mut text).expect("readable");
        Process::new(pid, handle).reap().expect("it ends");
        assert_eq!(text, "secondfirstno more\n");
    }

    fn memory_file(text: &str) -> File {
        let mut file = File::from(rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).expect("a file"));
        file.write_all(text.as_bytes()).expect("written");
        file
    }

    #[test]
    fn a_hidden_mount_is_hidden_from_the_process_alone() {
        let shown = mounts(None).expect("it starts");
        match mounts(Some(c"/dev")) {
            Err(e) => eprintln!("skipped: no mount namespace: {e}"),
            Ok(seen) => {
                assert!(shown.contains(" /dev ") && !seen.contains(" /dev "), "{seen}");
                assert!(seen.contains(" /proc "), "{seen}");
            }
        }
        assert_eq!(mounts(None).expect("it starts"), shown, "the host's are as before");
    }

    #[test]
    fn a_process_is_in_its_network_namespace_and_the_harness_stays_in_its_own() {
        let links = |netns| read_in_child(c"/proc/self/net/dev", None, netns);
        let own = links(None).expect("it starts");
        let network = std::sync::Arc::new(crate::host::network::RunNetwork::default());
        if let Err(why) = network.attach() {
            return eprintln!("skipped: no network namespace: {why}");
        }
        let netns = File::open(network.netns().expect("it is made")).expect("it is there");
        assert!(links(Some(netns.as_fd())).expect("it starts").contains(" fw0:"));
        let names = |text: &str| text.lines().map(|line| line.split(':').next().map(str::to_owned)).collect::<Vec<_>>();
        assert_eq!(names(&links(None).expect("it starts")), names(&own));
        let none = File::open("/dev/null").expect("it is there");
        let refused = links(Some(none.as_fd())).expect_err("no namespace");
        assert!(refused.to_string().starts_with("failed to enter the network namespace"), "{refused}");
    }
}
