//! Polling of several descriptors with a deadline on the host's clock.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::host::clock::{Clock, HostClock};
use crate::model::units::Nanos;

/// Polls up to four descriptors until `deadline` and returns which of them are readable. Returns all `false` after a
/// time-out or a signal.
pub(in crate::platform) fn poll_four(fds: [Option<BorrowedFd<'_>>; 4], deadline: Nanos) -> io::Result<[bool; 4]> {
    let left = deadline.saturating_sub(HostClock.now()).0;
    let timeout = Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as i64 };
    let present: Vec<usize> = (0..4).filter(|&i| fds[i].is_some()).collect();
    let mut polled: Vec<PollFd<'_>> =
        fds.into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let mut ready = [false; 4];
    match poll(&mut polled, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    for (&index, fd) in present.iter().zip(&polled) {
        ready[index] = !fd.revents().is_empty();
    }
    Ok(ready)
}
