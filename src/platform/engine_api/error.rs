//! What goes wrong between the harness and an engine, and what the user can do about it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::Address;

/// A failed call to an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address of the engine cannot be parsed.
    #[error("invalid engine address `{given}`; expected unix:///PATH or tcp://HOST:PORT")]
    Address {
        /// The invalid address.
        given: String,
    },
    /// No engine answers at the address, or the connection broke.
    #[error("the engine at {engine} cannot be reached ({reason})")]
    Unreachable {
        /// Its address.
        engine: Address,
        /// The system's message.
        reason: String,
    },
    /// This user may not use the engine's socket.
    #[error("the engine at {engine} is not accessible for this user (permission denied)")]
    Forbidden {
        /// Its address.
        engine: Address,
    },
    /// The engine accepted the call and did not answer in time.
    #[error("the engine at {engine} does not answer: failed to {action} within {after:?}")]
    Deadline {
        /// Its address.
        engine: Address,
        /// The requested action.
        action: String,
        /// The time that it had.
        after: Duration,
    },
    /// The engine rejected the call.
    #[error("{message}")]
    Refused {
        /// The HTTP status of its answer.
        status: u16,
        /// Its message.
        message: String,
    },
    /// The engine's answer cannot be parsed.
    #[error("failed to {action}: invalid answer from the engine at {engine}: {reason}")]
    InvalidAnswer {
        /// Its address.
        engine: Address,
        /// The requested action.
        action: String,
        /// Why the answer is invalid.
        reason: String,
    },
    /// The archive of an image cannot be written.
    #[error("the archive cannot be written: {reason}")]
    Archive {
        /// The system's message.
        reason: String,
    },
}

impl Error {
    /// What the user can do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Error::Address { .. } => Some("correct DOCKER_HOST, or unset it"),
            Error::Unreachable { .. } => Some("start it: dockerd, or systemctl start docker; or set DOCKER_HOST"),
            Error::Forbidden { .. } => Some("run as root, or join the group of the socket"),
            Error::Deadline { .. } => Some("look at its log and restart it"),
            Error::Refused { .. } | Error::InvalidAnswer { .. } | Error::Archive { .. } => None,
        }
    }

    /// The error and its help in one line, for records that hold one line.
    pub fn with_help(&self) -> String {
        match self.help() {
            Some(help) => format!("{self}; {help}"),
            None => self.to_string(),
        }
    }

    /// Whether the object does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self, Error::Refused { status: 404, .. })
    }

    /// Whether the object is in another state, or changing to one. Podman reports that with a general status and a
    /// message, also for a container that it has killed and that has not ended yet.
    pub fn is_conflict(&self) -> bool {
        match self {
            Error::Refused { status: 304 | 409, .. } => true,
            Error::Refused { status: 500, message } => {
                ["container state improper", "timed out waiting for file"].iter().any(|words| message.contains(words))
            }
            _ => false,
        }
    }

    /// Classifies an error of the client crate.
    pub(super) fn classify(engine: &Address, action: &str, after: Duration, error: bollard::errors::Error) -> Self {
        use bollard::errors::Error as E;
        let (engine, action) = (engine.clone(), action.to_owned());
        match error {
            E::DockerResponseServerError { status_code, message } => {
                Error::Refused { status: status_code, message: message.trim().to_owned() }
            }
            E::DockerStreamError { error } => Error::Refused { status: 500, message: error },
            E::DockerContainerWaitError { error, code } => {
                Error::Refused { status: 500, message: format!("{error} (exit code {code})") }
            }
            E::RequestTimeoutError => Error::Deadline { engine, action, after },
            E::JsonDataError { .. } | E::JsonSerdeError { .. } | E::APIVersionParseError {} => {
                Error::InvalidAnswer { engine, action, reason: error.to_string() }
            }
            E::IOError { err } if err.kind() == ErrorKind::PermissionDenied => Error::Forbidden { engine },
            other if is_denied(innermost(&other)) => Error::Forbidden { engine },
            other => Error::Unreachable { engine, reason: innermost(&other).to_string() },
        }
    }
}

/// The last error of the chain. The outer ones only state that a request failed.
fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last
}

fn is_denied(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_another_group_has_its_own_help() {
        let address: Address = "unix:///run/docker.sock".parse().expect("an address");
        let help = |kind: ErrorKind| {
            let error = bollard::errors::Error::IOError { err: kind.into() };
            Error::classify(&address, "connect", Duration::ZERO, error).help()
        };
        assert_eq!(help(ErrorKind::PermissionDenied), Some("run as root, or join the group of the socket"));
        let absent = help(ErrorKind::NotFound).expect("it has one");
        assert!(absent.contains("start it: dockerd"), "{absent}");
    }
}
