//! What a monitor itself prints; its guest prints elsewhere.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{MemfdFlags, memfd_create};

/// How much of it a message quotes.
const MOST_BYTES: u64 = 600;

/// A file in memory that a monitor writes to.
#[derive(Debug)]
pub(in crate::platform) struct MemoryLog(File);

impl MemoryLog {
    /// An empty file.
    pub(in crate::platform) fn new() -> io::Result<Self> {
        Ok(Self(File::from(memfd_create("monitor-log", MemfdFlags::CLOEXEC)?)))
    }

    /// Its text on one line; `None` if it is empty.
    pub(in crate::platform) fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        self.0.rewind().ok()?;
        self.0.by_ref().take(MOST_BYTES).read_to_end(&mut text).ok()?;
        let text = String::from_utf8_lossy(&text).lines().collect::<Vec<_>>().join("; ");
        (!text.is_empty()).then_some(text)
    }
}

impl AsFd for MemoryLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
