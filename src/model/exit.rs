//! Exit codes.

use std::process::ExitCode;

/// The exit codes of the bench targets and of `cargo xtask`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Success.
    Fine = 0,
    /// A regression was confirmed.
    Regression = 1,
    /// Invalid input; the message names the option, its value and the expected ones.
    BadInput = 2,
    /// Nothing could run; the reasons are printed.
    NothingRan = 3,
    /// A case has no successful trial, the run was stopped, or something was left behind.
    Failure = 4,
    /// The user interrupted the run.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
