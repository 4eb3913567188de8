//! Sessions over time: their results as ratios to a fixed anchor, and where the level changes.
//!
//! A history is a folder with one file of JSON lines for each machine. It uses JSON lines instead of SQLite because it is
//! only appended to and read as a whole. One write appends a line and syncs it, so a crash can only tear the last line.
//! Files of two machines or branches merge line by line with any tool, such as Git's union merge. A year of nightly
//! sessions is a few megabytes.
//!
//! A change point is a question, not an alarm: `cargo xtask ab` answers it by comparing before with after.
//! Invariant: a crash loses nothing that was stored, and adding a known session changes nothing.

mod change;
mod entry;
mod host;
mod intake;
mod parameters;
mod parse;
mod question;
mod session;
mod store;
#[cfg(test)]
pub(crate) mod testing;
mod unanswerable;

pub use change::{Change, Track, tracks};
pub use entry::{Anchor, Entry, SCHEMA, SessionKind};
pub use host::HostKey;
pub use intake::Refused;
pub use parse::{ReadError, parse};
pub use question::{Arms, Question, questions};
pub use session::session_entries;
pub use store::{Added, Contents, Error, History, Keep, Pruned};
