//! From an error to the exit code that scripts see.

use crate::compare::live::AbError;
use crate::model::exit::Exit;
use crate::report::NoSuchRun;

/// What the user gave cannot be used. The message names the argument, its value and what is accepted.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadInput(pub String);

/// There is nothing to work on. The message tells why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Nothing(pub String);

/// The exit code for `error`.
pub fn of(error: &anyhow::Error) -> Exit {
    if error.is::<BadInput>() {
        return Exit::BadInput;
    }
    if let Some(error) = error.downcast_ref::<AbError>() {
        return error.exit();
    }
    if error.is::<Nothing>() {
        return Exit::NothingRan;
    }
    match error.downcast_ref::<NoSuchRun>() {
        Some(NoSuchRun::Empty(_)) => Exit::NothingRan,
        _ => Exit::Failure,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn an_error_keeps_its_code_under_what_is_said_about_it() {
        let empty = Err::<(), _>(NoSuchRun::Empty(PathBuf::from("runs"))).context("report");
        assert_eq!(of(&empty.unwrap_err()), Exit::NothingRan);
        let refused = Err::<(), _>(BadInput("--output x: no".to_owned())).context("export");
        assert_eq!(of(&refused.unwrap_err()), Exit::BadInput);
        assert_eq!(of(&anyhow!("the disk is full")), Exit::Failure);
    }
}
