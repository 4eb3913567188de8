//! Errors of ledgers.

use std::io;
use std::path::PathBuf;

use crate::model::run::RunId;

/// Why a run cannot be opened or removed entirely.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// Another process has the run's lock.
    #[error("run {0} is still in progress")]
    InProgress(RunId),
    /// The ledger lists a path without the run's name; it is damaged.
    #[error("{}: not removed; expected the name {name} in the path", path.display())]
    ForeignPath {
        /// The path.
        path: PathBuf,
        /// The run's name.
        name: String,
    },
    /// The ledger lists a file that is not a kernel setting; it is damaged.
    #[error("{}: not restored; expected a file below /proc/sys", path.display())]
    ForeignSetting {
        /// The file.
        path: PathBuf,
    },
    /// Processes of the run survive their kill.
    #[error("{count} processes of run {run} do not end")]
    Processes {
        /// How many.
        count: usize,
        /// The run.
        run: RunId,
    },
    /// Processes in a cgroup of the run survive their kill.
    #[error("the processes in cgroup {} do not end", path.display())]
    Members {
        /// The cgroup.
        path: PathBuf,
    },
}

impl From<LedgerError> for io::Error {
    fn from(error: LedgerError) -> Self {
        let kind = match error {
            LedgerError::InProgress(_) => io::ErrorKind::ResourceBusy,
            LedgerError::ForeignPath { .. } | LedgerError::ForeignSetting { .. } => io::ErrorKind::InvalidData,
            LedgerError::Processes { .. } | LedgerError::Members { .. } => io::ErrorKind::TimedOut,
        };
        io::Error::new(kind, error)
    }
}
