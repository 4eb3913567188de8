//! Errors that name the file or the step they are about.

use std::io;
use std::path::PathBuf;

/// Why a fact of the host cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file that every Linux host has cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file does not hold what the kernel documents.
    #[error("{}: invalid content `{content}`; expected {expected}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Its content, in one line.
        content: String,
        /// What the kernel documents: `a CPU list`.
        expected: &'static str,
    },
}

/// A step that the operating system refused.
#[derive(Debug, thiserror::Error)]
#[error("failed to {step}: {reason}")]
struct StepError {
    step: String,
    reason: io::Error,
}

/// Returns an error of the same kind as `reason` that names the failed step, such as `open /dev/net/tun`.
pub(crate) fn failed_to(step: impl Into<String>, reason: io::Error) -> io::Error {
    io::Error::new(reason.kind(), StepError { step: step.into(), reason })
}
