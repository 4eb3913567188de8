//! Why a container could not be launched, stopped or removed.

use std::time::Duration;

use crate::platform::process::handle::ProcessError;
use crate::platform::process::host_error::HostError;
use crate::platform::{self, engine_api};

/// A failed step in a container's life.
#[derive(Debug, thiserror::Error)]
pub(in crate::platform) enum Error {
    /// A call to the engine failed.
    #[error(transparent)]
    Engine(#[from] engine_api::Error),
    /// The engine no longer has an image that the run loaded.
    #[error("{message}")]
    ImageRemoved { message: String },
    /// The image was not loaded, and its partial copy could not be removed.
    #[error("{load}; {reference} stays in the ledger: {removal}")]
    PartialImage { reference: String, load: Box<engine_api::Error>, removal: Box<engine_api::Error> },
    /// A network could not be created.
    #[error("failed to create the network {name}: {source}")]
    Network { name: String, source: engine_api::Error },
    /// The `docker` command's process could not be opened.
    #[error("failed to watch the docker command: {0}")]
    Process(ProcessError),
    /// A system call or a write to the ledger failed.
    #[error(transparent)]
    Host(#[from] HostError),
    /// The output pipe is in use already.
    #[error("the output pipe is in use already")]
    OutputInUse,
    /// The engine's answer cannot be polled for.
    #[error("the engine's answer cannot be polled for: no eventfd")]
    NotPollable,
    /// The `docker` command ended without a container.
    #[error("{message}")]
    Command { message: String, help: Option<&'static str> },
    /// The `docker` command did not start the container in time.
    #[error("the docker command did not start the container within {0:?}")]
    StartTimeout(Duration),
    /// Nothing reported the container's exit status.
    #[error("the exit status of the container is unknown")]
    UnknownExit,
    /// A wait on the instance failed.
    #[error(transparent)]
    Wait(#[from] platform::Error),
    /// The engine failed to remove the container.
    #[error("it stays in the ledger for cargo xtask clean: {0}")]
    Removal(engine_api::Error),
    /// The launch failed, and so did the removal of what it had created.
    #[error("{}; {removal}", launch.with_help())]
    Abandoned { launch: Box<Error>, removal: Box<Error> },
}

impl Error {
    /// A failed creation of a container. Its HTTP status is the same for every missing object, so the message decides.
    pub(super) fn creation(error: engine_api::Error) -> Self {
        match error {
            engine_api::Error::Refused { message, .. } if message.contains(NO_IMAGE) => Error::ImageRemoved { message },
            other => Error::Engine(other),
        }
    }

    /// A refusal of the `docker` command, which reports its reason only as text.
    pub(super) fn command(message: String) -> Self {
        if message.contains(NO_IMAGE) {
            return Error::ImageRemoved { message };
        }
        let help = message.contains(NO_DAEMON).then_some("start it: dockerd, or systemctl start docker");
        Error::Command { message, help }
    }

    /// What the user can do about it.
    fn help(&self) -> Option<&'static str> {
        match self {
            Error::Engine(error) | Error::Network { source: error, .. } | Error::Removal(error) => error.help(),
            Error::PartialImage { removal, .. } => removal.help(),
            Error::ImageRemoved { .. } => Some("another program removed it; a new run loads it again"),
            Error::Command { help, .. } => *help,
            Error::Abandoned { removal, .. } => removal.help(),
            _ => None,
        }
    }

    /// The error and its help in one line.
    pub(super) fn with_help(&self) -> String {
        match self.help() {
            Some(help) => format!("{self}; {help}"),
            None => self.to_string(),
        }
    }

    /// Converts it into the failure of `action`.
    pub(in crate::platform) fn into_failure(self, action: impl Into<String>) -> platform::Error {
        platform::Error::failed(action, self.with_help())
    }
}

/// How the engine and the `docker` command report a missing image.
const NO_IMAGE: &str = "No such image";

/// How the `docker` command reports a missing engine.
const NO_DAEMON: &str = "Cannot connect to the Docker daemon";
