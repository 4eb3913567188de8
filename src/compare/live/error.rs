//! Why a session cannot begin, or ends before its time.

use std::time::Duration;

use crate::measure::session::EngineError;
use crate::model::exit::Exit;
use crate::platform::Error;
use crate::store::ReadError;

/// Why a session cannot begin, or ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum AbError {
    /// The host, a folder or another process is in the way.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A stored session cannot be read.
    #[error("--resume: {0}")]
    Unreadable(#[from] ReadError),
    /// A stored session cannot be gone on with.
    #[error("--resume: {0}")]
    Resume(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Input(String),
    /// Not one case can run in either arm.
    #[error("nothing can run here:\n{0}")]
    NothingToRun(String),
}

impl AbError {
    /// The exit code that says so.
    pub fn exit(&self) -> Exit {
        match self {
            AbError::Unreadable(_) | AbError::Resume(_) | AbError::Input(_) => Exit::BadInput,
            AbError::NothingToRun(_) => Exit::NothingRan,
            AbError::Engine(EngineError::InProgress(_)) => Exit::BadInput,
            AbError::Engine(_) => Exit::Failure,
        }
    }
}

/// Why a session ends before every metric has its verdict.
#[derive(Debug)]
pub(super) enum Stop {
    /// The user asked to.
    Interrupted,
    /// Its time is over.
    OutOfTime(Duration),
    /// Going on makes no sense.
    Failure(String),
    /// It should not have begun.
    Refused(AbError),
}

impl Stop {
    pub(super) fn input(text: String) -> Self {
        Stop::Refused(AbError::Input(text))
    }

    /// In words; `None` for the user's own doing.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Stop::Interrupted => None,
            Stop::OutOfTime(asked) => Some(format!("the time limit of {} s was over first", asked.as_secs())),
            Stop::Failure(reason) => Some(reason.clone()),
            Stop::Refused(error) => Some(error.to_string()),
        }
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Interrupted => Stop::Interrupted,
            other => Stop::Failure(other.to_string()),
        }
    }
}

impl From<AbError> for Stop {
    fn from(error: AbError) -> Self {
        Stop::Refused(error)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Stop::Refused(error.into())
    }
}
