//! A call in progress.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use super::Error;

/// A call whose answer can be awaited, or polled together with other descriptors.
#[derive(Debug)]
pub struct Pending<T> {
    pub(super) answer: Receiver<Result<T, Error>>,
    /// Readable once the answer has arrived.
    pub(super) wake: Option<Arc<OwnedFd>>,
    /// After this instant even the thread that enforces the call's deadline counts as stuck.
    pub(super) give_up: Instant,
    /// The error after that instant.
    pub(super) timed_out: Error,
}

impl<T> Pending<T> {
    /// The descriptor that becomes readable when the answer arrives; `None` if the call has none.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.wake.as_deref().map(AsFd::as_fd)
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// The call failed, or missed its deadline.
    pub fn wait(self) -> Result<T, Error> {
        match self.answer.recv_timeout(self.give_up.saturating_duration_since(Instant::now())) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(self.timed_out),
        }
    }
}
