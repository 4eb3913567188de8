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
    /// Names the action in the imperative: `create a pipe`.
    fn during(self, action: &str) -> Result<T, HostError>;

    /// Names the action only if it failed.
    fn during_with(self, action: impl FnOnce() -> String) -> Result<T, HostError>;
}

impl<T, E: Into<io::Error>> During<T> for Result<T, E> {
    fn during(self, action: &str) -> Result<T, HostError> {
        self.during_with(|| action.to_owned())
    }

    fn during_with(self, action: impl FnOnce() -> String) -> Result<T, HostError> {
        self.map_err(|e| HostError { action: action(), source: e.into() })
    }
}
