//! What images are built from and this repository does not hold: pinned by a lock file, fetched to the user's machine,
//! and never used before it is what the lock says.

mod archive;
mod asked;
mod fetch;
mod git;
mod lock;
mod reach;
mod relock;
#[cfg(test)]
pub(super) mod testing;

pub(super) use asked::addresses;
pub(super) use fetch::{Fetcher, Origin, SourceSelection, Sources};
pub(super) use lock::Lock;
pub(super) use relock::relock;
