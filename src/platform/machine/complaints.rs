//! What a monitor itself has to say; its guest speaks elsewhere.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{MemfdFlags, memfd_create};

/// So much of it is told.
const MOST_BYTES: u64 = 600;

/// A file in memory that a monitor writes to.
#[derive(Debug)]
pub(in crate::platform) struct Complaints(File);

impl Complaints {
    /// Nothing is said yet.
    pub(in crate::platform) fn new() -> io::Result<Self> {
        Ok(Self(File::from(memfd_create("complaints", MemfdFlags::CLOEXEC)?)))
    }

    /// What was said, on one line.
    pub(in crate::platform) fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        self.0.rewind().ok()?;
        self.0.by_ref().take(MOST_BYTES).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text).lines().collect::<Vec<_>>().join("; ");
        (!text.is_empty()).then_some(text)
    }
}

impl AsFd for Complaints {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
