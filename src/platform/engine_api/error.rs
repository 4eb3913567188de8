//! What goes wrong between the harness and an engine, and what the user can do about it.

use std::io::{self, ErrorKind};
use std::time::Duration;

use super::Address;

/// A call that did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The address is none.
    #[error("`{given}` is no address of an engine; set DOCKER_HOST to unix:///PATH or tcp://HOST:PORT, or unset it")]
    Address {
        /// What was given.
        given: String,
    },
    /// Nobody answers there, or the connection broke.
    #[error(
        "the engine at {engine} cannot be reached ({reason}); start it: dockerd, or systemctl start docker; or set \
         DOCKER_HOST"
    )]
    Unreachable {
        /// Its address.
        engine: Address,
        /// The system's own words.
        reason: String,
    },
    /// Its socket is not for this user.
    #[error(
        "the engine at {engine} is not for this user (permission denied); run as root, or join the group of the socket"
    )]
    Forbidden {
        /// Its address.
        engine: Address,
    },
    /// It took the call and did not answer in time.
    #[error("the engine at {engine} does not answer: {action} took over {after:?}; look at its log and restart it")]
    Deadline {
        /// Its address.
        engine: Address,
        /// What it was asked.
        action: String,
        /// How long it was given.
        after: Duration,
    },
    /// It answered that it will not.
    #[error("{message}")]
    Refused {
        /// The status of its answer (HTTP).
        status: u16,
        /// Its own words.
        message: String,
    },
    /// It answered something that is not understood.
    #[error("the engine at {engine} answered {action} with something that is not understood: {reason}")]
    Garbled {
        /// Its address.
        engine: Address,
        /// What it was asked.
        action: String,
        /// Why that is no answer.
        reason: String,
    },
}

impl Error {
    /// Whether the engine says that there is no such thing.
    pub fn is_absent(&self) -> bool {
        matches!(self, Error::Refused { status: 404, .. })
    }

    /// Whether the engine says that the thing is in another state, or on its way to one. Podman says so by its words,
    /// and that a container it has killed is still on its way.
    pub fn is_conflict(&self) -> bool {
        match self {
            Error::Refused { status: 304 | 409, .. } => true,
            Error::Refused { status: 500, message } => {
                ["container state improper", "timed out waiting for file"].iter().any(|words| message.contains(words))
            }
            _ => false,
        }
    }

    /// Sorts what the crate reports.
    pub(super) fn of(engine: &Address, action: &str, after: Duration, error: bollard::errors::Error) -> Self {
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
                Error::Garbled { engine, action, reason: error.to_string() }
            }
            E::IOError { err } if err.kind() == ErrorKind::PermissionDenied => Error::Forbidden { engine },
            other if is_denied(innermost(&other)) => Error::Forbidden { engine },
            other => Error::Unreachable { engine, reason: innermost(&other).to_string() },
        }
    }
}

/// The last error of the chain: the ones around it only say that a request failed.
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
    fn a_socket_of_another_group_has_its_own_cure() {
        let address: Address = "unix:///run/docker.sock".parse().expect("an address");
        let text = |kind: ErrorKind| {
            let error = bollard::errors::Error::IOError { err: kind.into() };
            Error::of(&address, "connect", Duration::ZERO, error).to_string()
        };
        let denied = text(ErrorKind::PermissionDenied);
        assert!(denied.ends_with("; run as root, or join the group of the socket"), "{denied}");
        let absent = text(ErrorKind::NotFound);
        assert!(absent.contains("start it: dockerd"), "{absent}");
    }
}
