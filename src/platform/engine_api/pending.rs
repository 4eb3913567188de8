//! A call that is under way.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use super::Error;

/// A call whose answer is awaited, or polled for beside something else.
#[derive(Debug)]
pub struct Pending<T> {
    pub(super) answer: Receiver<Result<T, Error>>,
    /// Readable once the answer is there.
    pub(super) wake: Option<Arc<OwnedFd>>,
    /// After this instant even the thread that keeps the call's deadline counts as stuck.
    pub(super) give_up: Instant,
    /// What is reported then.
    pub(super) late: Error,
}

impl<T> Pending<T> {
    /// What becomes readable when the answer is there.
    ///
    /// # Errors
    /// When the call was begun without it.
    pub fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        self.wake.as_deref().map(AsFd::as_fd).ok_or_else(|| io::Error::other("this call cannot be polled for"))
    }

    /// Waits for the answer.
    ///
    /// # Errors
    /// Whatever the call ended with; its deadline at the latest.
    pub fn wait(self) -> Result<T, Error> {
        match self.answer.recv_timeout(self.give_up.saturating_duration_since(Instant::now())) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Err(self.late),
        }
    }
}
