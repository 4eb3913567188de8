//! The engine's events about containers.

use std::collections::HashMap;

use bollard::Docker;
use bollard::errors::Error as CrateError;
use bollard::models::EventMessage;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Address, Engine, Error, Patience};

/// An event about a container, or the loss of the event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerEvent {
    /// The container of that name was created.
    Created(String),
    /// The container of that name was started.
    Started(String),
    /// A container ended.
    Died {
        /// Its name.
        name: String,
        /// Its exit code.
        code: i64,
    },
    /// The stream failed, so no event will follow.
    Lost(Error),
}

/// A stream of events. Dropping it ends the stream.
#[derive(Debug)]
pub struct Subscription(JoinHandle<()>);

impl Engine {
    /// Calls `notify` for each event of the containers with that label. The calls come from the engine's own thread, so
    /// `notify` must not block. The stream begins with the events since the instant `since` of the engine's clock, in
    /// seconds of Unix time, so that none is missed during setup.
    pub fn follow(
        &self,
        label: &str,
        value: &str,
        since: i64,
        notify: impl Fn(ContainerEvent) + Send + Sync + 'static,
    ) -> Subscription {
        let filters = HashMap::from([
            ("type".to_owned(), vec!["container".to_owned()]),
            ("event".to_owned(), ["create", "start", "die", "died"].map(str::to_owned).to_vec()),
            ("label".to_owned(), vec![format!("{label}={value}")]),
        ]);
        let options = EventsOptionsBuilder::default().since(&since.to_string()).filters(&filters).build();
        let (docker, address, patience) = (self.docker.clone(), self.address().clone(), self.patience);
        Subscription(self.handle.spawn(async move {
            let events = docker.events(Some(options)).boxed();
            let error = forward(&docker, &address, patience, events, &notify).await;
            notify(ContainerEvent::Lost(error));
        }))
    }
}

/// Forwards events until the stream fails, and returns why it did.
async fn forward(
    docker: &Docker,
    address: &Address,
    patience: Patience,
    mut events: impl futures_util::Stream<Item = Result<EventMessage, CrateError>> + Unpin,
    notify: &impl Fn(ContainerEvent),
) -> Error {
    let lost = |e| Error::classify(address, "listen to events", patience.ping, e);
    loop {
        match timeout(patience.silence, events.next()).await {
            Ok(Some(Ok(message))) => parse(message).into_iter().for_each(notify),
            Ok(Some(Err(e))) => return lost(e),
            Ok(None) => {
                let reason = "it ended the stream of events".to_owned();
                return Error::Unreachable { engine: address.clone(), reason };
            }
            Err(_) => match timeout(patience.ping, docker.ping()).await {
                Ok(Ok(_)) => {}
                Ok(Err(e)) => return lost(e),
                Err(_) => return lost(CrateError::RequestTimeoutError),
            },
        }
    }
}

fn parse(message: EventMessage) -> Option<ContainerEvent> {
    let mut attributes = message.actor?.attributes?;
    let name = attributes.remove("name")?;
    match message.action?.as_str() {
        "create" => Some(ContainerEvent::Created(name)),
        "start" => Some(ContainerEvent::Started(name)),
        // Podman has other names for the event and the code than Docker, and filters by its own.
        "die" | "died" => {
            let code = ["exitCode", "containerExitCode"].iter().find_map(|key| attributes.get(*key)?.parse().ok());
            Some(ContainerEvent::Died { name, code: code? })
        }
        _ => None,
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}
