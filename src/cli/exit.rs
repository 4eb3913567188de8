//! Turns an error into its message and its exit code.

use std::fmt::Display;

use crate::compare::live::AbError;
use crate::host::output;
use crate::measure::RunError;
use crate::model::exit::Exit;
use crate::report::NoSuchRun;

/// Invalid user input. The message names the argument, its value and what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

impl BadInput {
    /// `option` is the option with its value, `problem` states what is wrong and what is expected.
    pub(in crate::cli) fn new(option: impl Display, problem: impl Display) -> Self {
        Self(format!("{option}: {problem}"))
    }
}

/// There is nothing to work on. The message states why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Nothing(pub String);

/// Prints `error` to standard error and returns its exit code.
pub fn report(error: &anyhow::Error) -> Exit {
    output::err!("error: {}", message(error));
    code(error)
}

/// The exit code for `error`.
pub fn code(error: &anyhow::Error) -> Exit {
    if error.is::<BadInput>() {
        return Exit::BadInput;
    }
    if error.is::<Nothing>() {
        return Exit::NothingRan;
    }
    if let Some(error) = error.downcast_ref::<AbError>() {
        return error.exit();
    }
    if let Some(error) = error.downcast_ref::<RunError>() {
        return error.exit();
    }
    match error.downcast_ref::<NoSuchRun>() {
        Some(NoSuchRun::Empty(_)) => Exit::NothingRan,
        _ => Exit::Failure,
    }
}

/// `error` with its causes. Many errors already include their cause, which is not repeated.
fn message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for text in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = text;
        } else if !message.contains(&text) {
            message = format!("{message}: {text}");
        }
    }
    message
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::{Context, anyhow};

    use super::*;
    use crate::compare::live::ResumeError;
    use crate::store::ReadError;

    #[test]
    fn an_error_keeps_its_code_under_its_context() {
        let empty = Err::<(), _>(NoSuchRun::Empty(PathBuf::from("runs"))).context("report");
        assert_eq!(code(&empty.unwrap_err()), Exit::NothingRan);
        let refused = Err::<(), _>(BadInput("--output x: no".to_owned())).context("export");
        assert_eq!(code(&refused.unwrap_err()), Exit::BadInput);
        let filtered = anyhow::Error::new(RunError::FilteredOut("x".to_owned())).context("open the run");
        assert_eq!(code(&filtered), Exit::BadInput);
        assert_eq!(code(&anyhow!("the disk is full")), Exit::Failure);
    }

    #[test]
    fn a_message_states_every_cause_once() {
        let full = anyhow!("the disk is full").context("failed to write x");
        assert_eq!(message(&full), "failed to write x: the disk is full");
        let source = std::io::Error::other("gone");
        let unreadable =
            AbError::Resume(ResumeError::Unreadable(ReadError::NoRun { path: PathBuf::from("x"), source }));
        assert_eq!(message(&unreadable.into()).matches("gone").count(), 1);
    }
}
