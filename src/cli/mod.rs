//! The commands that users run. The bench targets and `cargo xtask` only dispatch to this module.

pub mod ab;
mod bench;
pub mod clean;
pub mod compare;
pub mod doctor;
pub mod exit;
pub mod export;
pub mod gate;
pub mod history;
pub mod images;
mod output;
mod platforms;
mod program_output;
pub mod report;
pub mod setup;
pub mod stored;

pub use bench::{Options, ThesisCode, bench, check_writable, random_seed, resolve, terminal};
