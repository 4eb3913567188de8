//! Requests to stop (Ctrl-C, SIGTERM, SIGHUP), as a flag and as a descriptor to poll.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// Whether the user requested to stop. Clones share the flag.
#[derive(Debug, Clone)]
pub struct Interrupt(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    raised: Arc<AtomicBool>,
    wake: OwnedFd,
}

impl Interrupt {
    /// An interrupt that only [`Interrupt::raise`] sets, for tests and tools.
    pub fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Inner { raised: Arc::default(), wake })))
    }

    /// An interrupt that SIGINT, SIGTERM and SIGHUP set. A second signal ends the process at once; `cargo xtask clean` then
    /// removes what it leaves.
    pub fn on_signals() -> std::io::Result<Self> {
        let interrupt = Self::new()?;
        for signal in SIGNALS.into_iter().filter(|&signal| signal != libc::SIGHUP || !is_ignored(signal)) {
            let inner = Arc::clone(&interrupt.0);
            signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(&inner.raised))?;
            // SAFETY: the action only stores to an atomic and writes eight bytes to an eventfd, both
            // async-signal-safe (signal-safety(7)); it neither allocates nor locks.
            unsafe { signal_hook::low_level::register(signal, move || inner.set())? };
        }
        Ok(interrupt)
    }

    /// Whether a stop was requested.
    pub fn is_raised(&self) -> bool {
        self.0.raised.load(Ordering::SeqCst)
    }

    /// Requests to stop, as a signal does.
    pub fn raise(&self) {
        self.0.set();
    }

    /// A descriptor that becomes readable when the flag is set and stays readable. Include it in every poll.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }
}

/// The signals of Ctrl-C, of a service manager and of a terminal that closes.
const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Whether this process was started with the signal ignored, as `nohup(1)` does with SIGHUP. SIGINT is also ignored in a
/// shell's background jobs, but a user who sends it to a run wants the run to stop.
fn is_ignored(signal: i32) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only stores the current one, which is read only if the call succeeded.
    unsafe {
        libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

impl Inner {
    fn set(&self) {
        self.raised.store(true, Ordering::SeqCst);
        // A few signals cannot overflow the counter, and after a failed write the flag is still set.
        let _ = rustix::io::write(&self.wake, &1u64.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_interrupt_is_seen_by_its_clones() {
        let interrupt = Interrupt::new().expect("an eventfd can be made");
        let clone = interrupt.clone();
        assert!(!clone.is_raised());
        interrupt.raise();
        assert!(clone.is_raised());
    }
}
