//! Waiting for one of several descriptors, until an instant of the host's clock.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::host::clock::{Clock, HostClock};
use crate::model::units::Nanos;

/// Polls up to four descriptors until `deadline`: which of them are ready. None, when the time is over or a signal came.
pub(in crate::platform) fn poll_four(wanted: [Option<BorrowedFd<'_>>; 4], deadline: Nanos) -> io::Result<[bool; 4]> {
    let left = deadline.saturating_sub(HostClock.now()).0;
    let timeout = Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as i64 };
    let present: Vec<usize> = (0..4).filter(|&i| wanted[i].is_some()).collect();
    let mut fds: Vec<PollFd<'_>> =
        wanted.into_iter().flatten().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    let mut ready = [false; 4];
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    for (&index, fd) in present.iter().zip(&fds) {
        ready[index] = !fd.revents().is_empty();
    }
    Ok(ready)
}
