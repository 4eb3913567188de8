//! Exit codes.

use std::process::ExitCode;

/// The exit codes of a bench target and of xtask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Fine = 0,
    /// A regression was confirmed.
    Regression = 1,
    /// The input makes no sense; the message names the option, the value and the accepted ones.
    BadInput = 2,
    /// Nothing could run; the reasons are printed.
    NothingRan = 3,
    /// A case has no single good trial, the run was stopped, or something was left behind.
    Failure = 4,
    /// The user stopped the run.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}
