//! Why a session cannot begin.

use crate::cli::Exit;
use crate::engine::EngineError;
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
            AbError::Engine(_) => Exit::Trouble,
        }
    }
}
