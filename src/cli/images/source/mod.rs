//! Sources from upstream: pinned by a lock file, fetched to the user's machine, and verified before every use.

mod addresses;
mod archive;
mod fetch;
mod git;
mod lock;
mod reach;
mod relock;
#[cfg(test)]
pub(super) mod testing;

pub(super) use addresses::archive_addresses;
pub(super) use fetch::{Fetcher, Origin, SourceSelection, Sources};
pub(super) use lock::Lock;
pub(super) use relock::relock;
