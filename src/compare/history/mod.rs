//! Sessions over time: what every stored session measured, as ratios to an anchor that stays, and where their level changes.
//!
//! A history is a folder with one file of JSON lines for each machine. JSON lines and not SQLite, because all that is ever done to it
//! is to append and to read the whole: a line is appended by one write and synced, which a crash can tear only at
//! its end; files of two machines, or of two branches, merge line by line with any tool, Git's own union among them; a change shows
//! in a diff; everything reads it without a library, ours in C not needed. A year of nightly sessions is a few megabytes.
//!
//! A change point is a question, not an alarm: it is asked again by `cargo xtask ab`, before against after.
//! Invariant: nothing that was stored is lost by a crash, and adding what is known already changes nothing.

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

pub use change::{Change, Track, tracks};
pub use entry::{Anchor, Entry, SCHEMA, SessionKind};
pub use host::HostKey;
pub use intake::Refused;
pub use parse::{ReadError, parse};
pub use question::{Arms, Question, questions};
pub use session::of_session;
pub use store::{Added, Contents, Error, History, Keep, Pruned};
