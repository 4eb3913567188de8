//! Failed operations of the host.

use std::io;

/// A system call or a file operation that failed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action}: {source}")]
pub(in crate::platform) struct HostError {
    action: String,
    source: io::Error,
}

/// Adds the failed action, with its object, to an error of the host.
pub(in crate::platform) trait During<T> {
    /// Names the action in the imperative: `write the bundle /x`.
    fn during(self, action: impl Into<String>) -> Result<T, HostError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, action: impl Into<String>) -> Result<T, HostError> {
        self.map_err(|e| HostError { action: action.into(), source: e.into() })
    }
}
