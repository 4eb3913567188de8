//! Watchers of a run: a progress bar on a terminal, plain lines elsewhere. Both write to standard error.

mod blocks;
mod estimate;
mod plain;
mod progress;

use std::io::IsTerminal;

pub use estimate::in_words;

use crate::compare::live::Watcher;
use crate::measure::session::Observer;

/// The observer that fits where standard error goes.
pub fn for_stderr() -> Box<dyn Observer> {
    match std::io::stderr().is_terminal() {
        true => Box::new(progress::Progress::new()),
        false => Box::new(plain::Plain::new()),
    }
}

/// The watcher of a comparison of two arms that fits where standard error goes.
pub fn blocks_for_stderr() -> Box<dyn Watcher> {
    match std::io::stderr().is_terminal() {
        true => Box::new(blocks::Bar::new()),
        false => Box::new(blocks::Lines::new()),
    }
}
