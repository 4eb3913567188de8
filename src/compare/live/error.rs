//! Why a session cannot begin, or ends early.

use std::path::PathBuf;
use std::time::Duration;

use super::ArmId;
use crate::guest::RevisionError;
use crate::measure::RunError;
use crate::model::exit::Exit;
use crate::platform::Error;
use crate::store::ReadError;

/// Why a session cannot begin, or ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum AbError {
    /// The host, a folder or another process prevents it.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The session that `--resume` names cannot be continued.
    #[error("--resume: {0}")]
    Resume(#[from] ResumeError),
    /// The revision of an arm's guests does not exist.
    #[error("{arm}: {source}")]
    Revision {
        /// The arm.
        arm: ArmId,
        /// Git's reason.
        source: RevisionError,
    },
    /// A share of busy work cannot become a time.
    #[error("{arm}: {case}: {reason}")]
    Calibrate {
        /// The arm.
        arm: ArmId,
        /// The case whose trials are measured.
        case: String,
        /// Why their median is unknown.
        reason: CalibrateError,
    },
    /// Some of the named metrics do not exist in these cases.
    #[error("--metric {}: unknown in these cases\nhelp: --metric all judges every metric", .0.join(","))]
    UnknownMetrics(Vec<String>),
    /// The filter leaves no case.
    #[error("no case's name contains `{0}`; --dry-run prints the names")]
    FilteredOut(String),
    /// No case can run in either arm.
    #[error("nothing can run here:\n{}", reasons(.0))]
    NothingToRun(Vec<(ArmId, String)>),
}

/// Why a stored session cannot be continued.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// There is no unfinished session.
    #[error("no unfinished session under {}", .0.display())]
    NoneUnfinished(PathBuf),
    /// The session cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// All blocks are measured.
    #[error("{} is complete; there is nothing to continue", .0.display())]
    Complete(PathBuf),
    /// An arm or the host has changed.
    #[error("{}; begin a new session instead", .0.join("; "))]
    Changed(Vec<String>),
}

/// Why the median of an arm's trials is unknown.
#[derive(Debug, thiserror::Error)]
pub enum CalibrateError {
    /// The first trial has no metrics.
    #[error("{0}")]
    FirstTrial(String),
    /// No headline of the case is a time.
    #[error("it has no time to take a share of; inject a time, such as busy:400us")]
    NoTime,
    /// Too few trials succeeded.
    #[error("most of {0} trials failed, so no share of them can be taken")]
    MostFailed(u32),
}

impl AbError {
    /// The exit code for it.
    pub fn exit(&self) -> Exit {
        match self {
            AbError::Run(RunError::InProgress(_))
            | AbError::Resume(_)
            | AbError::Revision { .. }
            | AbError::Calibrate { .. }
            | AbError::UnknownMetrics(_)
            | AbError::FilteredOut(_) => Exit::BadInput,
            AbError::NothingToRun(_) => Exit::NothingRan,
            AbError::Run(_) => Exit::Failure,
        }
    }
}

fn reasons(skips: &[(ArmId, String)]) -> String {
    skips.iter().map(|(arm, reason)| format!("  {arm}: {reason}")).collect::<Vec<_>>().join("\n")
}

/// Why a session ends before every metric has its verdict.
#[derive(Debug)]
pub(super) enum Stop {
    /// The user interrupted it.
    Interrupted,
    /// Its time limit is over.
    OutOfTime(Duration),
    /// It cannot go on.
    Failure(String),
    /// It must not begin.
    Refused(AbError),
}

impl Stop {
    /// The reason in words; `None` for an interrupt.
    pub(super) fn reason(&self) -> Option<String> {
        match self {
            Stop::Interrupted => None,
            Stop::OutOfTime(limit) => Some(format!("the time limit of {} s was over first", limit.as_secs())),
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

impl From<RunError> for Stop {
    fn from(error: RunError) -> Self {
        Stop::Refused(error.into())
    }
}

impl From<ResumeError> for Stop {
    fn from(error: ResumeError) -> Self {
        Stop::Refused(error.into())
    }
}
